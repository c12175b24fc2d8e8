"""Scaler and PCA of `diffprivlib`, half of epsilon each; run by its own environment's Python."""

from __future__ import annotations

import signal

import numpy as np
from _runner import serve, timed
from diffprivlib.models import PCA, StandardScaler

LIMIT = 60  # seconds of a fit: it samples eigenvectors by rejection, which may never end


def stop(*_):
    """End what takes too long."""
    raise TimeoutError(f"no fit within {LIMIT} s")


def answer(request, train, test, folder):
    """Return the test rows as they come back; pure epsilon, no delta."""
    rows, others = train["rows"], test["rows"]
    low, high = np.array(request["low"]), np.array(request["high"])
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT)
    back, seconds = timed(reconstruct, rows, others, low, high, request)
    signal.alarm(0)
    return {"back": back}, seconds


def reconstruct(rows, others, low, high, request):
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
    serve(answer)
