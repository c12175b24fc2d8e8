"""One thread per piece of arithmetic: the bits of a sum depend on how many threads share it."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from threading import Lock, Thread, current_thread, local

import torch
from threadpoolctl import ThreadpoolController

from .errors import keeping_warnings, warn

__all__ = ["ahead", "end_if_unwanted", "one_thread", "side_by_side"]

AHEAD = 2  # pieces that are made while one is used

_LOCK = Lock()
_CALLER = local()  # `helpers`: what `side_by_side` may use in this thread, within `one_thread`


def _begin_anew():
    """Forget, in a forked child, the lock and the helpers of threads that are not there."""
    global _LOCK, _CALLER
    _LOCK, _CALLER = Lock(), local()
    _Blas.n_inside = 0


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_begin_anew)


@contextmanager
def one_thread(*, helpers=True):
    """Let this thread compute without the help of more threads, but for `side_by_side`.

    That may use as many threads as there were, this one included. Helpers start when they are
    first needed, and stop at the end.

    Parameters
    ----------
    helpers : bool, default=True
        Whether there are any: each has memory of its own.

    Notes
    -----
    ``torch.set_num_threads`` sets OpenMP's and MKL's count of the calling thread, and a global
    number that only threads which have not yet computed anything begin with. That number is put
    back at once, from a thread made for it, so that nobody else ever meets ours. The BLAS of numpy
    and scipy has but one count for all threads: it is 1 while anybody is within, and put back by
    the last one out. Our matrices are small: a second thread of it only waits, at full power.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mmae._core.threads import one_thread
    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    """
    before = _compute_alone()
    outside = getattr(_CALLER, "helpers", None)
    ours = outside
    if outside is None or not helpers:
        ours = _Helpers(before - 1 if helpers else 0)
    _CALLER.helpers = ours
    _Blas.enter()
    try:
        yield
    finally:
        _Blas.leave()
        _CALLER.helpers = outside
        if ours is not outside:
            ours.stop()
        if before > 1:
            torch.set_num_threads(before)


def side_by_side(work, pieces):
    """Call `work` on each piece, as many at once as the caller of `one_thread` had threads.

    Each piece is computed by one thread alone, so the bits are those of a plain loop.

    Parameters
    ----------
    work : callable
        Must change nothing that another piece reads.
    pieces : sequence

    Returns
    -------
    list
        What `work` returned, in the order of the pieces.
    """
    helpers = getattr(_CALLER, "helpers", None)
    n_threads = min(1 + helpers.most, len(pieces)) if helpers else 1
    if n_threads < 2:
        return [work(piece) for piece in pieces]
    return helpers.share(work, pieces, n_threads)


def ahead(work, pieces):
    """Yield what `work` makes of each piece: threads make the next ones while one is used.

    Errors and warnings come where the piece is asked for. A thread makes one piece and ends, so
    that none is left behind, whatever becomes of the caller.

    Parameters
    ----------
    work : callable
        Computes alone, and must change nothing that the caller reads.
    pieces : iterable
        Asked for the next piece in the caller's own thread, to which a data base may be bound.
    """
    coming = deque()
    try:
        for piece in pieces:
            coming.append(_Coming(work, piece))
            if len(coming) > AHEAD:
                yield _first_of(coming)
        while coming:
            yield _first_of(coming)
    finally:
        for one in coming:
            one.is_unwanted = True
        for one in coming:
            one.join()


def _first_of(coming):
    found = coming[0].result()  # if we are interrupted here, it is waited for as the others are
    coming.popleft()
    return found


def end_if_unwanted():
    """End work that is done ahead, if the caller has left: nobody is to wait for it."""
    if getattr(current_thread(), "is_unwanted", False):
        raise _Unwanted


class _Unwanted(BaseException):
    """Nobody waits for the result."""


class _Coming(Thread):
    """A thread that makes one piece, in the caller's context."""

    def __init__(self, work, piece):
        super().__init__(name="ahead")
        self.context, self.work, self.piece = copy_context(), work, piece
        self.found, self.error, self.is_unwanted = None, None, False
        self.start()

    def run(self):
        """Make the piece, or keep what was raised."""
        _compute_alone()
        self.context.run(self._make)

    def _make(self):
        with keeping_warnings() as self.warnings:
            try:
                self.found = self.work(self.piece)
            except BaseException as error:
                self.error = error

    def result(self):
        """Wait for the piece, and return it."""
        self.join()
        for message, category in self.warnings:
            warn(message, category)
        if self.error is not None:
            raise self.error
        return self.found


class _Helpers:
    """Threads beside the one that `one_thread` is for, each of which computes alone, too."""

    def __init__(self, most):
        self.most = most
        self.pool = ThreadPoolExecutor(most, initializer=_compute_alone) if most else None

    def share(self, work, pieces, n_threads):
        """Do the first share of the pieces here and leave the others to helpers."""

        def work_on(first):
            return [work(piece) for piece in pieces[first::n_threads]]

        others = [self.pool.submit(work_on, first) for first in range(1, n_threads)]
        try:
            shares = [work_on(0)]
        finally:
            wait(others)  # also if we failed: nobody may be at work on what the caller goes on with
        shares += [other.result() for other in others]
        return [shares[i % n_threads][i // n_threads] for i in range(len(pieces))]

    def stop(self):
        """Let the threads end."""
        if self.pool is not None:
            self.pool.shutdown()


class _Blas:
    """The libraries behind numpy's and scipy's linear algebra, for the whole process."""

    n_inside, limits = 0, None

    @classmethod
    def enter(cls):
        """Let them compute with one thread."""
        with _LOCK:
            cls.n_inside += 1
            if cls.limits is None:
                cls.limits = _controller().limit(limits=1, user_api="blas")

    @classmethod
    def leave(cls):
        """Give them back their threads, if nobody else is within."""
        with _LOCK:
            cls.n_inside -= 1
            if not cls.n_inside:
                cls.limits.restore_original_limits()
                cls.limits = None


@cache
def _controller():
    return ThreadpoolController()  # looks through all libraries of the process: milliseconds


def _compute_alone():
    """Set the calling thread's count to 1, and nobody else's; return what it was."""
    with _LOCK:  # a thread that begins here must not read the number in between
        before = torch.get_num_threads()
        if before > 1:
            torch.set_num_threads(1)
            _for_new_threads(before)
    return before


def _for_new_threads(count):
    thread = Thread(target=torch.set_num_threads, args=(count,))
    thread.start()
    thread.join()
