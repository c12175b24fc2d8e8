"""PCA of OpenDP, within public bounds; run by its own environment's Python."""

from __future__ import annotations

import warnings

import numpy as np
from _runner import serve, within

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of optional parts that are absent
    import opendp.prelude as dp
    from opendp.extras.sklearn.decomposition import PCA

LIMIT = 300  # CPU seconds of a fit: it samples eigenvectors one by one
dp.enable_features("contrib", "floating-point", "honest-but-curious")


def reconstruct(rows, others, low, high, request):
    """Return the other rows as they come back; epsilon is pure, there is no delta."""
    mean, scale = (low + high) / 2, (high - low) / 2
    rows, others = ((np.clip(part, low, high) - mean) / scale for part in (rows, others))
    pca = PCA(
        epsilon=request["epsilon"],
        row_norm=request["norm"] * rows.shape[1] ** 0.5,
        n_samples=len(rows),
        n_features=rows.shape[1],
        n_components=request["n_components"],
    ).fit(rows)
    return pca.inverse_transform(pca.transform(others)) * scale + mean


if __name__ == "__main__":
    serve(within(LIMIT, reconstruct))
