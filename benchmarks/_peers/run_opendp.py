"""PCA of OpenDP, within public bounds; run by its own environment's Python."""

from __future__ import annotations

import signal
import warnings

import numpy as np
from _runner import serve, timed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of optional parts that are absent
    import opendp.prelude as dp
    from opendp.extras.sklearn.decomposition import PCA

LIMIT = 60  # seconds of a fit: it samples eigenvectors one by one
dp.enable_features("contrib", "floating-point", "honest-but-curious")


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
    serve(answer)
