"""What may be asked of rows: each answer is made of partial answers that merge.

A question says what part some rows have in its answer (`partial`), how two parts become one
(`merge`, in any order) and what the answer is (`finish`). Parts are small: sums, counts, sketches,
bounded samples (see `_samples`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

__all__ = [
    "BLOCK",
    "Blocks",
    "Choice",
    "Counts",
    "Extremes",
    "Frequent",
    "Means",
    "Moments",
    "PairProducts",
    "Products",
    "Quantile",
    "Question",
    "Sums",
]

BLOCK = 512  # rows converted to float64 at a time, so that no second copy of the data appears
MOST_VALUES = 2**14  # different ones that a merged quantile knows of each column
MORE_FOR_FEW = 10  # standard errors, over the number of rows, that a choice needs beyond its margin

# Called, yields rows (rows, columns), 0 in the holes, and which cells are observed, of the same
# shape: numpy arrays, or tensors wherever they are.
Blocks = Callable[[], Iterable[tuple[Any, Any]]]


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


class Means(NamedTuple):
    """Counts, means, and summed squares about them."""

    count: Any
    mean: Any
    squares: Any

    def with_(self, other: Means) -> Means:
        """Combine means and squares about them [1]_.

        References
        ----------
        .. [1] Chan, Golub & LeVeque (1983), "Algorithms for computing the sample variance",
           The American Statistician 37(3).
        """
        total = np.maximum(self.count + other.count, 1)
        apart = other.mean - self.mean
        return Means(
            self.count + other.count,
            self.mean + apart * (other.count / total),
            self.squares + other.squares + apart**2 * (self.count * other.count / total),
        )


class Moments(Question):
    """Count, mean and variance of each column of a matrix, over its observed cells."""

    def partial(self, rows: np.ndarray | sparse.sparray) -> Means:
        """Return counts, means and summed squares about them; NaN is a missing value."""
        if sparse.issparse(rows):
            return self._of_sparse(rows)
        count, total = np.zeros((2, rows.shape[1]))
        for block in _blocks(rows):
            count += (~np.isnan(block)).sum(0)
            total += np.nansum(block, 0)
        mean = total / np.maximum(count, 1)
        squares = np.zeros_like(mean)
        for block in _blocks(rows):
            squares += np.nansum((block - mean) ** 2, 0)
        return Means(count, mean, squares)

    def _of_sparse(self, rows: sparse.sparray) -> Means:
        n = rows.shape[0]
        mean = np.asarray(rows.mean(0)).ravel()
        squares = np.asarray(rows.power(2).sum(0)).ravel() - n * mean**2
        return Means(np.full(len(mean), float(n)), mean, np.maximum(squares, 0))

    def merge(self, one: Means, other: Means) -> Means:
        """Combine means and squares about them."""
        return one.with_(other)

    def finish(self, part: Means) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
    """How often each of `n` known codes occurs; -1 is a missing value."""

    n: int

    def partial(self, rows: np.ndarray) -> np.ndarray:
        """Count the codes of some rows."""
        return np.bincount(rows[rows >= 0], minlength=self.n).astype(np.float64)

    def merge(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Add the counts."""
        return one + other

    def finish(self, part: np.ndarray) -> np.ndarray:
        """Return the counts."""
        return part


@dataclass(frozen=True)
class Frequent(Question):
    """Which values occur, the most frequent first; `most` of them, or all."""

    most: int | None

    def partial(self, rows: Iterable | Mapping[Any, int]) -> Counter:
        """Count the values of some rows; a mapping says how often each occurs."""
        return Counter(rows)

    def merge(self, one: Counter, other: Counter) -> Counter:
        """Add the counts."""
        return one + other

    def finish(self, part: Counter) -> dict[Any, int]:
        """Return a dict of value to count; of equally frequent values the smaller one comes first.

        So that the answer does not depend on the order of rows.
        """
        order = sorted(part.items(), key=lambda item: (-item[1], str(type(item[0])), str(item[0])))
        return dict(order[: self.most])


