"""The file a model is kept in: numbers, text and arrays, never code.

A file is one safetensors file, so that other tools can look inside: eight bytes that give the
length of the header, the header in JSON, then the arrays one after another, little-endian. Our
own part of the header, ``__metadata__``, holds the format's name and version, the kind of file, a
checksum and the tree of values in JSON, in which an array is its number:

    {"n_components": 8, "mean_": {"$array": [0]}, "size": {"$tuple": [32, 32]}}

A dictionary of one key that begins with ``$`` is such a tag; a key of the user's that begins so
gets a second ``$``. Nothing here knows a class of the package.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import secrets
import stat
from contextlib import suppress

import numpy as np

from .errors import ModelFileError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["read", "write"]

_FORMAT, _VERSION = "sklearn-mmae", 2
_METADATA = {"format", "version", "sha256", "kind", "tree"}
# What a file may ask of the reader. Every value costs one of the marks ``, : [ {`` and at most
# some 80 bytes once it is parsed, so counting marks first bounds what a small header can grow to.
_HEADER_BYTES, _MARKS, _ARRAYS, _DIMENSIONS, _DEPTH = 8_000_000, 300_000, 10_000, 32, 64
_ASIDE = ".sklearn-mmae-"  # begins the names of files that are not yet complete
_BLANK = "0" * 64  # stands for the checksum while it is computed
_DTYPES = {
    **{"F16": "<f2", "F32": "<f4", "F64": "<f8", "BOOL": "|b1", "I8": "|i1", "U8": "|u1"},
    **{f"{kind.upper()}{8 * n}": f"<{kind}{n}" for kind in "iu" for n in (2, 4, 8)},
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_MOMENT = re.compile(r"(datetime64|timedelta64)(\[\d{0,9}(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?")


def write(path, tree, *, kind):
    """Write a tree of values to one file, wholly or not at all.

    The file appears under its name only when every byte is on the disk; until then, and after
    a failure, an older file of that name stays as it was.

    Parameters
    ----------
    path : str or path-like
    tree : dict, list, tuple, str, int, float, bool, None, ndarray or numpy scalar
        Nested as you like, up to 64 deep; dictionaries have text for keys. Arrays hold numbers,
        bools, ``datetime64`` or ``timedelta64``; `read` returns them in C order.
    kind : str
        What the tree describes; `read` asks for the same.

    Raises
    ------
    ModelFileError
        If there is a folder or a device of that name.
    TypeError
        For any other value, naming its place in the tree.
    ValueError
        For a tree deeper or longer than `read` would accept.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> with TemporaryDirectory() as folder:
    ...     write(Path(folder) / "a.mmae", {"size": (2, 2), "mean": np.arange(3)}, kind="example")
    ...     read(Path(folder) / "a.mmae", kind="example")
    {'size': (2, 2), 'mean': array([0, 1, 2])}
    """
    arrays = []
    text = json.dumps(_encode(tree, "tree", arrays, 0), separators=(",", ":"))
    # Widest first, which keeps every array aligned for readers that map the file.
    order = sorted(range(len(arrays)), key=lambda i: -arrays[i].itemsize)
    metadata = {
        "format": _FORMAT,
        "version": str(_VERSION),
        "sha256": _BLANK,
        "kind": kind,
        "tree": text,
    }
    entries, end = {"__metadata__": metadata}, 0
    for i in order:
        begin, end = end, end + arrays[i].nbytes
        entries[str(i)] = {
            "dtype": _CODES[arrays[i].dtype.str],
            "shape": list(arrays[i].shape),
            "data_offsets": [begin, end],
        }
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    _check_extent(header, len(arrays), ValueError)
    parts = [len(header).to_bytes(8, "little"), header, *(arrays[i] for i in order)]
    checksum = hashlib.sha256()
    for part in parts:
        checksum.update(part)
    parts[1] = header.replace(_BLANK.encode(), checksum.hexdigest().encode(), 1)
    _replace(path, parts)


def read(path, *, kind):
    """Read what `write` wrote, trusting nothing in the file.

    No code is run, nothing is allocated before the sizes agree with the file's, and arrays are
    copies, independent of the file. The checksum finds accidents; it is no signature.

    Parameters
    ----------
    path : str or path-like
    kind : str
        As given to `write`.

    Returns
    -------
    The tree.

    Raises
    ------
    ModelFileError
        For a file that is damaged, of another kind or of a newer version, with path and reason.
    FileNotFoundError
        If there is no such file.
    """
    try:
        # Before opening it: a pipe would wait for ever, a device need not end.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ModelFileError("it is a folder or a device, not a file")
        with open(path, "rb") as file:
            return _read(file, kind)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"no such file: {os.fspath(path)!r}. Give the path that was given to save."
        ) from None
    except ModelFileError as error:
        raise ModelFileError(f"cannot read {os.fspath(path)!r}: {error}") from error


def _read(file, kind):
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > min(size - 8, _HEADER_BYTES):
        raise ModelFileError(f"it is not a file of {_FORMAT}, or was cut short")
    header = file.read(length)
    _check_extent(header, 0, ModelFileError)
    entries = _parse(header.decode("latin-1"))
    metadata = entries.pop("__metadata__", None) if type(entries) is dict else None
    _check_metadata(metadata, kind)
    _check_extent(header, len(entries), ModelFileError)
    layout = _layout(entries, size - 8 - length)
    tree = _parse(metadata["tree"])
    blanked = header.decode().replace(metadata["sha256"], _BLANK, 1).encode()
    checksum, arrays = hashlib.sha256(start + blanked), {}
    for number, dtype, shape in layout:
        array = arrays[number] = np.empty(shape, dtype)
        if file.readinto(array) != array.nbytes:
            raise ModelFileError("it was cut short while it was read")
        checksum.update(array)
    if checksum.hexdigest() != metadata["sha256"]:
        raise ModelFileError("its checksum is wrong, it was damaged. Save or copy it again")
    for array in arrays.values():
        if array.dtype == bool and array.view(np.uint8).max(initial=0) > 1:
            raise ModelFileError("an array of bools holds something else")
    tree = _decode(tree, arrays, 0)
    if arrays:
        raise ModelFileError("it holds arrays that nothing refers to")
    return tree


def _replace(path, parts):
    # Through links, as any program that opens a file for writing would.
    path = os.path.realpath(path)
    before = _file_before(path)
    _remove_left(os.path.dirname(path))
    aside = os.path.join(os.path.dirname(path), f"{_ASIDE}{secrets.token_hex(8)}.tmp")
    try:
        # What replaces a file of its owner's eyes only is never open to others.
        mode = 0o666 if before is None else 0o600
        with open(aside, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            _lock(file)
            if before is not None:
                _own_as(before, aside)
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
            if fcntl is not None:  # while it is locked
                os.replace(aside, path)
        if fcntl is None:  # Windows moves no file that is open
            os.replace(aside, path)
    except BaseException:
        if os.path.exists(aside):
            os.unlink(aside)
        raise


def _file_before(path):
    """Return the state of the file that is to be replaced, or None; refuse what is no file."""
    before = os.stat(path) if os.path.exists(path) else None
    if before is not None and not stat.S_ISREG(before.st_mode):
        raise ModelFileError(f"cannot write {path!r}: it is a folder or a device, not a file")
    return before


def _own_as(before, path):
    """Give a file the owner of another one, where we may, and its mode."""
    now = os.stat(path)
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        with suppress(PermissionError):
            os.chown(path, before.st_uid, before.st_gid)
    os.chmod(path, stat.S_IMODE(before.st_mode))


def _lock(file):
    """Lock a file until it is closed, which the end of the process does, too."""
    with suppress(OSError):  # of a file system that has no locks
        if fcntl is not None:  # Windows removes no file that is open
            fcntl.flock(file, fcntl.LOCK_EX)


def _refuse_locked(file):
    """Raise `OSError` if a file is locked, or where that cannot be known."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_left(folder):
    """Remove what killed processes have left of their saves: begun, and locked by nobody."""
    left = []
    with suppress(OSError), os.scandir(folder) as entries:
        left = [e for e in entries if e.name.startswith(_ASIDE) and e.is_file()]
    for entry in left:
        with suppress(OSError):
            with open(entry, "rb") as file:
                _refuse_locked(file)
                has_begun = os.fstat(file.fileno()).st_size  # else it may soon be locked
            if has_begun:
                os.unlink(entry)


