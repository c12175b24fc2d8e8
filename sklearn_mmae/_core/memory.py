"""Memory that is free, and which the process holds all the same."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

__all__ = ["give_back"]


def give_back() -> None:
    """Give free memory back to the system, where the C library (glibc) keeps it for later.

    What comes later has blocks of other sizes, which do not fit where those before were: without
    this the peak of a process is nearly the sum of the peaks of its stages. It takes milliseconds.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim():
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
