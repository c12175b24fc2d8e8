"""Scaler and PCA of `diffprivlib`, half of epsilon each; run by its own environment's Python."""

from __future__ import annotations

import numpy as np
from _runner import serve, within
from diffprivlib.models import PCA, StandardScaler

LIMIT = 30  # CPU seconds of a fit: it samples eigenvectors by rejection, which may never end


def reconstruct(rows, others, low, high, request):
    """Return the other rows as they come back; epsilon is pure, there is no delta."""
    epsilon, seed = request["epsilon"], request["seed"]
    rows, others = np.clip(rows, low, high), np.clip(others, low, high)
    if request["scaled"]:
        epsilon = epsilon / 2
        scaler = StandardScaler(epsilon=epsilon, bounds=(low, high), random_state=seed).fit(rows)
        # Its noisy variances may be negative or nearly nothing.
        mean, scale = scaler.mean_, np.maximum(np.nan_to_num(scaler.scale_), (high - low) / 100)
    else:
        mean, scale = (low + high) / 2, (high - low) / 2
    pca = PCA(
        request["n_components"],
        epsilon=epsilon,
        data_norm=request["norm"] * rows.shape[1] ** 0.5,
        bounds=((low - mean) / scale, (high - mean) / scale),
        random_state=seed,
    ).fit((rows - mean) / scale)
    return pca.inverse_transform(pca.transform((others - mean) / scale)) * scale + mean


if __name__ == "__main__":
    serve(within(LIMIT, reconstruct))