def _encode(node, place, arrays, depth):
    """Return a node as strict JSON can hold it; its arrays are appended to `arrays`."""
    if depth > _DEPTH:
        raise ValueError(f"{place} is nested more than {_DEPTH} deep")
    # Exact types: a subclass would come back as something else.
    cls = type(node)
    if node is None or cls in (bool, int, str):
        return node
    if cls is np.str_:
        return str(node)
    if cls is float:
        return node if math.isfinite(node) else {"$float": repr(node)}
    if cls in (list, tuple):
        items = [_encode(x, f"{place}[{i}]", arrays, depth + 1) for i, x in enumerate(node)]
        return items if cls is list else {"$tuple": items}
    if cls is dict:
        for key in node:
            if type(key) is not str:
                raise TypeError(f"{place} has the key {key!r}: keys must be text")
        return {
            f"${key}" if key.startswith("$") else key: _encode(
                x, f"{place}[{key!r}]", arrays, depth + 1
            )
            for key, x in node.items()
        }
    if cls is np.ndarray or isinstance(node, np.generic):
        return {"$array" if cls is np.ndarray else "$scalar": _put(np.asarray(node), place, arrays)}
    raise TypeError(f"{place} is a {cls.__name__}, which a file cannot hold")


def _put(array, place, arrays):
    array = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    moment = array.dtype.kind in "mM"
    stored = array.view("<i8") if moment else array
    if stored.dtype.str not in _CODES:
        raise TypeError(
            f"{place} is an array of {array.dtype}, which a file cannot hold; numbers, bools and "
            "moments in time it can, and text as a list"
        )
    arrays.append(stored)
    return [len(arrays) - 1, str(array.dtype.newbyteorder("="))] if moment else [len(arrays) - 1]


