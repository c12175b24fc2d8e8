"""Clips in, uint8 frames out: files, bytes and arrays, each checked first, read frame by frame.

Frames are chosen by when they are on the screen. A file is read once, from its beginning; a frame
that is not wanted is dropped at once, and one that is wanted is brought to size at once.
"""

from __future__ import annotations

import gc
import math
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..._core.errors import CellError, CellTypeError
from ..._core.optional import optional
from .._arrays import unwrapping
from .._files import label_of, looks_like_file, regular_file
from .._pictures import decode as decode_picture
from .._pictures import describe as describe_picture

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video import VideoFrame, VideoStream

__all__ = ["ClipFacts", "decode", "describe", "is_moving", "looks_like_clip"]

SIGNATURE = re.compile(
    rb"....ftyp(?!M4[AB] |hei|avif|mif1|crx)|\x1aE\xdf\xa3|\0\0\x01[\xba\xb3]|RIFF....AVI ",
    re.DOTALL,
)
GIF = (b"GIF87a", b"GIF89a")
# No format that names other files or addresses, as play lists do, and no file but the one given.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,gif,mpeg,mpegvideo,mpegts,avi,ogg"
NAMED = "MP4, WebM, MPEG, AVI, OGG or GIF"
MISSING = "None where the clip is missing"
ANOTHER = f"Give a clip, or {MISSING}"
SMALLER = "Give a smaller clip, or raise max_pixels if you trust its source"
# FFmpeg's own decoders of WebM's codecs leave transparency out.
WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
COVER = 1024  # by which FFmpeg marks the picture on an album
SLACK = 1e-3  # seconds by which time stamps are rounded: those of WebM are whole milliseconds


class ClipFacts(NamedTuple):
    """What `describe` finds out about a clip.

    Attributes
    ----------
    height, width : int
        Upright.
    grey : bool
    n_frames : int or None
        Of an array.
    seconds, rate : float or None
        Length, and frames a second, of a file; None for an array.
    kind, low, high
        As of an image, see `_pictures.PictureFacts`.
    """

    height: int
    width: int
    grey: bool
    n_frames: int | None = None
    seconds: float | None = None
    rate: float | None = None
    kind: str | None = None
    low: float = 0.0
    high: float = 255.0


def describe(
    cell: Any,
    *,
    max_value: float | None = None,
    root: str | os.PathLike | None = None,
    max_pixels: int,
) -> ClipFacts:
    """Return the `ClipFacts` of a cell, decoding no more of a file than its first frame.

    Parameters
    ----------
    cell : str, path, bytes or ndarray
    max_value : float, optional
        What stands for white in arrays other than uint8, if that is known.
    root : path, optional
        Folder that paths are relative to, and must not leave.
    max_pixels : int
        A file of more pixels a frame is refused before it is decoded.

    Raises
    ------
    CellError
        Where it cannot be read.
    """
    if isinstance(cell, np.ndarray):
        array = _checked(cell)
        # One tall picture: the same questions are asked of it.
        tall = array.reshape(-1, *array.shape[2:])
        facts = describe_picture(tall, max_value=max_value, max_pixels=max_pixels)
        return ClipFacts(
            *(*array.shape[1:3], facts.grey, len(array)),
            kind=facts.kind,
            low=facts.low,
            high=facts.high,
        )
    with _opened(cell, root, max_pixels) as (container, stream):
        shown = _decoded(container, stream, max_pixels)
        frame = next((frame for frame, _, _ in shown if frame is not None), None)
        if frame is None:
            raise _no_frames(cell)
        height, width = frame.height, frame.width
        if _orientation(frame)[0]:
            height, width = width, height
        rate = stream.average_rate or stream.guessed_rate
        seconds = _claimed_seconds(container, stream) or _scanned_seconds(container, stream, frame)
        return ClipFacts(
            height, width, _is_grey(frame), None, seconds, float(rate) if rate else 1 / seconds
        )


