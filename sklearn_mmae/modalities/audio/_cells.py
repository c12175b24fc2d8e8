"""Sounds in, samples of one rate out: files, bytes and arrays, each checked first."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import BytesIO
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..._core.errors import CellError, CellTypeError
from ..._core.optional import optional
from .._arrays import unwrapping
from .._files import label_of, looks_like_file, regular_file
from ._streams import is_mp3, links, whole_mp3

if TYPE_CHECKING:
    from soundfile import SoundFile

__all__ = ["HIGHEST_RATE", "SoundFacts", "decode", "describe", "looks_like_sound"]

# What libsndfile reads and people have; raw samples without a header are none.
FORMATS = ("WAV", "WAVEX", "RF64", "W64", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF")
NAMED = "WAV, FLAC, OGG, MP3, AIFF, AU or CAF"
SIGNATURE = re.compile(
    rb"RIFF....WAVE|RF64....WAVE|fLaC|OggS|ID3|\xff[\xf2\xf3\xfa\xfb]|FORM....AIF[FC]|\.snd|caff",
    re.DOTALL,
)
SHORTENED = re.compile(r"^ *(?:data|SSND) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
BEYOND = re.compile(r"^Length : (\d+)(?s:.*)chunk marker \(\w+\) at position (\d+)", re.MULTILINE)
HIGHEST_RATE = 1_000_000  # hertz; ultrasound is recorded at half of it
MOST_CHANNELS = 64  # of an array: more are samples, in the wrong place
LOUDEST = 8.0  # of floats, where 1 is full scale
QUIETEST = 2.0**-16  # of numbers of 32 and 64 bits, in units of these: less is another unit
STREAMED = 2**31 - 2**16  # bytes: what writers say who do not know it yet
WHOLE = 0.99  # of the bytes: some writers are wrong by a few
BLOCK = 2**18  # numbers decoded at a time
MISSING = "None where the sound is missing"
ANOTHER = f"Give a sound, or {MISSING}"
WHY = "AudioModality"


class SoundFacts(NamedTuple):
    """What `describe` finds out about a sound.

    Attributes
    ----------
    rate : int
        Samples a second.
    seconds : float
        Going by the header, or of an MP3 by its frames; files may end earlier.
    """

    rate: int
    seconds: float


def describe(
    cell: Any, *, rate: int | None = None, root: str | os.PathLike | None = None
) -> SoundFacts:
    """Return the `SoundFacts` of a cell, decoding nothing of a file.

    Parameters
    ----------
    cell : str, path, bytes, ndarray or tuple of a rate and an array
    rate : int, optional
        Of arrays that come without one.
    root : path, optional
        Folder that paths are relative to, and must not leave.

    Raises
    ------
    CellError
        Where it cannot be read.
    """
    with _opened(cell, rate, root) as parts:
        lengths = [len(s) if isinstance(s, np.ndarray) else s.frames for s, _ in parts]
        rates = [own_rate for _, own_rate in parts]
        return SoundFacts(rates[0], sum(n / r for n, r in zip(lengths, rates, strict=True)))


def decode(
    cell: Any,
    *,
    sampling_rate: int,
    max_seconds: float,
    rate: int | None = None,
    root: str | os.PathLike | None = None,
) -> np.ndarray:
    """Return a cell as samples of one rate.

    Parameters
    ----------
    cell : str, path, bytes, ndarray or tuple of a rate and an array
    sampling_rate : int
        Hertz; other rates are resampled, with a filter against aliases.
    max_seconds : float
        What comes later is not read.
    rate, root
        As in `describe`.

    Returns
    -------
    ndarray of shape (n, channels), float32, n > 0
        Full scale is -1 to 1.

    Raises
    ------
    CellError
        Where it cannot be read.
    """
    read, most = [], max(1, round(max_seconds * sampling_rate))
    with _opened(cell, rate, root) as parts:
        for sound, own_rate in parts:
            n = math.ceil((max_seconds - sum(map(len, read)) / sampling_rate) * own_rate)
            if n <= 0:
                break
            samples = _floats(sound[:n]) if isinstance(sound, np.ndarray) else _read(sound, n)
            _check_range(samples)
            if own_rate != sampling_rate:
                resample = optional("soxr", extra="audio", why=WHY).resample
                samples = resample(samples, own_rate, sampling_rate)
            read.append(samples)
    samples = _joined(read)[:most]
    # A sound shorter than a sample of the new rate is still a sound.
    return samples if len(samples) else np.zeros((1, 1), np.float32)


def looks_like_sound(cell: Any) -> bool:
    """Whether a cell is meant as a sound, going by its type, first bytes or name."""
    if isinstance(cell, tuple):
        return _pair(cell) is not None
    return looks_like_file(cell, SIGNATURE, "sound")


@contextmanager
def _opened(
    cell: Any, rate: int | None, root: str | os.PathLike | None
) -> Iterator[list[tuple[SoundFile | np.ndarray, int]]]:
    """Yield a checked array, or files whose headers are read: links of a chain; with rates."""
    if isinstance(cell, tuple):
        pair = _pair(cell)
        if pair is None:
            raise CellTypeError(
                "a tuple that is no pair of a rate and an array is not a sound",
                remedy=f"Give (rate, samples) or (samples, rate), or {MISSING}",
            )
        cell, rate = pair
    if isinstance(cell, np.ndarray):
        if rate is None:
            raise CellError(
                "an array of samples does not say its rate",
                remedy="Give AudioModality(rate=...), or cells (rate, samples)",
            )
        yield [(_checked(cell), _checked_rate(rate))]
        return
    if not isinstance(cell, bytes | bytearray | str | os.PathLike):
        raise CellTypeError(
            f"a {type(cell).__name__} is not a sound",
            remedy=unwrapping(cell)
            or f"Give a path, bytes, samples or (rate, samples), or {MISSING}",
        )
    label = label_of(cell)
    soundfile = optional("soundfile", extra="audio", why=WHY)
    try:
        with ExitStack() as stack:
            sounds = [
                stack.enter_context(soundfile.SoundFile(source))
                for source in _sources(cell, root, label)
            ]
            for sound in sounds:
                _check_header(sound, label)
            yield [(sound, sound.samplerate) for sound in sounds]
    except CellError:
        raise
    except Exception as error:  # decoders raise almost anything on damaged bytes
        reason = getattr(error, "error_string", None) or str(error)
        raise CellError(
            f"{label} is no sound that can be read ({NAMED}), or is damaged ({reason.rstrip('.')})",
            remedy=ANOTHER,
        ) from error


def _sources(
    cell: str | os.PathLike | bytes | bytearray, root: str | os.PathLike | None, label: str
) -> Sequence[str | BytesIO]:
    """Return what libsndfile is to open for a cell, one after the other."""
    in_memory = isinstance(cell, bytes | bytearray)
    path = None if in_memory else regular_file(os.fsdecode(cell), root, "sound")
    if in_memory:
        head = bytes(cell[:4])
    else:
        with path.open("rb") as file:
            head = file.read(4)
    if not head:
        raise CellError(f"{label} is empty: 0 bytes", remedy=ANOTHER)
    chained = head in (b"OggS", b"fLaC")
    if not (chained or is_mp3(head)):
        return [_in_memory(cell) if in_memory else os.fspath(path)]
    data = bytes(cell) if in_memory else path.read_bytes()
    if chained:
        return [_in_memory(link) for link in links(data)]
    data, cut = whole_mp3(data)
    if cut is not None:
        raise CellError(
            f"{label} is cut short: {cut[0]:.2f} of {cut[1]:.2f} seconds are there",
            remedy=ANOTHER,
        )
    return [_in_memory(data)]


def _in_memory(cell: bytes | bytearray) -> BytesIO:
    """Return bytes as a file that survives the seeks of decoders of damaged ones."""
    return (BytesIO if cell[:4] in (b"RIFF", b"fLaC") else _Forgiving)(cell)


class _Forgiving(BytesIO):
    """Bytes whose first place is as far back as one can go."""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, at least the first."""
        return super().seek(max(offset, 0) if whence == 0 else offset, whence)