class Sums(Question):
    """The sum of rows: of numpy arrays, or of tensors wherever they are."""

    def partial(self, rows: Any) -> Any:
        """Return the sum of some rows."""
        return rows.sum(0)

    def merge(self, one: Any, other: Any) -> Any:
        """Add the sums."""
        return one + other

    def finish(self, part: Any) -> Any:
        """Return the sum."""
        return part


@dataclass(frozen=True)
class Products(Question):
    """Sums of ``x x'``, or of ``x x' along``, which of wide rows is small."""

    along: Any = None

    def partial(self, rows: Blocks) -> tuple[Any, Any, int]:
        """Return the sums, how often each cell is observed, and the number of rows."""
        product, counts, n_rows = 0, 0, 0
        for block, observed in rows():
            product += block.T @ (block if self.along is None else block @ self.along)
            counts += observed.sum(0)
            n_rows += len(block)
            del block, observed  # they are large, and not to outlive the making of the next ones
        return product, counts, n_rows

    def merge(self, one: tuple, other: tuple) -> tuple:
        """Add the sums."""
        return tuple(a + b for a, b in zip(one, other, strict=True))

    def finish(self, part: tuple) -> tuple:
        """Return the sums."""
        return part


class PairProducts(Question):
    """The sum of ``a @ b``, over blocks of rows."""

    def partial(self, pairs: Blocks) -> Any:
        """Return the sum."""
        return sum(a @ b for a, b in pairs())

    def merge(self, one: Any, other: Any) -> Any:
        """Add the sums."""
        return one + other

    def finish(self, part: Any) -> Any:
        """Return the sum."""
        return part


