"""Folders of images, texts, sounds and clips as tables, one row per file."""

from __future__ import annotations

import codecs
import os
import re
import unicodedata
from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd
from PIL import ExifTags

from .._core.errors import CellError, listing, warn
from .._core.typing import Names, PathLike
from ..modalities._files import SUFFIXES
from ..modalities._pictures import open_picture

__all__ = [
    *("CLIPS", "IMAGES", "SOUNDS", "files_of", "text_of"),
    "load_audio_folder",
    "load_image_folder",
    "load_paired_folders",
    "load_text_folder",
    "load_video_folder",
]

IMAGES, SOUNDS, CLIPS = (
    tuple(f"*{suffix}" for suffix in SUFFIXES[noun]) for noun in ("image", "sound", "clip")
)
CLIPS += ("*.gif",)
_TEXTS = ("*.txt", "*.md")
_KINDS = {"image": IMAGES, "text": _TEXTS, "audio": SOUNDS, "video": CLIPS}

_MARKS = {  # the longer first: the mark of UTF-16 begins that of UTF-32
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_CONTROL = re.compile(r"[\0-\x08\x0e-\x1a\x1c-\x1f]")  # a text has tabs, line ends, perhaps escapes
# What no language written in Windows-1252 has, and files in other encodings are full of: three
# accented letters in a row, an accented capital or a sign within a word.
_LETTER = "À-ÖØ-öø-ÿŒœŠšŽžŸƒ"
_SIGN = "\xa1-\xac\xae-\xb6\xb8-\xbf\xd7\xf7\u02c6\u02dc\u2020\u2021\u2030\u2039\u203a\u20ac"
_NOT_1252 = re.compile(f"[{_LETTER}]{{3}}|[a-z][À-ÖØ-ÞŒŠŽŸ]|[A-Za-z][{_SIGN}][a-z{_LETTER}]")


def load_image_folder(
    folder: PathLike, *, pattern: Names = IMAGES, recursive: bool = True, sizes: bool = False
) -> pd.DataFrame:
    """List the images of a folder as a table.

    Images are not read: a modality opens the paths when it needs them.

    Parameters
    ----------
    folder : str or path-like
    pattern : str or sequence of str, default=all usual endings
        File names to take, as in ``"*_rgb.png"``; upper and lower case are the same.
    recursive : bool, default=True
        Whether to go into sub-folders. Hidden files and folders and ``__MACOSX`` are left out.
    sizes : bool, default=False
        Whether to add the columns "width" and "height" in pixels, upright, read from the header.

    Returns
    -------
    DataFrame
        One row per file in natural order (``img2`` before ``img10``), the same on every system:
        "path" (str), and where there are sub-folders "label", the sub-folder of the file
        (``"cat"``, or ``"cat/young"`` for a deeper one; missing for files outside of any).

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder.
    ValueError
        If it holds no such file; `CellError` if the header of one cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from sklearn_mmae.datasets import load_image_folder
    >>> with TemporaryDirectory() as folder:
    ...     for label in ["cat", "dog"]:
    ...         (Path(folder) / label).mkdir()
    ...         Image.new("RGB", (40, 30)).save(Path(folder) / label / "1.png")
    ...     frame = load_image_folder(folder, sizes=True)
    >>> frame[["label", "width", "height"]]
      label  width  height
    0   cat     40      30
    1   dog     40      30
    """
    files = files_of(folder, pattern, recursive)
    columns = {"path": [str(path) for path in files.values()], **_labels(files)}
    if sizes:
        columns["width"], columns["height"] = _sizes(files.values(), "path")
    return pd.DataFrame(columns)


def load_text_folder(
    folder: PathLike, *, pattern: Names = _TEXTS, recursive: bool = True, encoding: str = "auto"
) -> pd.DataFrame:
    r"""Read the texts of a folder into a table.

    Parameters
    ----------
    folder, pattern, recursive
        As in `load_image_folder`; by default ``("*.txt", "*.md")``.
    encoding : str, default="auto"
        "auto" goes by the byte order mark (UTF-8, UTF-16, UTF-32), else tries UTF-8, else
        Windows-1252 where what comes out looks like words. Any codec of Python can be named.

    Returns
    -------
    DataFrame
        As of `load_image_folder`, and "text" (str, every line end as ``\n``).

    Raises
    ------
    ValueError
        As `load_image_folder`; `CellError`, with the file's name, for a file that is no text or
        whose encoding cannot be detected.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn_mmae.datasets import load_text_folder
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "1.txt").write_text("one", encoding="utf-8")
    ...     _ = (Path(folder) / "2.txt").write_bytes(b"na\xefve")
    ...     load_text_folder(folder)["text"].tolist()
    ['one', 'naïve']
    """
    files = files_of(folder, pattern, recursive)
    columns = {
        "path": [str(path) for path in files.values()],
        "text": _texts(files.values(), encoding),
    }
    return pd.DataFrame({**columns, **_labels(files)})


def load_audio_folder(
    folder: PathLike, *, pattern: Names = SOUNDS, recursive: bool = True
) -> pd.DataFrame:
    """List the sounds of a folder as a table, as `load_image_folder` lists images.

    Parameters
    ----------
    folder, pattern, recursive
        As in `load_image_folder`; give ``"*.mp4"`` for the sound of films.

    Returns
    -------
    DataFrame

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn_mmae.datasets import load_audio_folder
    >>> with TemporaryDirectory() as folder:
    ...     for name in ["take10.wav", "take2.wav"]:
    ...         (Path(folder) / name).touch()
    ...     [Path(path).name for path in load_audio_folder(folder)["path"]]
    ['take2.wav', 'take10.wav']
    """
    return _listed(folder, pattern, recursive)


def load_video_folder(
    folder: PathLike, *, pattern: Names = CLIPS, recursive: bool = True
) -> pd.DataFrame:
    """List the video clips of a folder as a table, as `load_image_folder` lists images.

    Parameters
    ----------
    folder, pattern, recursive
        As in `load_image_folder`.

    Returns
    -------
    DataFrame

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn_mmae.datasets import load_video_folder
    >>> with TemporaryDirectory() as folder:
    ...     for label in ["jump", "run"]:
    ...         (Path(folder) / label).mkdir()
    ...         (Path(folder) / label / "1.mp4").touch()
    ...     load_video_folder(folder)["label"].tolist()
    ['jump', 'run']
    """
    return _listed(folder, pattern, recursive)


def load_paired_folders(
    *,
    image: PathLike | None = None,
    text: PathLike | None = None,
    audio: PathLike | None = None,
    video: PathLike | None = None,
    recursive: bool = True,
    sizes: bool = False,
    encoding: str = "auto",
) -> pd.DataFrame:
    """Match the files of two or more folders of different kinds by their names.

    ``photos/trip/1.jpg`` belongs to ``notes/trip/1.txt``: what counts is the path inside the
    folder without its ending, the *stem*. Several kinds may share one folder.

    Parameters
    ----------
    image, text, audio, video : str or path-like
        A folder for each of two or more kinds; the columns have these names.
    recursive, sizes, encoding
        As in `load_image_folder` and `load_text_folder`.

    Returns
    -------
    DataFrame, its index the stems
        One row per stem in natural order, and one column per kind: the text itself, of all other
        kinds the path; missing where the folder has no such file.

    Raises
    ------
    ValueError
        As `load_image_folder` and `load_text_folder`; if two files of a folder have one stem, or
        the folders share none at all.

    Warns
    -----
    DataWarning
        How many stems lack which kind, and the first of them.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from sklearn_mmae.datasets import load_paired_folders
    >>> with TemporaryDirectory() as folder:
    ...     Image.new("L", (40, 30)).save(Path(folder) / "tree.png")
    ...     _ = (Path(folder) / "tree.txt").write_text("an old tree", encoding="utf-8")
    ...     load_paired_folders(image=folder, text=folder)["text"].to_dict()
    {'tree': 'an old tree'}
    """
    given = {"image": image, "text": text, "audio": audio, "video": video}
    folders = {kind: folder for kind, folder in given.items() if folder is not None}
    if len(folders) < 2:
        missing = listing(kind for kind in given if kind not in folders)
        raise ValueError(f"no folder for {missing}: two kinds are needed to make pairs")
    files = {
        kind: _by_stem(files_of(folder, _KINDS[kind], recursive))
        for kind, folder in folders.items()
    }
    stems = sorted(set().union(*files.values()), key=_natural)
    _report_unmatched(files, stems)
    columns = _columns(files, encoding, sizes)
    return pd.DataFrame({name: column.reindex(stems) for name, column in columns.items()})


def _listed(folder, pattern, recursive):
    files = files_of(folder, pattern, recursive)
    return pd.DataFrame({"path": [str(path) for path in files.values()], **_labels(files)})


def files_of(folder, pattern, recursive):
    """Return the files of a folder: relative POSIX path -> path, in natural order."""
    root = Path(folder)
    if not root.exists():
        raise FileNotFoundError(f"no such folder: {str(folder)!r}")
    if not root.is_dir():
        raise NotADirectoryError(f"not a folder: {str(folder)!r}")
    patterns = [pattern] if isinstance(pattern, str) else list(pattern)
    found = {}
    for here, names in _walk(root, recursive):
        for name in names:
            if any(fnmatchcase(name.casefold(), one.casefold()) for one in patterns):
                path = Path(here, name)
                found[path.relative_to(root).as_posix()] = path
    if not found:
        raise ValueError(f"folder {str(folder)!r} holds no file like {listing(patterns, most=9)}")
    for name, path in found.items():
        if not path.is_file():
            raise ValueError(f"{name!r} in {str(folder)!r} is no file, perhaps a broken link")
    return {name: found[name] for name in sorted(found, key=_natural)}


def _walk(root, recursive):
    # Links to folders are followed, but each folder is seen once and none that holds `root`:
    # a link upwards would lead around in circles, or through the whole disk.
    top = os.path.realpath(root)
    seen = {top}
    for here, folders, names in os.walk(root, followlinks=True, onerror=_raise):
        kept = []
        for folder in sorted(filter(_visible, folders), key=_natural) if recursive else ():
            real = os.path.realpath(os.path.join(here, folder))
            if real not in seen and not Path(top).is_relative_to(real):
                seen.add(real)
                kept.append(folder)
        folders[:] = kept
        yield here, filter(_visible, names)


def _raise(error):
    raise error  # os.walk would leave out a folder that cannot be opened


def _visible(name):
    return not name.startswith(".") and name != "__MACOSX"


def _natural(name):
    """Key that sorts ``img2`` before ``img10``, folder by folder; ties by the name itself."""
    parts = unicodedata.normalize("NFC", name).casefold().split("/")
    return [
        [int(x) if i % 2 else x for i, x in enumerate(re.split(r"(\d+)", part))] for part in parts
    ], name


def _labels(files):
    folders = [name.rpartition("/")[0] or None for name in files]
    return {"label": folders} if any(folders) else {}


def _by_stem(files):
    stems = {}
    for name, path in files.items():
        # macOS takes accents apart in file names, other systems do not.
        stem = unicodedata.normalize("NFC", name.removesuffix(path.suffix))
        if stem in stems:
            raise ValueError(
                f"{str(stems[stem])!r} and {str(path)!r} differ only in their ending. "
                "Keep one, or rename it"
            )
        stems[stem] = path
    return stems


def _columns(files, encoding, sizes):
    """Return what is to be known of files by their stems, as columns with the stems as index."""
    columns = {}
    for kind, found in files.items():
        cells = _texts(found.values(), encoding) if kind == "text" else map(str, found.values())
        columns[kind] = pd.Series(list(cells), list(found))
    if sizes and "image" in files:
        measured = zip(("width", "height"), _sizes(files["image"].values(), "image"), strict=True)
        # A number without a picture is a hole, and the others stay whole numbers.
        columns |= {name: pd.Series(n, list(files["image"]), "Int64") for name, n in measured}
    return columns


def _report_unmatched(kinds, stems):
    if not set.intersection(*(set(files) for files in kinds.values())):
        firsts = "; ".join(f"{kind}: {listing(files, 3)}" for kind, files in kinds.items())
        raise ValueError(f"no file of one folder has the name of one in the other ({firsts})")
    lacking = {kind: [s for s in stems if s not in files] for kind, files in kinds.items()}
    reports = [
        f"{len(without)} without {kind}: {listing(without, 3)}"
        for kind, without in lacking.items()
        if without
    ]
    if reports:
        reports = "; ".join(reports)
        warn(f"of {len(stems)} file names, {reports}")


def _sizes(paths, column):
    """Return widths and heights, as seen upright, from the headers alone."""
    sizes = []
    for path in paths:
        try:
            with open(path, "rb") as file, open_picture(file) as image:
                # Asked of a picture without, `getexif` may decode the pixels to look behind them.
                tagged = "exif" in image.info
                turned = tagged and image.getexif().get(ExifTags.Base.Orientation, 1) > 4
                sizes.append(image.size[::-1] if turned else image.size)
        except (OSError, SyntaxError, ValueError) as error:
            raise CellError(
                f"the image {str(path)!r} cannot be read",
                remedy="Replace or remove the file",
                column=column,
                row=len(sizes),
            ) from error
    return map(list, zip(*sizes, strict=True))


def _texts(paths, encoding):
    if encoding != "auto":
        try:
            "a".encode(encoding)  # unlike a look-up, refuses codecs of bytes, as base64
        except LookupError:
            raise ValueError(
                f"unknown encoding {encoding!r}. Use 'auto' or a codec of Python, as 'utf-8'"
            ) from None
    return [text_of(path, row, encoding) for row, path in enumerate(paths)]


def text_of(path, row, encoding):
    """Return the text of a file, or say which row's file is in another encoding."""
    content = path.read_bytes()
    marked = next((name for mark, name in _MARKS.items() if content.startswith(mark)), None)
    candidates = [encoding] if encoding != "auto" else [marked] if marked else ["utf-8", "cp1252"]
    for candidate in candidates:
        try:
            text = content.decode(candidate)
        except UnicodeError:
            continue
        if _CONTROL.search(text):
            problem, remedy = "is no text but binary", "Remove it, or narrow `pattern`"
            break
        if encoding == "auto" and candidate == "cp1252" and _NOT_1252.search(text):
            continue
        return text.replace("\r\n", "\n").replace("\r", "\n")
    else:
        tried = listing(candidates)
        problem, remedy = f"is not encoded as {tried}", "Name its encoding with `encoding=`"
    raise CellError(f"{str(path)!r} {problem}", remedy=remedy, column="text", row=row)
