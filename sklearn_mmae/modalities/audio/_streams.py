"""What libsndfile does not see of a file: how long an MP3 is, and that an Ogg or FLAC goes on.

It guesses the length of an MP3 without a header of that by its first bit rate, reads no farther
than a header says, and stops at the end of the first of several streams in one file.
"""

from __future__ import annotations

import re
import struct
from functools import cache

__all__ = ["is_mp3", "links", "whole_mp3"]

# MPEG audio, layer III: kilobits a second of version 1, and of 2 and 2.5; samples a second of 1.
BITRATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
RATES = (44_100, 48_000, 32_000)
VERSIONS = {3: 1, 2: 2, 0: 4}  # bits of a header: what the rates are divided by
MIDDLE = 9  # place of a bit rate whose frames hold a header of the length
LOST = 2**16  # bytes without a frame after which none is looked for
WHOLE = 0.99  # of the frames: some writers are wrong by a few
FLAC = re.compile(rb"fLaC[\0\x80]\0\0\x22")  # with the header of its first block
FIRST = 2  # flag of the page that begins a stream of Ogg


def is_mp3(head: bytes) -> bool:
    """Whether the first bytes of a file may be those of an MP3, or of tags before it."""
    return head.startswith(b"ID3") or _frame_bytes(head[1:3]) > 0


def whole_mp3(data: bytes) -> tuple[bytes, tuple[float, float] | None]:
    """Return an MP3 whose header says how long it is.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    data : bytes
        The same where its header is right, or where it is no MP3.
    cut : tuple of float or None
        Seconds that are there, and that its header promised, where these are more.
    """
    runs, n_frames = _frames(data)
    if n_frames < 2:
        return data, None
    first = runs[0][0]
    header = data[first : first + 4]
    tag = _tag_place(data, first)
    promised = None
    if tag is not None:
        n_frames -= 1  # it is a frame itself, without sound
        if data[tag + 7] & 1:
            (promised,) = struct.unpack_from(">I", data, tag + 8)
    if promised == n_frames:
        return data, None
    if promised is not None and n_frames < WHOLE * promised:
        seconds = (576 if _version(header) > 1 else 1152) / _rate(header)
        return data, (n_frames * seconds, promised * seconds)
    sound = b"".join(data[begin:end] for begin, end in runs)
    if tag is not None:
        sound = sound[_frame_bytes(header[1:3]) :]
    return _length_frame(header, n_frames) + sound, None


def links(data: bytes) -> list[bytes]:
    """Return the files that an Ogg or FLAC file is a chain of; most are one."""
    begins = _beginnings_of_ogg(data)
    if data.startswith(b"fLaC"):
        begins = [match.start() for match in FLAC.finditer(data)]
    begins = begins or [0]
    return [data[i:j] for i, j in zip(begins, [*begins[1:], len(data)], strict=True)]


def _beginnings_of_ogg(data: bytes) -> list[int]:
    """Return where streams begin; those that are interleaved begin together."""
    begins, at, beginning = [], 0, False
    while data[at : at + 4] == b"OggS" and at + 27 <= len(data):
        before, beginning = beginning, bool(data[at + 5] & FIRST)
        if beginning and not before:
            begins.append(at)
        n_segments = data[at + 26]
        at += 27 + n_segments + sum(data[at + 27 : at + 27 + n_segments])
    return begins


def _frames(data: bytes) -> tuple[list[tuple[int, int]], int]:
    """Return the stretches of an MP3 that are frames, and how many these are in all."""
    runs, n_frames, at = [], 0, 0
    while at is not None and at + 4 <= len(data):
        begin = at
        while data[at : at + 1] == b"\xff" and (length := _frame_bytes(data[at + 1 : at + 3])):
            if at + length > len(data):
                break
            n_frames, at = n_frames + 1, at + length
        if at > begin:
            runs.append((begin, at))
        at = _next_frame(data, at)
    return runs, n_frames


def _next_frame(data: bytes, at: int) -> int | None:
    """Return where frames go on after a tag, or after damaged bytes."""
    if data[at : at + 3] == b"ID3" and at + 10 <= len(data):
        size = 0
        for byte in data[at + 6 : at + 10]:
            size = size << 7 | byte & 127
        return at + 10 + size
    end = min(at + LOST, len(data))
    while (at := data.find(b"\xff", at + 1, end)) >= 0:
        length = _frame_bytes(data[at + 1 : at + 3])
        if length and data[at + length : at + length + 1] == b"\xff":
            return at
    return None


@cache
def _frame_bytes(header: bytes) -> int:
    """Return the length of a frame, of the second and third byte of its header; 0 for others."""
    if len(header) < 2 or header[0] & 0xE6 != 0xE2 or header[0] >> 3 & 3 not in VERSIONS:
        return 0
    version, place = VERSIONS[header[0] >> 3 & 3], header[1] >> 4
    if not 0 < place < 15 or header[1] >> 2 & 3 == 3:
        return 0
    bits = BITRATES[version > 1][place] * 1000 * (72 if version > 1 else 144)
    return bits // (RATES[header[1] >> 2 & 3] // version) + (header[1] >> 1 & 1)


def _version(header: bytes) -> int:
    return VERSIONS[header[1] >> 3 & 3]


def _rate(header: bytes) -> int:
    return RATES[header[2] >> 2 & 3] // _version(header)


def _tag_offset(header: bytes) -> int:
    """Return where in a frame the header of the length stands, after the side information."""
    mono = header[3] >> 6 == 3
    if _version(header) > 1:
        return 13 if mono else 21
    return 21 if mono else 36


def _tag_place(data: bytes, first: int) -> int | None:
    at = first + _tag_offset(data[first : first + 4])
    return at if data[at : at + 4] in (b"Xing", b"Info") else None


def _length_frame(header: bytes, n_frames: int) -> bytes:
    """Return a frame without sound that says how many follow, like one of them."""
    head = bytes([0xFF, header[1] | 1, MIDDLE << 4 | header[2] & 0x0C, header[3]])
    tag = b"Xing" + struct.pack(">II", 1, n_frames)
    return (head + bytes(_tag_offset(header) - 4) + tag).ljust(_frame_bytes(head[1:3]), b"\0")
