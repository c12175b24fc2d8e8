"""Multiset CCA by `mvlearn`; run by its own environment's Python, see `_runner`."""

from __future__ import annotations

import numpy as np
from _runner import serve, timed
from mvlearn.embed import MCCA


def answer(request, train, test, folder):
    """Return mean scores of the views; it has no prediction of one from the others."""
    model = MCCA(n_components=request["n_components"], regs=request["regs"])
    model, seconds = timed(model.fit, list(train.values()))
    found = {
        f"codes/{part}": np.mean(model.transform(list(rows.values())), axis=0)
        for part, rows in (("train", train), ("test", test))
    }
    return found, seconds


if __name__ == "__main__":
    serve(answer)
