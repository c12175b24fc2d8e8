"""What every benchmark does: read two options, time two sides fairly, print one table."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from time import perf_counter

import torch

__all__ = ["RESULTS", "Table", "arguments", "ratio", "timed"]

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "scikit-learn", "skorch", "numpy", "pandas", "skrub")


def arguments(description):
    """Read the command line of a benchmark: an `ArgumentParser`'s result with `quick`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="few rows and epochs: does it run?")
    return parser.parse_args()


def ratio(ours, theirs, repeats=9):
    """Return the median ratio of two works' seconds, run by turns, and the seconds of each.

    What slows the machine down for a while slows both sides of a pair.
    """
    times = [[], []]
    for _ in range(repeats):
        for side, work in zip(times, (ours, theirs), strict=True):
            side.append(timed(work)[1])
    return median(a / b for a, b in zip(*times, strict=True)), *map(median, times)


def timed(work, *args):
    """Return what a work returns, and its seconds."""
    start = perf_counter()
    result = work(*args)
    return result, perf_counter() - start


class Table:
    """One table: each row goes to stderr as it comes, the whole to stdout and to results/.

    A quick run writes no file: its numbers mean nothing. Nor does one that is told not to keep it.
    """

    def __init__(self, name, title, columns, *, quick, keep=True, notes=()):
        self.name, self.title, self.quick, self.notes = name, title, quick, notes
        self.keep = keep and not quick
        self.rows = [list(columns)]

    def add(self, *cells):
        """Add a row; floats are rounded to three decimals, None is a dash."""
        row = [_text(cell) for cell in cells]
        if len(row) != len(self.rows[0]):
            raise ValueError(f"{len(row)} cells for {len(self.rows[0])} columns: {row}")
        self.rows.append(row)
        print(" | ".join(row), file=sys.stderr, flush=True)

    def absent(self, data):
        """Add the row of a data set that is not on this machine."""
        self.add(data, "absent", *[None] * (len(self.rows[0]) - 2))

    def show(self):
        """Print the table, and keep it."""
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        lines = [
            "| " + " | ".join(map(str.ljust, row, widths)) + " |"
            for row in [self.rows[0], ["-" * width for width in widths], *self.rows[1:]]
        ]
        parts = [f"# {self.title}", _header(self.quick), "\n".join(lines), *self.notes]
        text = "\n\n".join(parts) + "\n"
        print(text)
        if self.keep:
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"{self.name}.md").write_text(text, encoding="utf-8")


def _text(cell):
    if cell is None:
        return "-"
    # Adding zero turns a rounded -0.0 into 0.0.
    return f"{round(cell, 3) + 0.0:.3f}" if isinstance(cell, float) else str(cell)


def _header(quick):
    versions = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} absent")
    threads = (
        f"{torch.get_num_threads()} torch threads of {os.cpu_count()} cores"
        f" (OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')})"
    )
    quick = ["**quick: not a measurement**"] if quick else []
    return "; ".join([*quick, date.today().isoformat(), threads, ", ".join(versions)]) + "."
