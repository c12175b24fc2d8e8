"""`Later`: what takes a while to learn, and is learned when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Later"]

Found = TypeVar("Found")


class Later(Generic[Found]):
    """What is learned when it is first asked for, and then kept.

    Until then it may hold rows, in memory alone: who fits and never asks does not wait for it, and
    what is pickled, copied or written to files is what was learned, without a row. Threads that ask
    at once may each learn it, and find the same.

    Parameters
    ----------
    learn : callable
        ``learn()`` returns what is to be known, whenever it is called the same.
    """

    def __init__(self, learn: Callable[[], Found]):
        self._learn: Callable[[], Found] | None = learn

    @classmethod
    def known(cls, found: Found) -> Later[Found]:
        """Return what has been learned already."""
        later = cls(lambda: found)
        later()
        return later

    def __call__(self) -> Found:
        """Return what is known, having learned it."""
        learn = self._learn
        if learn is not None:
            self._found = learn()
            self._learn = None
        return self._found

    def __getstate__(self) -> dict:
        """Return what is known, and not what it is learned from."""
        return {"_found": self(), "_learn": None}
