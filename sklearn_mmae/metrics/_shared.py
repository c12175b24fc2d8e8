"""Whether two modalities share anything, and in how many components."""

from __future__ import annotations

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from .._core.typing import ArrayLike
from ._checks import check_same_rows, check_vectors

__all__ = ["SharedComponents", "shared_components_test"]

ROWS_EACH = 8  # for each principal component of either side
FEWEST = 10  # rows
TIE = 1e-9


class SharedComponents(NamedTuple):
    """What two modalities share.

    Attributes
    ----------
    n_shared : int
        How many components, at the level of the test.
    p_values : ndarray of shape (tested,)
        Of no more components than those before: the first says whether anything is shared. None
        follows the first that may well be chance.
    correlations : ndarray of shape (tested,)
        The canonical correlations in these rows, which are too large where rows are few.
    """

    n_shared: int
    p_values: np.ndarray
    correlations: np.ndarray


@validate_params(
    {
        "X": ["array-like"],
        "Y": ["array-like"],
        "level": [Interval(Real, 0, 1, closed="neither")],
        "n_permutations": [Interval(Integral, 19, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def shared_components_test(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    level: float = 0.05,
    n_permutations: int = 999,
    random_state: int | np.random.RandomState | None = 0,
) -> SharedComponents:
    """Test whether two modalities share anything linear, and count the components that they share.

    Canonical correlations of the two sides are compared with those after the rows of one side have
    been permuted. Further components are tested on what the ones before leave [1]_, until one may
    well be chance.

    Parameters
    ----------
    X, Y : array-like of shape (rows, columns)
        Numbers of either modality: columns, or embeddings. Nothing may have learned from both sides
        of these rows: give embeddings of new rows, or of two estimators of one modality each.
    level : float, default=0.05
        The probability of a finding where nothing is shared.
    n_permutations : int, default=999
        The smallest p-value is one over one more than it.
    random_state : int, RandomState or None, default=0

    Returns
    -------
    SharedComponents
        With `n_shared`, `p_values` and `correlations`; a named tuple. The first p-value is uniform
        where nothing is shared, whatever the distributions, if rows are independent.

    Raises
    ------
    ValueError
        For other numbers of rows, fewer than ten of them, missing values, and a constant side.

    Notes
    -----
    Either side is reduced to its leading principal components, one for eight rows at most. The
    statistic is the sum of the fourth powers of the correlations that are left: few strong ones
    show nearly as well as by the largest (Roy's), many weak ones as by all (Wilks' lambda).
    P-values never fall from one component to the next.

    References
    ----------
    .. [1] Winkler, Renaud, Smith & Nichols (2020), "Permutation inference for canonical correlation
       analysis", NeuroImage 220.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmae.metrics import shared_components_test
    >>> rng = np.random.default_rng(0)
    >>> common = rng.normal(size=(300, 2))
    >>> X = np.c_[common, rng.normal(size=(300, 3))] + rng.normal(size=(300, 5))
    >>> Y = np.c_[common, rng.normal(size=(300, 2))] + rng.normal(size=(300, 4))
    >>> shared_components_test(X, Y).n_shared
    2
    >>> shared_components_test(X, rng.permutation(Y)).n_shared
    0
    """
    X, Y = check_vectors(X, "X"), check_vectors(Y, "Y")
    check_same_rows(X=X, Y=Y)
    if len(X) < FEWEST:
        raise ValueError(f"{len(X)} rows are too few to test anything. Give {FEWEST} or more.")
    left, right = _principal(X, "X"), _principal(Y, "Y")
    # Of orthonormal columns, singular values of the product are the canonical correlations.
    axes, correlations, others = np.linalg.svd(left.T @ right)
    left, right = left @ axes, right @ others.T
    rng = check_random_state(random_state)
    p_values = []
    for first in range(len(correlations)):
        found = (correlations[first:] ** 4).sum()
        as_large = 1
        for _ in range(n_permutations):
            shuffled = left[rng.permutation(len(left)), first:]
            by_chance = np.linalg.svd(shuffled.T @ right[:, first:], compute_uv=False)
            as_large += (by_chance**4).sum() >= found - TIE
        p_values.append(max([as_large / (n_permutations + 1), *p_values[-1:]]))
        if p_values[-1] > level:
            break
    n_shared = int(np.sum(np.array(p_values) <= level))
    return SharedComponents(n_shared, np.array(p_values), correlations[: len(p_values)])


def _principal(rows, name):
    """Return orthonormal scores of the leading principal components."""
    centred = rows - rows.mean(0)
    spread = centred.std(0)
    centred = centred / np.where(spread > TIE * np.abs(rows).max(), spread, np.inf)
    scores, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    n = min(int((sizes > TIE * max(sizes[0], TIE)).sum()), max(1, len(rows) // ROWS_EACH))
    if not sizes[0] > TIE:
        raise ValueError(f"{name} is constant: there is nothing to be shared. Leave it out.")
    return scores[:, :n]