class Extremes(Question):
    """The smallest and the largest value of each column; NaN is a missing value."""

    def partial(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return both; NaN without any value."""
        if not len(rows):
            rows = np.full((1, *rows.shape[1:]), np.nan)
        return np.fmin.reduce(rows), np.fmax.reduce(rows)

    def merge(self, one: tuple, other: tuple) -> tuple:
        """Return the smaller and the larger ones."""
        return np.fmin(one[0], other[0]), np.fmax(one[1], other[1])

    def finish(self, part: tuple) -> np.ndarray:
        """Return both, (..., 2)."""
        return np.stack(part, -1)


class _Values(NamedTuple):
    """The values of each column, NaN last, how often each occurs, and the bits cut off them."""

    values: np.ndarray
    counts: np.ndarray
    bits: np.ndarray


@dataclass(frozen=True)
class Quantile(Question):
    """Quantiles of each column; NaN is a missing value.

    Parts hold every value, once, and how often it occurs. Parts that together have more than
    `MOST_VALUES` of a column know them less precisely: their mantissas are cut, by as many bits as
    it takes. That depends on the values alone, whatever the order in which parts are merged.
    """

    shares: np.ndarray  # (shares,)
    method: str

    def partial(self, rows: np.ndarray) -> _Values:
        """Return each column in order, NaN last, and how often each of these values occurs."""
        values = np.sort(rows if len(rows) else np.full((1, rows.shape[1]), np.nan), 0)
        return _Values(values, np.where(np.isnan(values), 0, 1), np.zeros(rows.shape[1], int))

    def merge(self, one: _Values, other: _Values) -> _Values:
        """Add the counts of equal values."""
        values, counts = (np.concatenate(both) for both in zip(one[:2], other[:2], strict=True))
        bits = np.maximum(one.bits, other.bits)
        columns = [_counted(*column) for column in zip(values.T, counts.T, bits, strict=True)]
        n = max(len(column) for column, _, _ in columns)
        return _Values(
            np.stack(
                [np.pad(v, (0, n - len(v)), constant_values=np.nan) for v, _, _ in columns], 1
            ),
            np.stack([np.pad(c, (0, n - len(c))) for _, c, _ in columns], 1),
            np.array([bits for _, _, bits in columns]),
        )

    def finish(self, part: _Values) -> np.ndarray:
        """Return the quantiles, (columns, shares)."""
        values, counts, _ = part
        n = counts.sum(0)[:, None]
        below, above, weight = self._places(n)
        low, high = (_ranked(values, counts, place) for place in (below, above))
        # As np.median and np.quantile, to the last bit.
        with np.errstate(invalid="ignore"):  # infinity less infinity, of a weight that is 0
            up, down = low + (high - low) * weight, high - (high - low) * (1 - weight)
        between = np.where(weight < 0.5, up, down)
        between = np.where(self.shares == 0.5, (low + high) / 2, between)
        answer = np.where(weight == 0, low, between)
        if self.method != "conformal":
            answer = np.where(n == 0, np.nan, answer)
        return answer.astype(values.dtype)

    def _places(self, n: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return between which of n values in order, counted from 0, a quantile lies, and where."""
        if self.method == "conformal":
            place = np.ceil((n + 1) * self.shares - 1e-9) - 1
        elif self.method == "higher":
            place = np.ceil((n - 1) * self.shares)
        else:
            place = (n - 1) * self.shares
        below = np.floor(place)
        return below, np.where(place > below, below + 1, below), place - below


def _ranked(values: np.ndarray, counts: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the values at places in order, infinity beyond the last one."""
    if counts.max(initial=0) == 1:  # each of them once: a place is an index
        values = np.where(counts > 0, values, np.inf)
        values = np.concatenate([values, np.full_like(values[:1], np.inf)])
        index = np.minimum(places, len(values) - 1).astype(int)
        return np.take_along_axis(values, index.T, 0).T
    ranked = np.empty(places.shape, values.dtype)
    for row, column, times, place in zip(ranked, values.T, counts.T, places, strict=True):
        row[:] = np.append(column, np.inf)[np.searchsorted(times.cumsum(), place, "right")]
    return ranked


def _counted(
    values: np.ndarray, counts: np.ndarray, bits: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the different values that occur, how often, and how many bits are cut off them."""
    values, counts = values[counts > 0].astype(np.float64), counts[counts > 0]
    while True:
        kept = (values.view(np.int64) & ~((1 << bits) - 1)).view(np.float64)
        different, which = np.unique(kept, return_inverse=True)
        if len(different) <= MOST_VALUES or bits == 52:
            return different, np.bincount(which, counts).astype(counts.dtype), bits
        bits += 1


class _Choices(NamedTuple):
    """Mean losses of some options, and what each gains upon the first one."""

    losses: np.ndarray
    gains: Means


@dataclass(frozen=True)
class Choice(Question):
    """Which of some options has the smallest mean loss; the first one unless it is clearly beaten.

    Without a margin any difference is clear.
    """

    margin: float | None

    def partial(self, losses: Any) -> _Choices:
        """Return means of losses (options, rows), or of one row (options,)."""
        gains = [losses[0] - loss for loss in losses]
        means = np.array([float(gain.mean()) for gain in gains])
        squares = [float(((g - g.mean()) ** 2).sum()) for g in gains]
        count = losses[0].shape[0] if losses.ndim == 2 else 1
        losses = np.array([float(loss.mean()) for loss in losses])
        return _Choices(losses, Means(count, means, np.array(squares)))

    def merge(self, one: _Choices, other: _Choices) -> _Choices:
        """Combine the means."""
        n, m = one.gains.count, other.gains.count
        losses = one.losses + (other.losses - one.losses) * (m / max(n + m, 1))
        return _Choices(losses, one.gains.with_(other.gains))

    def finish(self, part: _Choices) -> int:
        """Return the number of the option."""
        if self.margin is None:
            return int(np.argmin(part.losses))
        n, gain, squares = part.gains
        # Of few rows the standard error itself is not known well: they have to say it more clearly.
        error = np.sqrt(squares / (n - 1) / n) if n > 1 else np.inf
        better = gain > (self.margin + MORE_FOR_FEW / n) * error
        better[0] = True
        return int(np.argmin(np.where(better, part.losses, np.inf)))


def _blocks(matrix: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(matrix), BLOCK):
        yield matrix[start : start + BLOCK].astype(np.float64)
