"""How the learning rate goes over a stretch of steps or seconds, as shares of the parameter `lr`.

References
----------
.. [1] Smith & Topin (2019), "Super-convergence: very fast training of neural networks using large
   learning rates", SPIE Defense + Commercial Sensing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic

__all__ = ["NEVER", "Deadline", "Rate", "finishing", "later", "one_cycle", "shares_done"]

WARM_UP = 0.1  # share of the steps in which the rate rises
LOWEST = 0.1  # where it begins
FINISH = 0.5  # where it begins to fall once more, with all rows
LATER = 0.1  # what has been learned is not to be undone

Rate = Callable[[float], float]  # of the share of the steps that are done


@dataclass(frozen=True)
class Deadline:
    """When the last step may be taken, by a clock; of processes that learn together, by one clock.

    Parameters
    ----------
    at : float, default=math.inf
        Seconds of the clock. The default never comes, and asks no clock.
    now : callable, default=time.monotonic
    """

    at: float = math.inf
    now: Callable[[], float] = monotonic

    @classmethod
    def after(cls, seconds: float | None, now: Callable[[], float] = monotonic) -> Deadline:
        """Return the one that comes in so many seconds; None for never."""
        return cls() if seconds is None else cls(now() + seconds, now)

    def of(self, share: float) -> Deadline:
        """Return the one after which a share of the time that is left is over."""
        if math.isinf(self.at):
            return self
        now = self.now()
        return Deadline(now + share * (self.at - now), self.now)


NEVER = Deadline()


def shares_done(n_steps: int, deadline: Deadline) -> Iterator[float]:
    """Yield for each step which share is done, by steps or by time; ends at the deadline.

    Parameters
    ----------
    n_steps : int
    deadline : Deadline
    """
    if math.isinf(deadline.at):
        yield from (step / n_steps for step in range(n_steps))
        return
    begin = deadline.now()
    for step in range(n_steps):
        passed = (deadline.now() - begin) / max(deadline.at - begin, 1e-9)
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