def decode(
    cell: Any,
    frames: np.ndarray,
    *,
    mode: str,
    fps: float,
    rate: float | None,
    units: dict[str, float],
    max_value: float | None = None,
    root: str | os.PathLike | None = None,
    max_pixels: int,
) -> tuple[int, bool]:
    """Write a cell's frames, of one mode and size, into an array.

    Parameters
    ----------
    cell : str, path, bytes or ndarray
    frames : ndarray of shape (n_frames, height, width, channels), uint8
        Where they go; what lasts longer is left out, what is shorter leaves the rest as it is.
    mode : {"L", "RGB"}
        What is transparent is laid over white.
    fps : float
        Frames a second to take: those on the screen at 0, 1 / fps, 2 / fps, ... seconds.
    rate : float or None
        Frames a second of an array; None if that is not known.
    units : dict of kind to float
        As for images, of arrays.
    max_value, root, max_pixels
        As in `describe`.

    Returns
    -------
    length : int
        How many frames were written.
    odd : bool
        Whether an array's numbers suggest another unit than the one in `units`.

    Raises
    ------
    CellError
        Where it cannot be read.
    """
    if isinstance(cell, np.ndarray):
        of_frames = {"mode": mode, "units": units, "max_value": max_value, "max_pixels": max_pixels}
        return _decode_array(_checked(cell), frames, fps, rate, of_frames)
    with _opened(cell, root, max_pixels) as (container, stream):
        length = end = 0
        turned = None
        for frame, until in _in_turn(_decoded(container, stream, max_pixels), stream, fps):
            end = until
            # The first frame is always taken: a clip may be shorter than a step.
            steps = max(_steps_before(end, fps, len(frames)), 1) - length
            if turned is None:  # asked of one only: who is asked waits for the collector
                turned = _orientation(frame)
            if steps > 0:
                pixels = _pixels(frame, frames.shape[1:3], mode, turned)
                frames[length : length + steps] = pixels
                length += steps
            if length == len(frames):
                break
        if not length:
            raise _no_frames(cell)
        claimed = _claimed_seconds(container, stream)
        if length < len(frames) and claimed and end < 0.9 * claimed - 0.1:
            raise CellError(
                f"{label_of(cell)} is cut short: {end:.2f} of {claimed:.2f} seconds are there",
                remedy=ANOTHER,
            )
    return length, False


def looks_like_clip(cell: Any) -> bool:
    """Whether a cell is meant as a clip, going by its type, first bytes or name; no GIF is."""
    if isinstance(cell, np.ndarray):
        return cell.ndim == 4 and cell.dtype.kind in "buif" and cell.shape[3] in (1, 3, 4)
    return looks_like_file(cell, SIGNATURE, "clip")


def is_moving(cell: Any) -> bool | None:
    """Whether a cell is a GIF of several frames; None if it is no GIF at all."""
    from PIL import Image

    if isinstance(cell, bytes | bytearray):
        if not cell.startswith(GIF):
            return None
        cell = BytesIO(cell)
    elif not (
        isinstance(cell, str | os.PathLike)
        and os.fsdecode(cell).lower().endswith(".gif")
        and os.path.isfile(cell)
    ):
        return None
    try:
        with Image.open(cell, formats=["GIF"]) as picture:
            return picture.is_animated
    except Exception:  # whoever reads it will say why it cannot be read
        return None


