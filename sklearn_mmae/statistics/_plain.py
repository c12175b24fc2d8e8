"""`Statistics`: the one door through which anything is learned from training rows.

Every question has a name, and an answer made of partial answers that merge: of rows in several
places, or in chunks, each gives its part, and the parts in any order make what all rows would have.
Here all rows are one part. What adds noise, sums over processes or reads chunk by chunk overrides
`answer`, or single questions, and no modality is edited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ._questions import (
    Blocks,
    Choice,
    Counts,
    Extremes,
    Frequent,
    Moments,
    PairProducts,
    Products,
    Quantile,
    Question,
    Sums,
)
from ._samples import Sample, SampledProducts, SampledRows

__all__ = ["PLAIN", "SecondMoments", "Statistics"]


class SecondMoments(NamedTuple):
    """What `Statistics.second_moments` answers.

    Attributes
    ----------
    product : array of shape (columns, columns), or (columns, directions), or None
        The sum over rows of ``x x'``, a missing value being 0; or of ``x x' along``.
    counts : array of shape (columns,), or None
        How often each cell is observed.
    n_rows : int
    sample : SampledRows or None
    """

    product: Any
    counts: Any
    n_rows: int
    sample: SampledRows | None


class Statistics:
    """Exact answers, of rows that are all in memory.

    Every method takes first the name of the question, unique within a fit, such as
    ``"photo: mean"``: what audits or replays a fit goes by it.
    """

    scope = ""
    is_private = False  # whether answers have noise, and what else is learned is public

    @property
    def repeatable(self) -> bool:
        """Whether answers depend on the rows alone, so that they may be kept for the next time."""
        return type(self) is Statistics

    def of(self, scope: str) -> Statistics:
        """Return what answers for a part of a fit, whose questions then begin with its name.

        Parameters
        ----------
        scope : str
            Such as the name of a modality.
        """
        part = copy(self)
        part.scope = f"{self.scope}{scope}: "
        return part

    def over_all(self) -> Statistics:
        """Return what answers for blocks of rows of which each process has a share, if there are.

        Other rows, and all rows of one process, every process knows.
        """
        return self

    @contextmanager
    def together(self) -> Iterator[None]:
        """Take questions that do not depend on one another's answers, in one reading of the rows.

        Within, answers may still be those of a part of the rows.
        """
        yield

    def once(self, name: str, learn: Callable[[], None]) -> None:
        """Learn something by questions, and not again by rows that are read for later ones.

        Parameters
        ----------
        name : str
        learn : callable
            Keeps what it learns, and need not look at any row once it has come to its end.
        """
        learn()

    def agreed(self, name: str, found: Any) -> Any:
        """Return what is found by looking at cells, and is the same for all rows.

        Parameters
        ----------
        name : str
        found : hashable
        """
        return next(iter(self.frequent(name, [found])))

    def moments(
        self, name: str, matrix: np.ndarray | sparse.sparray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return count, mean and variance of each column, over its observed cells.

        Parameters
        ----------
        name : str
        matrix : ndarray or sparse array of shape (rows, columns)
            NaN is a missing value.

        Returns
        -------
        count, mean, variance : ndarray of shape (columns,), float64
        """
        return self.ask(name, Moments(), matrix)

    def counts(self, name: str, codes: np.ndarray, n: int) -> np.ndarray:
        """Return how often each of `n` known codes occurs, (n,) float64; -1 is a missing value."""
        return self.ask(name, Counts(n), codes)

    def frequent(
        self, name: str, values: Iterable | Mapping[Any, int], most: int | None = None
    ) -> dict[Any, int]:
        """Return which values occur, and how often: the `most` frequent, these first.

        Parameters
        ----------
        name : str
        values : iterable, or mapping of value to how often it occurs
        most : int, optional
            Default: all.
        """
        return self.ask(name, Frequent(most), values)

    def quantile(
        self, name: str, values: np.ndarray, share: float | np.ndarray, *, method: str = "linear"
    ) -> np.ndarray:
        """Return quantiles of values.

        Parameters
        ----------
        name : str
        values : array of shape (rows,) or (rows, columns)
            NaN is a missing value.
        share : float or array of shape (shares,)
            0.5 is the median; of 0 and 1, the smallest and the largest value, no other value is
            looked at.
        method : {"linear", "higher", "conformal"}, default="linear"
            The first two as in `numpy.quantile`. "conformal" is the smallest value below which one
            more value would lie with a chance of `share`; infinite where there are too few.

        Returns
        -------
        ndarray of shape (columns, shares)
            Without the axis that values or share lack; NaN where there is no value.
        """
        values, shares = np.asarray(values), np.atleast_1d(share)
        if values.dtype.kind != "f":
            values = values.astype(np.float64)
        if method != "conformal" and np.isin(shares, (0, 1)).all():
            ends = self.ask(name, Extremes(), values if values.ndim == 2 else values[:, None])
            answer = ends[:, shares.astype(int)]
        else:
            question = Quantile(shares, method)
            answer = self.ask(name, question, values if values.ndim == 2 else values[:, None])
        answer = answer if np.ndim(share) else answer[:, 0]
        return answer if values.ndim == 2 else answer[0]

    def second_moments(
        self,
        name: str,
        blocks: Blocks,
        *,
        along: Any = None,
        products: bool = True,
        most_rows: int = 0,
    ) -> SecondMoments:
        """Return sums of ``x x'`` and, where cells are missing, a bounded sample of rows.

        Parameters
        ----------
        name : str
        blocks : callable
            Called, yields ``(rows, observed)``: rows (rows, columns), 0 where missing, and which
            cells are observed, of the same shape. Numpy arrays, or tensors on any device: sums
            are of the same kind.
        along : array of shape (columns, directions), optional
            Sum ``x x' along``, for rows so wide that ``x x'`` would be large. They may be sparse:
            what has ``rows @ along``, ``rows.T @ product`` and a length.
        products : bool, default=True
            False for no sums, but the sample alone, whether or not cells are missing.
        most_rows : int, default=0
            Of the sample; 0 for none.

        Returns
        -------
        SecondMoments
        """
        if not products:
            sample, n_rows = self.ask(f"{name}: sample", Sample(most_rows), blocks)
            return SecondMoments(None, None, n_rows, sample)
        if most_rows:
            return SecondMoments(*self.ask(name, SampledProducts(along, most_rows), blocks))
        return SecondMoments(*self.ask(name, Products(along), blocks), None)

    def products(self, name: str, pairs: Blocks) -> Any:
        """Return the sum over rows of products of two things that are known of each.

        Parameters
        ----------
        name : str
        pairs : callable
            Called, yields ``(a, b)`` for blocks of rows: a (..., columns, rows), which may be
            sparse, and b (..., rows, others).

        Returns
        -------
        array of shape (..., columns, others)
        """
        return self.ask(name, PairProducts(), pairs)

    def sums(
        self, name: str, rows: np.ndarray, norm: float, *, share: float = 1.0
    ) -> tuple[np.ndarray, float]:
        """Return the sum of rows, and the standard deviation of the noise in its entries.

        Parameters
        ----------
        name : str
        rows : ndarray of shape (rows, columns)
            0 where nothing is observed.
        norm : float
            The largest that a row may have: private answers cut longer ones.
        share : float, default=1.0
            Of what a modality may ask, that a private answer takes.
        """
        return self.ask(name, Sums(), rows), 0.0

    def choose(self, name: str, losses: Any, *, margin: float | None = None, usual: int = 0) -> int:
        """Return the number of the option with the smallest mean loss.

        Parameters
        ----------
        name : str
        losses : array or tensor of shape (options, rows) or (options,)
        margin : float, optional
            Standard errors of the paired difference by which another option must beat option 0,
            10 over the number of rows added to them; otherwise it is option 0.
        usual : int, default=0
            The option to take where rows may not be asked.
        """
        return self.ask(name, Choice(margin), losses)

    def ask(self, name: str, question: Question, rows: Any) -> Any:
        """Return the answer to a question, under its full name."""
        return self.answer(f"{self.scope}{name}", question, rows)

    def answer(self, name: str, question: Question, rows: Any) -> Any:
        """Return the answer to a question; all rows are one part of it."""
        return question.finish(question.partial(rows))


PLAIN = Statistics()
