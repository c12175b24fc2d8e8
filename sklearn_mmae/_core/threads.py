"""One thread for arithmetic: the bits of a sum depend on how many threads share it."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock, Thread

import torch

__all__ = ["one_thread"]

_LOCK = Lock()


@contextmanager
def one_thread():
    """Let this thread, and no other, compute without the help of more threads.

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
    try:
        yield
    finally:
        if before > 1:
            torch.set_num_threads(before)


def _for_new_threads(count):
    thread = Thread(target=torch.set_num_threads, args=(count,))
    thread.start()
    thread.join()
