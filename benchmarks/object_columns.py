"""What does it cost to read columns of objects, beside another checkout of the package?

    python -m benchmarks.object_columns --against FOLDER

Each fit (``max_epochs=0``) has a fresh process; the two sides take turns.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import pandas as pd

ROWS, QUICK = 60_000, 2_000
TARGET = 0.6


def main():
    """Print the ratio of the seconds of CPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="folder of the other checkout")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="few rows: does it run?")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(_fit(options.one))
        return
    here, rows = Path(__file__).parents[1], QUICK if options.quick else ROWS
    sides = [here, options.against or here]
    pairs = [[_in_fresh_process(side, rows) for side in sides] for _ in range(options.repeats)]
    ours, theirs = map(median, zip(*pairs, strict=True))
    ratio = median(a / b for a, b in pairs)
    print(f"{rows} rows x 5: ours {ours:.2f} s, theirs {theirs:.2f} s of CPU, ratio {ratio:.2f}")
    print(f"target {TARGET}")


def _in_fresh_process(checkout, rows):
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--one", str(rows)]
    return float(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)


def _fit(rows):
    """Return the seconds of CPU of one fit, imports and first calls left out."""
    from sklearn_mmae import MultimodalAutoencoder

    mmae, X = MultimodalAutoencoder(n_components=4, max_epochs=0, random_state=0), table(rows)
    mmae.fit(X[:100])
    start = process_time()
    mmae.fit(X)
    return process_time() - start


def table(rows):
    """Return strings of few values, numbers, dates as strings, bools and numbers with holes."""
    rng = np.random.default_rng(0)
    words = np.array(["red", "green", "blue", "grey", "black"], object)
    days = np.datetime64("2020-01-01") + rng.integers(0, 1000, rows)
    holed = rng.integers(0, 50, rows).astype(object)
    holed[rng.random(rows) < 0.1] = None
    holed[rng.random(rows) < 0.1] = pd.NA
    return pd.DataFrame(
        {
            "word": words[rng.integers(0, len(words), rows)],
            "number": rng.normal(size=rows).astype(object),
            "day": days.astype(str).astype(object),
            "bool": (rng.random(rows) < 0.5).astype(object),
            "holed": holed,
        },
        dtype=object,
    )


if __name__ == "__main__":
    main()