def _decode(node, arrays, depth):
    """Undo `_encode`; takes out of `arrays` what it places."""
    if depth > _DEPTH:
        raise ModelFileError("its tree is nested too deeply")
    if type(node) is list:
        return [_decode(item, arrays, depth + 1) for item in node]
    if type(node) is not dict:
        return node
    if not any(re.match(r"\$(?!\$)", key) for key in node):
        return {
            key[1:] if key.startswith("$") else key: _decode(item, arrays, depth + 1)
            for key, item in node.items()
        }
    ((tag, value),) = node.items() if len(node) == 1 else [(None, None)]
    if tag == "$tuple" and type(value) is list:
        return tuple(_decode(value, arrays, depth))
    if tag == "$float" and value in ("nan", "inf", "-inf"):
        return float(value)
    if tag in ("$array", "$scalar") and type(value) is list:
        array = _take(value, arrays)
        if tag == "$array":
            return array
        if array.shape == ():
            return array[()]
    raise ModelFileError("its tree holds a tag that is not known")


def _take(reference, arrays):
    number, *moment = reference or [None]
    if type(number) is not int or number not in arrays or len(moment) > 1:
        raise ModelFileError("its tree refers to an array that is not there")
    array = arrays.pop(number)
    if not moment:
        return array
    if type(moment[0]) is str and _MOMENT.fullmatch(moment[0]) and array.dtype == np.int64:
        return array.view(np.dtype(moment[0]).newbyteorder("<"))
    raise ModelFileError(f"an array of moments cannot be of type {moment[0]!r}")


def _check_extent(header, n_arrays, error):
    marks = sum(map(header.count, (b",", b":", b"[", b"{")))
    for what, found, most in (
        ("bytes of header", len(header), _HEADER_BYTES),
        ("values", marks, _MARKS),
        ("arrays", n_arrays, _ARRAYS),
    ):
        if found > most:
            raise error(f"too many {what}: {found:,}, at most {most:,} are read")


def _check_metadata(metadata, kind):
    # Format and version first: a newer version may well have other keys.
    if type(metadata) is not dict or metadata.get("format") != _FORMAT:
        raise ModelFileError(f"it is not a file of {_FORMAT}")
    version = metadata.get("version")
    if type(version) is not str or not re.fullmatch(r"[1-9][0-9]{0,8}", version):
        raise ModelFileError("its format has no version")
    if int(version) > _VERSION:
        raise ModelFileError(
            f"its format is version {version}, newer than the {_VERSION} that this "
            f"{_FORMAT} reads. Update {_FORMAT}"
        )
    if int(version) < _VERSION:
        raise ModelFileError(
            f"its format is version {version}, older than the {_VERSION} that this "
            f"{_FORMAT} reads. Fit the model again and save it anew"
        )
    if set(metadata) != _METADATA or any(type(value) is not str for value in metadata.values()):
        raise ModelFileError("its header has other entries than it should")
    if metadata["kind"] != kind:
        raise ModelFileError(f"it holds {metadata['kind']!r}, not {kind!r}")


def _layout(entries, n_bytes):
    """Return number, dtype and shape of every array, in file order, or refuse."""
    if set(entries) != {str(i) for i in range(len(entries))}:
        raise ModelFileError("its arrays are not numbered from 0 on")
    layout, end = [], 0
    for name, entry in entries.items():
        if type(entry) is not dict or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise ModelFileError(f"array {name} is not described as it should")
        code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if type(code) is not str or code not in _DTYPES:
            raise ModelFileError(f"array {name} is of a type that is not known")
        if not _counts(shape) or len(shape) > _DIMENSIONS:
            raise ModelFileError(f"array {name} has no proper shape")
        dtype = np.dtype(_DTYPES[code])
        # numpy also refuses an empty array whose other sides are too long.
        if math.prod(max(side, 1) for side in shape) * dtype.itemsize >= 2**63:
            raise ModelFileError(f"array {name} is too large")
        begin, end = end, end + math.prod(shape) * dtype.itemsize
        if not _counts(offsets) or offsets != [begin, end]:
            raise ModelFileError(f"array {name} is not where its shape says")
        layout.append((int(name), dtype, tuple(shape)))
    if end != n_bytes:
        raise ModelFileError(f"its arrays take {end:,} bytes, {n_bytes:,} are there")
    return layout


def _counts(items):
    return type(items) is list and all(type(item) is int and 0 <= item < 2**63 for item in items)


def _parse(text):
    """Parse JSON as `write` writes it: plain ASCII, every key once, every number finite."""
    try:
        if not text.isascii():
            raise ValueError("a character that should be escaped")
        return json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite
        )
    except (ValueError, RecursionError) as error:
        raise ModelFileError("its header is not proper JSON, it was damaged") from error


def _unique(pairs):
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("a key occurs twice")
    return entries


def _refuse(constant):
    raise ValueError(f"{constant} is no JSON")


def _finite(digits):
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)
