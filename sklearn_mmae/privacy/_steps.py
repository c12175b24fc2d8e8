"""`Steps`: whether a private fit trains networks, and in how many steps of how many rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ._accountant import Release

__all__ = ["STEPS", "Steps"]

STEPS = 16  # of an epoch
SMALLEST_BATCH, LARGEST_BATCH = 16, 4096  # expected rows: the more, the less the noise counts
LEAST = 2000  # rows times epsilon for each cell of one, from which on they gain: docs/privacy.md
USUAL_EPSILON = 8.0  # more than that counts as that


@dataclass(frozen=True)
class Steps:
    """Steps of noisy gradient descent, as many as are paid for.

    Attributes
    ----------
    size : int
        Rows of a step, on average.
    rate : float
        Chance of each row to be in a step.
    times : int
    """

    size: int
    rate: float
    times: int

    @classmethod
    def plan(
        cls, n_rows: int, epsilon: float, n_cells: int, max_epochs: int, batch_size: int | str
    ) -> Self | None:
        """Return the steps of a fit, by a rule that looks at no cell; None for none.

        Parameters
        ----------
        n_rows : int
        epsilon : float
        n_cells : int
            Numbers of a row, such as pixels, and its choices and texts.
        max_epochs : int
        batch_size : int or "auto"

        Raises
        ------
        ValueError
            If there are fewer rows than in a batch.
        """
        if not max_epochs or n_rows * min(epsilon, USUAL_EPSILON) < LEAST * n_cells:
            return None
        if batch_size == "auto":
            batch_size = int(np.clip(n_rows // STEPS, SMALLEST_BATCH, LARGEST_BATCH))
        if batch_size > n_rows:
            raise ValueError(
                f"batch_size={batch_size}: there are {n_rows} rows. Give fewer, or 'auto'."
            )
        return cls(batch_size, batch_size / n_rows, STEPS * max_epochs)

    def release(self, noise: float) -> Release:
        """Return what all steps release together."""
        return Release("networks", noise, self.rate, self.times)
