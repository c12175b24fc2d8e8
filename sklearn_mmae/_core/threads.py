"""One thread for arithmetic: the bits of a sum depend on how many threads share it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock, Thread, local

import torch

__all__ = ["one_thread", "side_by_side"]

_LOCK = Lock()
_CALLER = local()  # how many threads this one had before `one_thread`
LEAST_PIECES = 4  # below that, starting helpers costs more than they save


@contextmanager
def one_thread(*, helpers=True):
    """Let this thread, and no other, compute without the help of more threads.

    Parameters
    ----------
    helpers : bool, default=True
        Whether `side_by_side` may use as many threads as there were. Each has memory of its own.

    Notes
    -----
    ``torch.set_num_threads`` sets OpenMP's and MKL's count of the calling thread, and a global
    number that only threads which have not yet computed anything begin with. That number is put
    back at once, from a thread made for it, so that nobody else ever meets ours.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mmae._core.threads import one_thread
    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    """
    with _LOCK:  # a thread that begins here must not read the number in between
        before = torch.get_num_threads()
        if before > 1:
            torch.set_num_threads(1)
            _for_new_threads(before)
    outside = getattr(_CALLER, "threads", None)
    _CALLER.threads = (outside or before) if helpers else 1
    try:
        yield
    finally:
        _CALLER.threads = outside
        if before > 1:
            torch.set_num_threads(before)


def side_by_side(work, pieces):
    """Call `work` on each piece, as many at once as the caller of `one_thread` had threads.

    Each piece is computed by one thread alone, so the bits are those of a plain loop.

    Parameters
    ----------
    work : callable
        Must touch nothing that another piece does.
    pieces : list
    """
    n_threads = min(getattr(_CALLER, "threads", None) or 1, len(pieces))
    if n_threads < 2 or len(pieces) < LEAST_PIECES:
        for piece in pieces:
            work(piece)
        return

    def alone(first):
        with one_thread():
            for piece in pieces[first::n_threads]:
                work(piece)

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(alone, range(n_threads)))  # list: to raise what a piece raised


def _for_new_threads(count):
    thread = Thread(target=torch.set_num_threads, args=(count,))
    thread.start()
    thread.join()