def _check_header(sound: SoundFile, label: str) -> None:
    """Refuse a file by what its header says, before anything is decoded."""
    if sound.format not in FORMATS:
        raise CellError(
            f"{label} is of the format {sound.format}, which is not read",
            remedy="Convert it to WAV or FLAC",
        )
    _checked_rate(sound.samplerate)
    if sound.frames <= 0:
        raise CellError(f"{label} has no samples, or is cut short", remedy=ANOTHER)
    beyond = BEYOND.search(sound.extra_info)
    if beyond is not None and int(beyond[2]) < WHOLE * int(beyond[1]):
        raise CellError(
            f"{label} goes on where its header says that it ends: {beyond[2]} of {beyond[1]} bytes",
            remedy="Write the file anew with a header that is right",
        )
    shortened = SHORTENED.search(sound.extra_info)
    if shortened is None:
        return
    promised, there = map(int, shortened.groups())
    if promised < STREAMED and there < WHOLE * promised:
        raise CellError(
            f"{label} is truncated: {there} of {promised} bytes of samples are there",
            remedy=ANOTHER,
        )


def _read(sound: SoundFile, most: int) -> np.ndarray:
    """Return the first samples of a file, (n, channels), block by block."""
    n, blocks = min(most, sound.frames), []
    while n > 0:
        size = min(n, max(1, BLOCK // sound.channels))
        block = sound.read(out=np.empty((size, sound.channels), np.float32))
        if not len(block):
            break
        blocks.append(block)
        n -= len(block)
    if n > 0 and sound.format != "MP3":  # whose header does not say how long it is
        raise CellError(
            f"it is truncated: {n} of the samples that its header promises are not there",
            remedy=ANOTHER,
        )
    if not blocks:
        raise CellError("it has no samples", remedy=ANOTHER)
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """Return parts one after the other; where some have more channels, all get as many."""
    if len(parts) == 1:
        return parts[0]
    channels = math.lcm(*(part.shape[1] for part in parts))
    return np.concatenate([part.repeat(channels // part.shape[1], 1) for part in parts])


def _check_range(samples: np.ndarray) -> None:
    low, high = float(samples.min()), float(samples.max())
    if low >= -LOUDEST and high <= LOUDEST:  # NaN is not
        return
    if not np.isfinite(samples).all():
        raise CellError(
            "the sound has samples that are NaN or infinite",
            remedy=f"Fill them in, or give {MISSING}",
        )
    raise CellError(
        f"the sound's samples go from {low:g} to {high:g}, but floats count from -1 to 1",
        remedy="Divide by the largest number that a sample can be, such as 32768",
    )


def _pair(cell: tuple) -> tuple[np.ndarray, Real] | None:
    """Return samples and rate of a tuple in either order, or None."""
    if len(cell) != 2:
        return None
    first, second = cell
    if isinstance(first, np.ndarray) and first.ndim and _is_number(second):
        return first, second
    if isinstance(second, np.ndarray) and second.ndim and _is_number(first):
        return second, first
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _checked_rate(rate: float) -> int:
    """Return a rate as an int, if sounds can have it."""
    if not (0 < rate <= HIGHEST_RATE) or rate != int(rate):
        raise CellError(
            f"a rate of {rate:g} samples a second",
            remedy=f"Give a whole number of hertz, from 1 to {HIGHEST_RATE:,}",
        )
    return int(rate)


def _checked(array: np.ndarray) -> np.ndarray:
    """Return an array (n,) or (n, channels), if it can be samples."""
    if array.dtype.kind not in "uif":
        raise CellTypeError(
            f"an array of {array.dtype} is not a sound", remedy="Give an array of real numbers"
        )
    shape = "x".join(map(str, array.shape))
    if array.ndim not in (1, 2):
        raise CellError(
            f"an array of shape {shape} is not a sound",
            remedy="Give an array of samples, (n,) or (n, channels)",
        )
    if not array.size:
        raise CellError(f"the sound has no samples (shape {shape})", remedy=ANOTHER)
    if array.ndim == 2 and array.shape[1] > MOST_CHANNELS:
        raise CellError(
            f"a sound of {array.shape[1]} channels (shape {shape})",
            remedy="Give an array (n, channels): transpose this one by .T",
        )
    return array


def _floats(array: np.ndarray) -> np.ndarray:
    """Return samples as float32 in units of full scale, (n, channels)."""
    dtype, array = array.dtype, array.reshape(len(array), -1)
    if dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):  # the caller refuses what is infinite
            return array.astype(np.float32)
    full = 2.0 ** (8 * dtype.itemsize - 1)
    loudest = np.abs(array.astype(np.float64)).max() / full
    if dtype.itemsize > 2 and 0 < loudest <= QUIETEST:
        raise CellError(
            f"the sound's samples reach {loudest * full:.0f}, but {dtype} counts to {full:.3g}",
            remedy="Give the dtype that they were recorded in, such as int16: x.astype('int16')",
        )
    return (array / full - (1.0 if dtype.kind == "u" else 0.0)).astype(np.float32)
