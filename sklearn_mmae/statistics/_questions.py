"""What may be asked of rows: each answer is made of partial answers that merge.

A question says what part some rows have in its answer (`partial`), how two parts become one
(`merge`, in any order) and what the answer is (`finish`). Parts are small: sums, counts, sketches,
bounded samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["BLOCK", "Counts", "Frequent", "Moments", "Question"]

BLOCK = 512  # rows converted to float64 at a time, so that no second copy of the data appears


class Question(ABC):
    """A question about rows."""

    @abstractmethod
    def partial(self, rows: Any) -> Any:
        """Return the part that some rows have in the answer."""

    @abstractmethod
    def merge(self, one: Any, other: Any) -> Any:
        """Return what two parts say together."""

    @abstractmethod
    def finish(self, part: Any) -> Any:
        """Return the answer."""


class Moments(Question):
    """Count, mean and variance of each column of a matrix, over its observed cells."""

    def partial(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return counts, means and summed squares about them; NaN is a hole."""
        count, total = np.zeros((2, rows.shape[1]))
        for block in _blocks(rows):
            count += (~np.isnan(block)).sum(0)
            total += np.nansum(block, 0)
        mean = total / np.maximum(count, 1)
        squares = np.zeros_like(mean)
        for block in _blocks(rows):
            squares += np.nansum((block - mean) ** 2, 0)
        return count, mean, squares

    def merge(self, one, other):
        """Combine means and squares about them [1]_.

        References
        ----------
        .. [1] Chan, Golub & LeVeque (1983), "Algorithms for computing the sample variance",
           The American Statistician 37(3).
        """
        (n, mean, squares), (m, other_mean, other_squares) = one, other
        total = np.maximum(n + m, 1)
        apart = other_mean - mean
        return (
            n + m,
            mean + apart * (m / total),
            squares + other_squares + apart**2 * (n * m / total),
        )

    def finish(self, part):
        """Return count, mean and variance.

        A column without any cell has mean 0 and variance 0; so has a column that is constant up to
        rounding (the bound of scikit-learn's StandardScaler).
        """
        count, mean, squares = part
        variance = squares / np.maximum(count, 1)
        epsilon = np.finfo(np.float64).eps
        constant = variance <= count * epsilon * variance + (count * mean * epsilon) ** 2
        return count, mean, np.where(constant, 0, variance)


@dataclass(frozen=True)
class Counts(Question):
    """How often each of `n` known codes occurs; -1 is a hole."""

    n: int

    def partial(self, rows):
        """Count the codes of some rows."""
        return np.bincount(rows[rows >= 0], minlength=self.n).astype(np.float64)

    def merge(self, one, other):
        """Add the counts."""
        return one + other

    def finish(self, part):
        """Return the counts."""
        return part


@dataclass(frozen=True)
class Frequent(Question):
    """Which values occur, the most frequent first; `most` of them, or all."""

    most: int | None

    def partial(self, rows):
        """Count the values of some rows."""
        return Counter(rows)

    def merge(self, one, other):
        """Add the counts."""
        return one + other

    def finish(self, part):
        """Return a dict of value to count; of equally frequent values the smaller one comes first.

        So that the answer does not depend on the order of rows.
        """
        order = sorted(part.items(), key=lambda item: (-item[1], str(type(item[0])), str(item[0])))
        return dict(order[: self.most])


def _blocks(matrix):
    for start in range(0, len(matrix), BLOCK):
        yield matrix[start : start + BLOCK].astype(np.float64)
