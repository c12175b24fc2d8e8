"""Whether intervals hold the truth as often as they say, and how wide they are."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from .._core.errors import listing
from .._core.typing import Array, ArrayLike
from ._checks import check_same_rows, check_vectors

__all__ = ["interval_coverage", "interval_score", "interval_width", "worst_slab_coverage"]


@validate_params(
    {
        "y_true": ["array-like"],
        "low": ["array-like"],
        "high": ["array-like"],
        "by_column": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def interval_coverage(
    y_true: ArrayLike, low: ArrayLike, high: ArrayLike, *, by_column: bool = False
) -> float | Array:
    """Return the share of true values within their intervals, ends included.

    Parameters
    ----------
    y_true : array-like of shape (rows,) or (rows, columns)
        NaN is unknown and does not count.
    low, high : array-like of the same shape
        Ends of the intervals; may be infinite.
    by_column : bool, default=False
        Return a share per column instead of that of all cells.

    Returns
    -------
    float or ndarray of shape (columns,)
        To be compared with the level that the intervals were made for: with `n` cells, it is off
        by ``sqrt(level * (1 - level) / n)`` by chance alone. NaN for a column of which nothing
        is known.

    Raises
    ------
    ValueError
        For shapes that differ, `low` above `high`, and missing ends where the truth is known.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmae.metrics import interval_coverage
    >>> y_true = np.array([[1.0, 10.0], [2.0, np.nan], [3.0, 30.0]])
    >>> interval_coverage(y_true, low=y_true * 0 + 2, high=y_true * 0 + 20)
    0.6
    >>> interval_coverage(y_true, y_true * 0 + 2, y_true * 0 + 20, by_column=True)
    array([0.66666667, 0.5       ])
    """
    y_true, low, high = _check(low, high, y_true)
    return _mean(np.where((low <= y_true) & (y_true <= high), 1.0, 0.0), y_true, by_column)


@validate_params(
    {"low": ["array-like"], "high": ["array-like"], "by_column": ["boolean"]},
    prefer_skip_nested_validation=True,
)
def interval_width(low: ArrayLike, high: ArrayLike, *, by_column: bool = False) -> float | Array:
    """Return the mean width of intervals: of those that cover alike, the narrower are better.

    Parameters
    ----------
    low, high : array-like of shape (rows,) or (rows, columns)
        Ends of the intervals. A cell with a NaN at both ends has no interval and does not count.
    by_column : bool, default=False
        Return a mean per column, in its own units, instead of that of all cells.

    Returns
    -------
    float or ndarray of shape (columns,)

    Raises
    ------
    ValueError
        For shapes that differ, and `low` above `high`.

    Examples
    --------
    >>> from sklearn_mmae.metrics import interval_width
    >>> interval_width([0.0, 1.0], [1.0, 4.0])
    2.0
    """
    _, low, high = _check(low, high)
    return _mean(high - low, low, by_column)


@validate_params(
    {
        "y_true": ["array-like"],
        "low": ["array-like"],
        "high": ["array-like"],
        "level": [Interval(Real, 0, 1, closed="neither")],
        "by_column": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def interval_score(
    y_true: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    level: float = 0.9,
    by_column: bool = False,
) -> float | Array:
    r"""Return the mean interval score: width and misses in one number; low is better.

    .. math:: (u - l) + \frac{2}{1 - level} \left[ (l - y)_+ + (y - u)_+ \right]

    Its expectation is least for the quantiles of the true distribution that leave out
    ``(1 - level) / 2`` on each side [1]_, so neither wide nor overconfident intervals win.

    Parameters
    ----------
    y_true, low, high, by_column
        As in `interval_coverage`.
    level : float, default=0.9
        The share of true values that the intervals should cover.

    Returns
    -------
    float or ndarray of shape (columns,)

    Raises
    ------
    ValueError
        As `interval_coverage`.

    References
    ----------
    .. [1] T. Gneiting and A. E. Raftery (2007). Strictly proper scoring rules, prediction, and
       estimation. Journal of the American Statistical Association 102, 359-378, section 6.2;
       after R. L. Winkler (1972).

    Examples
    --------
    >>> from sklearn_mmae.metrics import interval_score
    >>> interval_score([0.0, 3.0], low=[-1.0, -1.0], high=[1.0, 1.0], level=0.5)
    6.0
    """
    y_true, low, high = _check(low, high, y_true)
    missed = np.maximum(low - y_true, 0) + np.maximum(y_true - high, 0)
    return _mean(high - low + 2 / (1 - level) * missed, y_true, by_column)


@validate_params(
    {
        "y_true": ["array-like"],
        "low": ["array-like"],
        "high": ["array-like"],
        "features": ["array-like"],
        "share": [Interval(Real, 0, 1, closed="right")],
        "n_directions": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def worst_slab_coverage(
    y_true: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    features: ArrayLike,
    *,
    share: float = 0.2,
    n_directions: int = 500,
    random_state: int | np.random.RandomState | None = 0,
) -> float:
    """Return the coverage of the kind of rows that intervals cover worst.

    A kind of rows is a slab: those between two parallel planes among the features. Of slabs in
    random directions that hold at least a share of the rows, the worst one is found on one half of
    the rows, and its coverage on the other half is returned [1]_: on the same rows, the worst of
    many is bad by chance.

    Parameters
    ----------
    y_true, low, high : array-like of shape (rows,) or (rows, columns)
        As in `interval_coverage`.
    features : array-like of shape (rows, features)
        By which to distinguish rows, such as their embeddings; standardised here.
    share : float in (0, 1], default=0.2
        Of the rows, at least, in a slab.
    n_directions : int, default=500
    random_state : int, RandomState or None, default=0
        Of the halves and the directions.

    Returns
    -------
    float
        To be compared with `interval_coverage`, and with the level. NaN if nothing is known of the
        other half's rows in the slab.

    Raises
    ------
    ValueError
        As `interval_coverage`, and for features of other rows, or not finite.

    References
    ----------
    .. [1] Cauchois, Gupta & Duchi (2021), "Knowing what you know: valid and validated confidence
       sets in multiclass and multilabel prediction", JMLR 22, section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmae.metrics import interval_coverage, worst_slab_coverage
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(size=(2000, 3))
    >>> y = 2 * x[:, 0] * rng.normal(size=2000)  # the noise grows with the first feature
    >>> low, high = np.full(2000, -2.0), np.full(2000, 2.0)
    >>> bool(interval_coverage(y, low, high) > 0.88)
    True
    >>> bool(worst_slab_coverage(y, low, high, x) < 0.8)
    True
    """
    y_true, low, high = _check(low, high, y_true)
    features = check_vectors(features, "features")
    check_same_rows(y_true=y_true, features=features)
    known = ~np.isnan(y_true)
    held = np.where(known & (low <= y_true) & (y_true <= high), 1.0, 0.0).sum(1)
    counts = known.sum(1).astype(np.float64)
    rng = check_random_state(random_state)
    order = rng.permutation(len(y_true))
    if len(order) < 2:
        raise ValueError("one row cannot be cut in halves. Give more rows.")
    halves = order[::2], order[1::2]
    spread = features.std(0)
    features = (features - features.mean(0)) / np.where(spread > 0, spread, 1)
    worst, slab = np.inf, None
    for direction in rng.standard_normal((n_directions, features.shape[1])):
        place = features @ direction
        coverage, ends = _worst_run(place[halves[0]], held[halves[0]], counts[halves[0]], share)
        if coverage < worst:
            worst, slab = coverage, (place[halves[1]] >= ends[0]) & (place[halves[1]] <= ends[1])
    others = halves[1][slab]
    total = counts[others].sum()
    return float(held[others].sum() / total) if total else float("nan")


def _worst_run(place, held, counts, share):
    """Return the least coverage of as many neighbours as make a share, and where they lie."""
    order = np.argsort(place, kind="stable")
    n = max(int(np.ceil(share * len(place))), 1)
    held, counts = (np.append(0, values[order].cumsum()) for values in (held, counts))
    held, counts = held[n:] - held[:-n], counts[n:] - counts[:-n]
    coverage = np.where(counts > 0, held / np.maximum(counts, 1), np.inf)
    first = int(coverage.argmin())
    return coverage[first], (place[order[first]], place[order[first + n - 1]])


def _check(low, high, y_true=None):
    """Return arrays of shape (rows, columns) that agree; the truth is NaN where nothing counts."""
    given = {"low": low, "high": high}
    given |= {} if y_true is None else {"y_true": y_true}
    tables = {name: list(part.columns) for name, part in given.items() if hasattr(part, "columns")}
    for name, columns in tables.items():
        if columns != tables[min(tables)]:
            raise ValueError(
                f"{name} has the columns {columns}, {min(tables)} {tables[min(tables)]}. Give the"
                " same columns, in the same order."
            )
    arrays = {
        name: check_array(
            part, dtype=np.float64, ensure_2d=False, ensure_all_finite=False, input_name=name
        )
        for name, part in given.items()
    }
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"the shapes differ: {told}. Give one interval per true value.")
    arrays = {name: array.reshape(len(array), -1) for name, array in arrays.items()}
    low, high = arrays["low"], arrays["high"]
    hole = np.isnan(low) | np.isnan(high)
    counts = ~(np.isnan(low) & np.isnan(high)) if y_true is None else ~np.isnan(arrays["y_true"])
    for bad, problem in (
        (
            counts & hole,
            "an interval has an end that is NaN. Give both ends, or"
            " -inf and inf where nothing is known",
        ),
        (~hole & (low > high), "low is above high. Swap them"),
        (
            (low == np.inf) | (high == -np.inf) | np.isinf(arrays.get("y_true", 0)),
            "the true value, or the whole interval, is infinite. Give numbers, NaN where unknown",
        ),
    ):
        if bad.any():
            raise ValueError(f"row {listing(np.flatnonzero(bad.any(1)))}: {problem}.")
    if not counts.any():
        raise ValueError("every value is NaN: there is nothing to compare. Give known values.")
    return arrays.get("y_true"), low, high


def _mean(values, where, by_column):
    known = ~np.isnan(where)
    if not by_column:
        return float(values[known].mean())
    counts = known.sum(0)
    total = np.where(known, values, 0).sum(0)
    return np.where(counts, total / np.maximum(counts, 1), np.nan)
