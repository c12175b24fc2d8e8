"""Columns of files: each cell read or reported, paths checked first.

Paths must be existing regular files, inside their root; the error says what to give instead.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Memory
from sklearn.utils.validation import check_memory

from .._core.errors import CellError, did_you_mean, listing, locate, warn
from .._core.holes import observed
from .._core.threads import end_if_unwanted

__all__ = [
    "SUFFIXES",
    "find_memory",
    "label_of",
    "looks_like_file",
    "noun_of_name",
    "read_each",
    "read_facts",
    "regular_file",
    "remembered",
    "warn_of_rows",
]

# Of the files that are read, by what a cell of them is called; and of others that people have.
SUFFIXES = {
    "image": (
        *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"),
    ),
    "sound": (*(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf"),),
    "clip": (
        *(".mp4", ".m4v", ".mov", ".webm", ".mkv", ".mpg", ".mpeg", ".mts", ".m2ts"),
        *(".avi", ".ogv", ".3gp"),
    ),
}
UNREAD = {
    "image": (".heic", ".heif", ".avif", ".jp2", ".jxl", ".tga", ".svg", ".dcm"),
    "sound": (".m4a", ".aac", ".wma", ".amr"),
    "clip": (".flv", ".wmv"),
}
URL = re.compile(r"[a-z][a-z0-9+.-]+://|data:", re.IGNORECASE)


def regular_file(name: str, root: str | os.PathLike | None, what: str) -> Path:
    """Return the path of an existing regular file, inside root where there is one.

    Errors say `what` the file should hold, such as "image".
    """
    missing = f"None where the {what} is missing"
    if URL.match(name):
        raise CellError(
            f"{name[:80]!r} is a URL, and nothing is fetched",
            remedy=f"Download the {what} first and give its path, or its bytes",
        )
    try:
        path = Path(name)
        if root is not None:
            folder = Path(root).resolve()
            if path.is_absolute():
                raise CellError(
                    f"{name!r} is absolute, but root={str(root)!r} is given",
                    remedy="Give a path relative to root",
                )
            path = (folder / path).resolve()
            if not path.is_relative_to(folder):
                raise CellError(
                    f"{name!r} leads out of root={str(root)!r}",
                    remedy="Give a path inside root",
                )
        kind = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise CellError(
            f"no such file {name!r}",
            remedy=f"Give an existing path, or {missing}.{_neighbour(path, what)}",
        ) from None
    except (OSError, ValueError, RuntimeError) as error:  # no permission, NUL, a loop of links
        reason = getattr(error, "strerror", None) or error  # without the name, however long
        raise CellError(
            f"{name[:80]!r} cannot be read ({reason})",
            remedy=f"Give a readable {what}, or {missing}",
        ) from error
    if not stat.S_ISREG(kind):
        other = "a folder" if stat.S_ISDIR(kind) else "a device, pipe or socket"
        raise CellError(
            f"{name!r} is {other}, not a file", remedy=f"Give the {what} itself, or {missing}"
        )
    return path


def looks_like_file(cell: Any, signature: re.Pattern[bytes], noun: str) -> bool:
    """Whether a cell is meant as a file of some kind that is there.

    Goes by its name, or if that does not tell, as of a file without an ending, by its first bytes.
    """
    if isinstance(cell, bytes | bytearray):
        return signature.match(cell) is not None
    if not isinstance(cell, str | os.PathLike):
        return False
    path = os.fsdecode(cell)
    if not os.path.isfile(path):
        return False
    told = noun_of_name(path)
    if told is not None:
        return path.lower().endswith(SUFFIXES[noun])
    try:
        with open(path, "rb") as file:
            return signature.match(file.read(64)) is not None
    except OSError:
        return False  # whoever reads it will say why it cannot be read


def noun_of_name(cell: Any) -> str | None:
    """Return the kind of file that a string or path ends like, one that is read or not."""
    if not isinstance(cell, str | os.PathLike):
        return None
    name = os.fsdecode(cell).strip().lower()
    nouns = (noun for noun in SUFFIXES if name.endswith(SUFFIXES[noun] + UNREAD[noun]))
    return next(nouns, None)


def label_of(cell: str | os.PathLike | bytes | bytearray) -> str:
    """Return what a file or its bytes are called in errors."""
    return f"{len(cell)} bytes" if isinstance(cell, bytes | bytearray) else repr(os.fsdecode(cell))


def find_memory(memory: str | os.PathLike | Memory | None) -> Memory:
    """Return the `joblib.Memory` of a parameter `memory`, which may also be a folder or None."""
    return check_memory(os.fspath(memory) if isinstance(memory, os.PathLike) else memory)


def remembered(
    function: Callable[..., Any],
    memory: str | os.PathLike | Memory | None,
    root: str | os.PathLike | None,
) -> Callable[..., Any]:
    """Let a function that reads cells look into a memory first.

    Parameters
    ----------
    function : callable
        Of the top level of a module; takes a cell, and by name root and settings. What it returns
        must depend on nothing else.

    Returns
    -------
    callable
        Takes a cell, and the settings by name. Only what paths and bytes hold is remembered; a
        file of another size or time is read anew.
    """
    cached = find_memory(memory).cache(_read, ignore=["function", "cell", "root"])
    name = f"{function.__module__}.{function.__qualname__}"

    def read(cell: Any, **settings: Any) -> Any:
        stamp = None if memory is None else _stamp(cell, root)
        return (_read if stamp is None else cached)(function, cell, root, name, stamp, settings)

    return read


def _read(
    function: Callable[..., Any],
    cell: Any,
    root: str | os.PathLike | None,
    name: str,
    stamp: tuple | None,
    settings: dict[str, Any],
) -> Any:
    """Read a cell; what it is remembered by are the other arguments."""
    return function(cell, root=root, **settings)


def _stamp(cell: Any, root: str | os.PathLike | None) -> tuple | None:
    """Return what changes when the content of a cell does; None if that would cost too much."""
    if isinstance(cell, bytes | bytearray):
        return len(cell), hashlib.sha256(cell).hexdigest()
    if not isinstance(cell, str | os.PathLike):
        return None
    path = os.fsdecode(cell) if root is None else os.path.join(root, os.fsdecode(cell))
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None  # whoever reads it will say why it cannot be read
    return os.path.abspath(path), status.st_size, status.st_mtime_ns


def read_each(
    name: Any,
    column: np.ndarray,
    read: Callable[[Any], Any],
    on_error: str = "raise",
    *,
    quiet: bool = False,
) -> Iterator[tuple[int, Any]]:
    """Read the observed cells of a column, one after the other.

    Where `on_error` is "missing", one that cannot be read is missing, and warned of unless `quiet`.

    Yields
    ------
    row : int
    value
        What `read` returned. Rows that are missing are left out.
    """
    unread, first = [], None
    for row in np.flatnonzero(observed(column)).tolist():
        end_if_unwanted()
        try:
            with locate(column=name, row=row):
                value = read(column[row])
        except CellError as error:
            if on_error == "raise":
                raise
            unread.append(row)
            first = first or error.problem
            continue
        yield row, value
    if unread and not quiet:
        warn_of_rows(
            name,
            unread,
            f"{len(unread)} cells cannot be read and are taken as missing. The first one: {first}.",
        )


def read_facts(
    name: Any, column: np.ndarray, read: Callable[[Any], Any], on_error: str = "raise"
) -> dict[int, Any]:
    """Return what a first look at the cells of a column says, by row; see `read_each`."""
    return dict(read_each(name, column, read, on_error, quiet=True))  # a second look will warn


def warn_of_rows(name: Any, rows: Sequence[int], problem: str) -> None:
    """Warn of some rows of a column."""
    place = f"column {name!r}, row{'s' if len(rows) > 1 else ''} {listing(rows, most=5)}"
    warn(f"{place}: {problem}")


def _neighbour(path: Path, what: str) -> str:
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in islice(entries, 1000)]
        names = [name for name in names if name.lower().endswith(SUFFIXES[what])]
        # All of them are alike in their endings.
        return did_you_mean(path.name, names, by=lambda name: Path(name).stem)
    except OSError:
        return ""
