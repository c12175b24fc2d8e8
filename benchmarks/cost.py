"""What does a fit cost, by rows and columns?

    OMP_NUM_THREADS=1 python -m benchmarks.cost

Data are made here. Seconds are CPU seconds of this process, on one thread.
"""

from __future__ import annotations

from time import process_time

import numpy as np
import pandas as pd
import torch

from sklearn_mmae import MultimodalAutoencoder

from ._table import Table, arguments

COLUMNS = ("data", "rows", "columns", "fit, linear start, s", "fit, default, s", "transform, s")
SIZES = (
    ("numbers", 1_000, 10),
    ("numbers", 10_000, 10),
    ("numbers", 100_000, 10),
    ("numbers", 1_000, 100),
    ("numbers", 10_000, 100),
    ("numbers", 100_000, 100),
    ("table with text", 1_000, 10),
    ("table with text", 10_000, 10),
    ("table with text", 50_000, 10),
    ("images, 32 x 32", 1_000, 1),
    ("images, 32 x 32", 4_000, 1),
)
QUICK = (("numbers", 100, 10), ("table with text", 100, 10), ("images, 32 x 32", 100, 1))
NOTES = (
    "CPU seconds of one thread, one fit each; 32 components, all other settings at their defaults."
    " *Linear start*: `max_epochs=0`. *Transform*: of all rows. Data are simulated, of rank 8, with"
    " noise of the strength of the signal. *Table with text*: half numbers, then categories of 20"
    " values, and one text of 12 words from 2,000.",
)


def main():
    """Print the table."""
    quick = arguments(__doc__).quick
    torch.set_num_threads(1)
    table = Table(
        "cost", "Cost: rows and columns to CPU seconds", COLUMNS, quick=quick, notes=NOTES
    )
    fit_seconds(numbers(100, 10), max_epochs=1)  # imports and first calls are not to count
    for kind, n_rows, n_columns in QUICK if quick else SIZES:
        frame = MAKERS[kind](n_rows, n_columns)
        start, _ = fit_seconds(frame, max_epochs=0)
        default, mmae = fit_seconds(frame, **({"max_epochs": 1} if quick else {}))
        before = process_time()
        mmae.transform(frame)
        seconds = [start, default, process_time() - before]
        table.add(kind, f"{n_rows:,}", n_columns, *(f"{s:.2g}" for s in seconds))
    table.show()


def fit_seconds(frame, **parameters):
    """Return the CPU seconds of a fit, and what was fitted."""
    before = process_time()
    mmae = MultimodalAutoencoder(random_state=0, **parameters).fit(frame)
    return process_time() - before, mmae


def numbers(n_rows, n_columns):
    """Return columns of rank 8, and noise."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(n_rows, 8)) @ rng.normal(size=(8, n_columns)) / np.sqrt(8)
    values = signal + rng.normal(size=signal.shape)
    return pd.DataFrame(values, columns=[f"x{i}" for i in range(n_columns)])


def table_with_text(n_rows, n_columns):
    """Return numbers, categories that follow from them, and a text of words."""
    rng = np.random.default_rng(0)
    frame = numbers(n_rows, n_columns - 1)
    for name in frame.columns[n_columns // 2 :]:
        bins = pd.qcut(frame[name].rank(method="first"), 20, labels=False)
        frame[name] = "value " + bins.astype(str)
    words = np.array([f"word{i}" for i in range(2_000)], dtype=object)
    usual = (rng.pareto(1.0, size=(n_rows, 12)) * 20).astype(int) % len(words)
    frame["text"] = [" ".join(row) for row in words[usual]]
    return frame


def images(n_rows, n_columns):
    """Return pictures of 32 x 32 pixels, each a blob somewhere."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    cells = []
    for centre, size in zip(
        rng.uniform(8, 24, (n_rows, 2)), rng.uniform(2, 7, n_rows), strict=True
    ):
        blob = np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * size**2))
        cells.append((200 * blob + rng.uniform(0, 50, blob.shape)).astype(np.uint8))
    return pd.DataFrame({"image": pd.Series(cells, dtype=object)})


MAKERS = {"numbers": numbers, "table with text": table_with_text, "images, 32 x 32": images}


if __name__ == "__main__":
    main()
