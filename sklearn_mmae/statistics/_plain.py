"""`Statistics`: the one door through which anything is learned from training rows.

Every question has a name, and an answer made of partial answers that merge: of rows in several
places, or in chunks, each gives its part, and the parts in any order make what all rows would have.
Here all rows are one part. What adds noise, sums over processes or reads chunk by chunk overrides
`ask`, or single questions, and no modality is edited.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ._questions import Counts, Frequent, Moments, Question

__all__ = ["PLAIN", "Statistics"]


class Statistics:
    """Exact answers, of rows that are all in memory.

    Every method takes first the name of the question, unique within a fit, such as
    ``"photo: mean"``: what audits or replays a fit goes by it.
    """

    def moments(self, name: str, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return count, mean and variance of each column, over its observed cells.

        Parameters
        ----------
        name : str
        matrix : ndarray of shape (rows, columns)
            NaN is a hole.

        Returns
        -------
        count, mean, variance : ndarray of shape (columns,), float64
        """
        return self.ask(name, Moments(), matrix)

    def counts(self, name: str, codes: np.ndarray, n: int) -> np.ndarray:
        """Return how often each of `n` known codes occurs, (n,) float64; -1 is a hole."""
        return self.ask(name, Counts(n), codes)

    def frequent(self, name: str, values: Iterable, most: int | None = None) -> dict[Any, int]:
        """Return which values occur, and how often: the `most` frequent, these first."""
        return self.ask(name, Frequent(most), values)

    def ask(self, name: str, question: Question, rows: Any) -> Any:
        """Return the answer to a question; all rows are one part of it."""
        return question.finish(question.partial(rows))


PLAIN = Statistics()