@contextmanager
def _opened(
    cell: Any, root: str | os.PathLike | None, max_pixels: int
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Yield a container of PyAV and its stream of images, nothing of it decoded."""
    av = optional("av", extra="video", why="VideoModality")
    # The frame of the clip before that was asked which way is up: it refers to itself, and the
    # collector does not know how large it is.
    gc.collect(1)
    if isinstance(cell, bytes | bytearray):
        source = BytesIO(cell)
    elif isinstance(cell, str | os.PathLike):
        # Opened here: no path, however it is spelt, is ever read as an address.
        source = regular_file(os.fsdecode(cell), root, "clip").open("rb")
    else:
        raise CellTypeError(
            f"a {type(cell).__name__} is not a clip",
            remedy=unwrapping(cell)
            or f"Give a path, bytes or an array (T, H, W[, C]), or {MISSING}",
        )
    label = label_of(cell)
    with source:
        if not source.read(1):
            raise CellError(f"{label} is empty: 0 bytes", remedy=ANOTHER)
        source.seek(0)
        options = {
            "format_whitelist": FORMATS,
            "protocol_whitelist": "",
            # Of what is decoded to find out about the file.
            "max_pixels": _with_padding(max_pixels),
        }
        try:
            with av.open(source, options=options) as container:
                yield container, _pictures(container, label, max_pixels)
        except (CellError, GeneratorExit):
            raise
        except Exception as error:  # decoders raise almost anything on damaged bytes
            raise CellError(
                f"{label} is no clip that can be read ({NAMED}), or is damaged"
                f" ({getattr(error, 'strerror', None) or error})",
                remedy=ANOTHER,
            ) from error


def _with_padding(max_pixels: int) -> str:
    """Return FFmpeg's own limit: it counts rows and columns of padding, which codecs add."""
    return str(4 * max_pixels + 2**16)


def _pictures(container: InputContainer, label: str, max_pixels: int) -> VideoStream:
    """Return the stream of images; covers of albums are none."""
    streams = [s for s in container.streams.video if not s.disposition & COVER]
    if not streams:
        kinds = "sound only" if container.streams.audio else "nothing that can be shown"
        raise CellError(f"{label} has no video track, but {kinds}", remedy=ANOTHER)
    stream = streams[0]
    if stream.codec_context is None:
        raise CellError(f"{label} has images of a kind that cannot be decoded", remedy=ANOTHER)
    # Sizes may change on the way.
    stream.codec_context.options = {"max_pixels": _with_padding(max_pixels)}
    width, height = stream.codec_context.width, stream.codec_context.height
    if not width * height:
        raise CellError(
            f"{label} says no size, or one far above max_pixels={max_pixels}", remedy=SMALLER
        )
    if width * height > max_pixels:
        raise CellError(
            f"{label} has {width} x {height} pixels, more than max_pixels={max_pixels}",
            remedy=SMALLER,
        )
    return stream


def _decoded(
    container: InputContainer, stream: VideoStream, max_pixels: int
) -> Iterator[tuple[VideoFrame | None, float | None, float]]:
    """Yield frames, when they come and how long they last, in seconds; 0 if that is not said.

    None where a packet is empty, by which Theora says that the frame before stays on.
    """
    av = optional("av", extra="video", why="VideoModality")
    codec = stream.codec_context
    said = {name.lower(): value for name, value in stream.metadata.items()}
    if said.get("alpha_mode") == "1" and codec.name in WITH_ALPHA:
        codec = av.CodecContext.create(WITH_ALPHA[codec.name], "r")
        codec.options = {"max_pixels": _with_padding(max_pixels)}
    for packet in container.demux(stream):
        # The last one, which has no time, makes the codec hand out what it has held back.
        if not packet.size and packet.pts is not None:
            unit = packet.time_base
            yield None, float(packet.pts * unit), float((packet.duration or 0) * unit)
            continue
        for frame in codec.decode(packet):
            yield frame, frame.time, float((frame.duration or 0) * frame.time_base)


def _in_turn(
    decoded: Iterable[tuple[VideoFrame | None, float | None, float]],
    stream: VideoStream,
    fps: float,
) -> Iterator[tuple[VideoFrame, float]]:
    """Yield each frame, and when it leaves the screen: seconds after the first one came."""
    last, start, end, time, lasts = None, 0.0, 0.0, 0.0, 0.0
    usual = 1 / float(stream.average_rate or stream.guessed_rate or fps)
    for number, (frame, comes, stays) in enumerate(decoded):
        time = number * usual if comes is None else comes
        lasts = stays or usual
        if last is None:
            start = time
        elif frame is not None:
            end = max(time - start, end)  # damaged time stamps may lead backwards
            yield last, end
        last = last if frame is None else frame
    if last is not None:
        yield last, max(time - start, end) + lasts


def _steps_before(end: float, fps: float, n_steps: int) -> int:
    """Return how many of the times 0, 1 / fps, ... are before an end."""
    return min(max(math.ceil((end - SLACK) * fps), 0), n_steps)


def _pixels(
    frame: VideoFrame, size: tuple[int, int], mode: str, turned: tuple[bool, int, int]
) -> np.ndarray:
    """Return a frame of PyAV as an upright array (height, width, channels)."""
    height, width = size[::-1] if turned[0] else size
    transparent = any(component.is_alpha for component in frame.format.components)
    kind = "rgba" if transparent else {"L": "gray", "RGB": "rgb24"}[mode]
    pixels = frame.reformat(width, height, kind, interpolation="AREA").to_ndarray()
    pixels = _upright(pixels, *turned)
    if transparent:
        pixels, _ = decode_picture(pixels, mode=mode, size=size, units={}, max_pixels=pixels.size)
    return pixels.reshape(*size, -1)


def _orientation(frame: VideoFrame) -> tuple[bool, int, int]:
    """Return whether a frame's axes are to be swapped, and then the signs of rows and columns.

    Of the display matrix ((a, b, u), (c, d, v), (x, y, w)), which says where a pixel goes: from
    (x, y) to (a x + c y, b x + d y).
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, 1, 1
    a, b, _, c, d, *_ = np.frombuffer(matrix, np.int32).tolist()
    swapped = abs(b) + abs(c) > abs(a) + abs(d)
    down, right = (b, c) if swapped else (d, a)
    return swapped, -1 if down < 0 else 1, -1 if right < 0 else 1


def _upright(pixels: np.ndarray, swapped: bool, down: int, right: int) -> np.ndarray:
    return (pixels.swapaxes(0, 1) if swapped else pixels)[::down, ::right]


def _is_grey(frame: VideoFrame) -> bool:
    form = frame.format
    colours = [component for component in form.components if not component.is_alpha]
    return len(colours) == 1 and not form.has_palette and not form.name.startswith("bayer")


def _claimed_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """Return the length of a stream as the file's header says, or None."""
    if container.format.name.startswith("mpeg"):
        return None  # there it is an estimate
    if stream.duration:
        return float(stream.duration * stream.time_base)
    start = float((stream.start_time or 0) * stream.time_base)  # the others count from 0
    told = re.match(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
    if told:
        hours, minutes, seconds = map(float, told.groups())
        return 3600 * hours + 60 * minutes + seconds - start
    if container.duration and len(container.streams) == 1:
        return container.duration / 1e6 - start
    return None


def _scanned_seconds(container: InputContainer, stream: VideoStream, first: VideoFrame) -> float:
    """Return the length of a stream, going by the time stamps of all that was not yet read."""
    start = end = first.time or 0.0
    usual = 1 / float(stream.average_rate or stream.guessed_rate or 1)
    for packet in container.demux(stream):
        if packet.pts is not None:
            lasts = float((packet.duration or 0) * packet.time_base) or usual
            end = max(end, float(packet.pts * packet.time_base) + lasts)
    return max(end - start, usual)


def _decode_array(
    array: np.ndarray,
    frames: np.ndarray,
    fps: float,
    rate: float | None,
    of_frames: dict[str, Any],
) -> tuple[int, bool]:
    if rate is None:
        raise CellError(
            "an array does not say how many frames a second it has",
            remedy="Say so: VideoModality(rate=...)",
        )
    length = max(_steps_before(len(array) / rate, fps, len(frames)), 1)
    odd = False
    for step in range(length):
        frame = array[min(int(step / fps * rate + SLACK), len(array) - 1)]
        pixels, differs = decode_picture(frame, size=frames.shape[1:3], **of_frames)
        frames[step] = pixels.reshape(frames.shape[1:])
        odd |= differs
    return length, odd


def _checked(array: np.ndarray) -> np.ndarray:
    """Return an array as (T, H, W) or (T, H, W, C), if it is a clip."""
    shape = "x".join(map(str, array.shape))
    if array.dtype.kind not in "buif":
        raise CellTypeError(
            f"an array of {array.dtype} is not a clip", remedy="Give an array of real numbers"
        )
    if array.ndim in (3, 4) and not len(array):
        raise CellError("a clip of zero frames", remedy=ANOTHER)
    if array.ndim not in (3, 4) or not array.size or (array.ndim == 4 and array.shape[3] > 4):
        first = array.ndim == 4 and array.shape[1] in (1, 3, 4)
        raise CellError(
            f"an array of shape {shape} is not a clip",
            remedy="Move the channels last: np.moveaxis(clip, 1, -1)"
            if first
            else "Give an array (T, H, W) or (T, H, W, C) of 1, 3 or 4 channels",
        )
    if array.dtype.kind == "f":
        for number, frame in enumerate(array):
            if not np.isfinite(frame).all():
                raise CellError(
                    f"frame {number} has pixels that are NaN or infinite",
                    remedy=f"Fill them in, or give {MISSING}",
                )
    return array


def _no_frames(cell: Any) -> CellError:
    return CellError(f"{label_of(cell)} has no frames", remedy=ANOTHER)
