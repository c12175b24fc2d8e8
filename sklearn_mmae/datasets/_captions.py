"""A folder of files and the table that says more of each, such as a CSV of captions."""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable
from io import StringIO
from pathlib import Path, PurePosixPath

import pandas as pd

from .._core.errors import did_you_mean, listing, warn
from .._core.typing import Names, PathLike
from ._folders import CLIPS, IMAGES, SOUNDS, files_of, text_of

__all__ = ["load_captioned_folder"]

_SEPARATORS = ",\t;|"


def load_captioned_folder(
    folder: PathLike,
    table: PathLike | pd.DataFrame,
    *,
    column: Hashable | None = None,
    pattern: Names = (*IMAGES, *SOUNDS, *CLIPS),
    recursive: bool = True,
    encoding: str = "auto",
) -> pd.DataFrame:
    r"""Join a folder of images, sounds or video clips to a table that names them, such as a CSV.

    A file goes by its path inside the folder, whatever stands before that, or by its name alone;
    the ending may be left out. So ``/elsewhere/cats/1.jpg``, ``cats/1`` and ``1.jpg`` all find
    ``cats/1.jpg``.

    Parameters
    ----------
    folder : str or path-like
    table : str, path-like or pandas.DataFrame
        A file of values separated by commas, tabs, semicolons or bars, whose first line names the
        columns; or what was read of any other file.
    column : label, optional
        Of the table, with the names of the files. None takes the one that finds most files.
    pattern, recursive
        As in `load_image_folder`; by default all usual endings of images, sounds and video clips.
    encoding : str, default="auto"
        Of the file of the table, as in `load_text_folder`.

    Returns
    -------
    DataFrame
        The table with the paths of the files in `column`; missing where there is no such file.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder, or no such table.
    ValueError
        If no column names files of the folder, or several files may be meant by a name.

    Warns
    -----
    DataWarning
        How many rows have no file, how many files no row, and the first of them.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from sklearn_mmae.datasets import load_captioned_folder
    >>> with TemporaryDirectory() as folder:
    ...     for name in ["1.png", "2.png"]:
    ...         Image.new("L", (40, 30)).save(Path(folder) / name)
    ...     table = Path(folder) / "captions.csv"
    ...     _ = table.write_text("image,caption\n2.png,an old tree\n1.png,a pond\n")
    ...     frame = load_captioned_folder(folder, table)
    >>> [Path(path).name for path in frame["image"]], frame["caption"].tolist()
    (['2.png', '1.png'], ['an old tree', 'a pond'])
    """
    files = files_of(folder, pattern, recursive)
    text = None if isinstance(table, pd.DataFrame) else text_of(Path(table), 0, encoding)
    frame = table if text is None else _read(text, str)
    known = _by_name(files)
    if column is None:
        column = _column_of_names(frame, known, folder)
    elif column not in frame.columns:
        near = did_you_mean(column, frame.columns)
        raise ValueError(f"column={column!r} is no column of the table.{near}")
    if text is not None:  # names as they are written, such as 0017; other columns as they are meant
        frame = _read(text, {column: str})
    paths = [_path(name, known) for name in frame[column]]
    _report_unmatched(frame[column], paths, files)
    return frame.assign(**{column: pd.Series(paths, frame.index, object)})


def _read(text, dtype):
    head = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=head.count)
    return pd.read_csv(StringIO(text), sep=separator, dtype=dtype, skipinitialspace=True)


def _by_name(files):
    """Return what each path inside the folder may mean, and what each last part of one may."""
    exact, bare = {}, {}
    for name, file in files.items():
        path = _as_path(name)
        for known, spelt in ((exact, (path, path.with_suffix(""))), (bare, (path.name, path.stem))):
            for one in map(str, spelt):
                known.setdefault(one, []).append(str(file))
    return exact, bare


def _as_path(name):
    # macOS takes accents apart in file names, Windows has other slashes.
    return PurePosixPath(unicodedata.normalize("NFC", str(name)).strip().replace("\\", "/"))


def _meant(name, known):
    """Return the paths of the files that a cell may name."""
    (exact, bare), parts = known, _as_path(name).parts
    tails = ("/".join(parts[n:]) for n in range(len(parts)))
    found = next((exact[tail] for tail in tails if tail in exact), [])
    return found or (bare.get(parts[0], []) if len(parts) == 1 else [])


def _path(name, known):
    """Return the path of the file that a cell names; None if there is none."""
    found = _meant(name, known)
    if len(found) > 1:
        raise ValueError(
            f"{str(name)!r} may mean {listing(map(repr, found), 3)}. Name files by their paths"
            " inside the folder"
        )
    return found[0] if found else None


def _column_of_names(frame, known, folder):
    """Return the column that finds most files."""
    found = {name: sum(bool(_meant(cell, known)) for cell in frame[name]) for name in frame}
    best = max(found, key=found.get, default=None)
    if not found.get(best):
        raise ValueError(
            f"no column of the table ({listing(map(repr, frame.columns))}) names files of"
            f" {str(folder)!r}, such as {next(iter(known[0]))!r}. Give the folder that they are in"
        )
    return best


def _report_unmatched(names, paths, files):
    found = set(paths)
    groups = {
        "rows without a file": [str(n) for n, p in zip(names, paths, strict=True) if p is None],
        "files without a row": [name for name, path in files.items() if str(path) not in found],
    }
    reports = [
        f"{len(some)} {what}: {listing(map(repr, some), 3)}"
        for what, some in groups.items()
        if some
    ]
    if reports:
        warn(f"of {len(paths)} rows and {len(files)} files, {'; '.join(reports)}")
