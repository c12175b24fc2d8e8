"""Multiset CCA by `cca-zoo`; run by its own environment's Python, see `_runner`."""

from __future__ import annotations

import numpy as np
from _runner import serve, timed
from cca_zoo.linear import MCCA


def answer(request, train, test, folder):
    """Return mean scores of the views, and each view as the others predict it."""
    model = MCCA(request["n_components"], shrinkage=request["shrinkage"])
    model, seconds = timed(model.fit, list(train.values()))
    found = {
        f"codes/{part}": np.mean(model.transform(list(rows.values())), axis=0)
        for part, rows in (("train", train), ("test", test))
    }
    for i, name in enumerate(test):
        shown = [None if other == name else rows for other, rows in test.items()]
        found[f"crossed/{name}"] = model.predict(shown)[i]
    return found, seconds


if __name__ == "__main__":
    serve(answer)
