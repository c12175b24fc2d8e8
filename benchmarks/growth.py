"""Does a process that fits and answers for days keep growing?

    python -m benchmarks.growth               # 200 fits and 20,000 transforms: some minutes
    python -m benchmarks.growth --quick       # a tenth of them

Small fits of a table with text and missing values; then `transform` of a few rows at a time, whose
patterns of missing values differ. Prints how much memory (resident, in MB), how many open files and
how many threads there are after the first tenth, in which caches fill, and at the end. Linux alone.
"""

from __future__ import annotations

import argparse
import gc
import os
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_mmae import MultimodalAutoencoder, TabularModality, TextModality

N_FITS, N_TRANSFORMS = 200, 20_000
MEGABYTES = 5  # that each of them may grow by
ROWS, AT_ONCE = 60, 5


def rows() -> pd.DataFrame:
    """Return a table of numbers with missing values, a category and a text."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(ROWS, 4)), columns=list("abcd"))
    X["kind"] = np.where(X["a"] > 0, "high", "low")
    X["text"] = np.where(X["b"] > 0, "a red car", "the blue sea")
    return X.mask(rng.random(X.shape) < 0.2)


def fitted(X: pd.DataFrame, seed: int) -> MultimodalAutoencoder:
    """Return a small estimator, fitted."""
    table = ("table", TabularModality(), [*"abcd", "kind"])
    parts = [table, ("text", TextModality(), ["text"])]
    return MultimodalAutoencoder(
        parts, n_components=2, width=8, max_epochs=2, random_state=seed
    ).fit(X)


def state() -> tuple[float, int, int]:
    """Return the resident memory in MB, and the numbers of open files and threads."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    megabytes = pages * os.sysconf("SC_PAGESIZE") / 1e6
    return megabytes, len(os.listdir("/proc/self/fd")), threading.active_count()


def growth(work: Callable[[int], object], n: int) -> float:
    """Do a piece of work `n` times; print and return the growth in MB after the first tenth."""
    for i in range(n):
        if i == n // 10:
            before = state()
        work(i)
    after = state()
    for name, one, other in zip(("MB", "files", "threads"), before, after, strict=True):
        print(f"  {name}: {one:.1f} -> {other:.1f}")
    return after[0] - before[0]


def main() -> None:
    """Print the growth of fits and of transforms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    less = 10 if parser.parse_args().quick else 1
    warnings.simplefilter("ignore")
    X = rows()
    mmae, starts = (
        fitted(X, 0),
        np.random.default_rng(1).integers(ROWS - AT_ONCE, size=N_TRANSFORMS),
    )
    for name, n, work in (
        ("fit", N_FITS // less, lambda i: fitted(X, i)),
        ("transform", N_TRANSFORMS // less, lambda i: mmae.transform(X[starts[i] :][:AT_ONCE])),
    ):
        print(f"{n} times {name}:")
        print(f"  grew by {growth(work, n):.1f} MB, target under {MEGABYTES}")


if __name__ == "__main__":
    main()
