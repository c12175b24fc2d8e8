"""Factor analysis of mixed data by `prince`; run by its own environment's Python, see `_runner`."""

from __future__ import annotations

import pandas as pd
from _runner import serve, timed
from prince import FAMD


def answer(request, train, test, folder):
    """Return the coordinates of both parts: all that FAMD says of rows that it has not seen."""
    train, test = as_frame(train), as_frame(test)
    model = FAMD(n_components=request["n_components"], random_state=request["seed"])
    model, seconds = timed(model.fit, train)
    codes = [model.row_coordinates(rows).to_numpy() for rows in (train, test)]
    return {"codes/train": codes[0], "codes/test": codes[1]}, seconds


def as_frame(rows):
    """Return numbers as floats, and numbers of categories as the strings that FAMD asks for."""
    numbers, categories = (pd.DataFrame(rows[kind]) for kind in ("numbers", "categories"))
    frame = pd.concat([numbers.astype(float), categories.astype(str)], axis=1)
    return frame.set_axis([f"column {i}" for i in range(frame.shape[1])], axis=1)


if __name__ == "__main__":
    serve(answer)
