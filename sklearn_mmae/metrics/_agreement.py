"""Whether two sets of embeddings of the same rows agree."""

from __future__ import annotations

import numpy as np
from sklearn.utils._param_validation import StrOptions, validate_params

from .._core.typing import ArrayLike
from ._checks import check_same_rows, check_vectors

__all__ = ["latent_agreement"]


@validate_params(
    {
        "Z_a": ["array-like"],
        "Z_b": ["array-like"],
        "method": [StrOptions({"debiased_cka", "cka", "procrustes"})],
    },
    prefer_skip_nested_validation=True,
)
def latent_agreement(Z_a: ArrayLike, Z_b: ArrayLike, *, method: str = "debiased_cka") -> float:
    r"""Compare two sets of embeddings of the same rows, whatever their rotation and scale.

    Embeddings of two modalities, of two fits, of two numbers of components. With columns centred,

    .. math::

        cka = \frac{\lVert Z_a^\top Z_b \rVert_F^2}
                   {\lVert Z_a^\top Z_a \rVert_F \, \lVert Z_b^\top Z_b \rVert_F}
        \qquad
        procrustes = \frac{\lVert Z_a^\top Z_b \rVert_*^2}
                          {\lVert Z_a \rVert_F^2 \, \lVert Z_b \rVert_F^2}

    Parameters
    ----------
    Z_a : array-like of shape (rows, components)
        Embeddings.
    Z_b : array-like of shape (rows, other components)
        Others, of the same rows in the same order.
    method : {"debiased_cka", "cka", "procrustes"}, default="debiased_cka"
        "cka" is linear centred kernel alignment [1]_: whether the same rows are similar to one
        another. Embeddings that share nothing have more than 0 with few rows (0.4 for 50 rows of 32
        components), so the default estimates its terms without bias [2]_, [3]_.
        "procrustes" is the R2 of one set after the best rotation and scaling to the other: 1
        minus the disparity of `scipy.spatial.procrustes`.

    Returns
    -------
    float
        1 for the same up to rotation, reflection, shift and scale; 0 (on average, for
        "debiased_cka", which may fall below) for unrelated sets.

    Raises
    ------
    ValueError
        For lengths that differ, embeddings that are not finite or all alike, and fewer than 4 rows
        where the bias is to be removed.

    References
    ----------
    .. [1] S. Kornblith, M. Norouzi, H. Lee and G. Hinton (2019). Similarity of neural network
       representations revisited. ICML.
    .. [2] L. Song, A. Smola, A. Gretton, J. Bedo and K. Borgwardt (2012). Feature selection via
       dependence maximization. Journal of Machine Learning Research 13, 1393-1434.
    .. [3] T. Nguyen, M. Raghu and S. Kornblith (2021). Do wide and deep networks learn the same
       things? ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmae.metrics import latent_agreement
    >>> rng = np.random.default_rng(0)
    >>> Z = rng.normal(size=(50, 32))
    >>> turned = 3 * Z @ np.linalg.qr(rng.normal(size=(32, 32)))[0]
    >>> round(latent_agreement(Z, turned), 6)
    1.0
    >>> other = rng.normal(size=(50, 32))
    >>> round(latent_agreement(Z, other, method="cka"), 1), abs(latent_agreement(Z, other)) < 0.1
    (0.4, True)
    """
    Z_a, Z_b = check_vectors(Z_a, "Z_a"), check_vectors(Z_b, "Z_b")
    check_same_rows(Z_a=Z_a, Z_b=Z_b)
    if method == "debiased_cka" and len(Z_a) < 4:
        raise ValueError(
            f"{len(Z_a)} rows: without bias it takes 4 at least. Give more rows, or method='cka'."
        )
    Z_a, Z_b = _centred(Z_a, "Z_a"), _centred(Z_b, "Z_b")
    if method == "procrustes":
        return float(np.linalg.svd(Z_a.T @ Z_b, compute_uv=False).sum() ** 2)
    product = _unbiased if method == "debiased_cka" else _biased
    own = [product(Z_a, Z_a), product(Z_b, Z_b)]
    if min(own) <= np.finfo(np.float64).eps:
        raise ValueError(
            "the rows of one set are all equally similar, as far as so few show. Give more rows,"
            " or method='cka'."
        )
    return float(product(Z_a, Z_b) / np.sqrt(own[0] * own[1]))


def _centred(Z, name):
    """Return embeddings with mean 0 and norm 1."""
    largest = np.abs(Z).max()
    if not np.ptp(Z, 0).any():
        raise ValueError(f"the rows of {name} are all alike: there is nothing to compare.")
    Z = Z / largest  # squares of large numbers must stay finite
    Z = Z - Z.mean(0)
    return Z / np.linalg.norm(Z)


def _biased(Z_a, Z_b):
    """Return the inner product of the two matrices of similarities."""
    return (Z_a.T @ Z_b).ravel() @ (Z_a.T @ Z_b).ravel()


def _unbiased(Z_a, Z_b):
    """Return the same without the rows' similarity to themselves: HSIC_1 of Song et al. (5).

    With K the similarities, diagonal 0, it takes trace(K L), sum(K) sum(L) and sum(K L). The
    columns have mean 0, so the rows of K sum to minus what stood in its diagonal; no matrix
    (rows, rows) is made.
    """
    n = len(Z_a)
    a, b = (Z_a**2).sum(1), (Z_b**2).sum(1)
    return _biased(Z_a, Z_b) - a @ b + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * a @ b
