"""How the learning rate goes over a stretch of steps, as shares of the parameter `lr`.

References
----------
.. [1] Smith & Topin (2019), "Super-convergence: very fast training of neural networks using large
   learning rates", SPIE Defense + Commercial Sensing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from time import monotonic

__all__ = ["Rate", "finishing", "later", "one_cycle", "shares_done"]

WARM_UP = 0.1  # share of the steps in which the rate rises
LOWEST = 0.1  # where it begins
FINISH = 0.5  # where it begins to fall once more, with all rows
LATER = 0.1  # what has been learned is not to be undone

Rate = Callable[[float], float]  # of the share of the steps that are done


def shares_done(n_steps: int, deadline: float) -> Iterator[float]:
    """Yield for each step which share is done, by steps or by time; ends at the deadline.

    Parameters
    ----------
    n_steps : int
    deadline : float
        By `time.monotonic`, or infinite.
    """
    begin = monotonic()
    for step in range(n_steps):
        passed = (monotonic() - begin) / max(deadline - begin, 1e-9)
        if passed >= 1:
            return
        yield passed if passed > (step + 1) / n_steps else step / n_steps


def one_cycle(done: float) -> float:
    """Return a rate that rises to 1, and falls to nothing [1]_."""
    if done < WARM_UP:
        return LOWEST + (1 - LOWEST) * done / WARM_UP
    return _cosine((done - WARM_UP) / (1 - WARM_UP))


def finishing(done: float) -> float:
    """Return a rate that falls to nothing."""
    return FINISH * _cosine(done)


def later(done: float) -> float:
    """Return the rate of epochs that are added to a fit."""
    return LATER


def _cosine(done: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * done))
