"""What do two processes gain, each with half of the rows, and is what they learn the same?

python -m benchmarks.ranks
python -m benchmarks.ranks --rows 1000000 --repeats 1
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import numpy as np
import pandas as pd

from sklearn_mmae import Chunks, MultimodalAutoencoder

from ._table import Table
from .large_data import write_rows

COLUMNS = ("data", "ranks", "CPU s", "beside one", "wall s", "wall beside one", "same bits")
NOTES = (
    "Fits of one process of one thread, and of two, each of which has half of the rows; they take"
    " turns, and medians are shown. *Table*: 20 columns of float64, from Parquet files, in chunks"
    " of 65,536, 8 components. *Pictures*: 32 x 32 pixels and two numbers, in memory, 16 of them."
    " *CPU s*: seconds of the processor of the process that took most: what a fit takes where each"
    " has a core of its own, as waiting takes none. *beside one*: seconds of one process to those;"
    " target 1.6. *same bits*: vectors of 1,000 rows.",
)


def main():
    """Print the table, or be one of its processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows and epochs: does it run?")
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--pictures", type=int, default=6_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--fit", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        fit(*options.fit)
        return
    sizes = (20_000, 300) if options.quick else (options.rows, options.pictures)
    table = Table("ranks", "Ranks", COLUMNS, quick=options.quick, notes=NOTES)
    with TemporaryDirectory() as folder:
        for name, n_rows in zip(("table", "pictures"), sizes, strict=True):
            if not n_rows:
                continue
            for half in range(2):
                save(Path(folder, f"{name}-{half}.parquet"), name, n_rows // 2, half)
            compare(table, name, n_rows, folder, 1 if options.quick else options.repeats)
    table.show()


def save(path, name, n_rows, half):
    """Write half of the rows."""
    if name == "table":
        write_rows(path, n_rows, half)
        return
    rng, shared = np.random.default_rng(half), np.random.default_rng(2)
    codes = rng.normal(size=(n_rows, 8))
    pixels = 127 + 10 * codes @ shared.normal(size=(8, 32 * 32)) + rng.normal(size=(n_rows, 1024))
    frame = pd.DataFrame(codes[:, :2] + rng.normal(size=(n_rows, 2)), columns=["a", "b"])
    frame["photo"] = [row.tobytes() for row in pixels.clip(0, 255).astype(np.uint8)]
    frame.to_parquet(path)


def compare(table, name, n_rows, folder, repeats):
    """Add a row for one process, and one for two."""
    found = {1: [], 2: []}
    for _ in range(repeats):
        for n_ranks, runs in found.items():
            runs.append(run(n_ranks, folder, name))
    alone = [median(run[i] for run in found[1]) for i in range(2)]
    (bits,) = {run[2] for run in found[1]}
    for n_ranks, runs in found.items():
        cpu, wall = (median(run[i] for run in runs) for i in range(2))
        same = {run[2] for run in runs} == {bits}
        data = f"{name}, {n_rows:,}"
        table.add(data, n_ranks, cpu, alone[0] / cpu, wall, alone[1] / wall, same)


def run(n_ranks, folder, name):
    """Return seconds of the processor, of the slowest rank, those that passed, and a hash."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    at = {"WORLD_SIZE": str(n_ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.ranks", "--fit", folder, name, str(rank)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **at, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
        )
        for rank in range(n_ranks)
    ]
    told = [json.loads(process.communicate()[0].splitlines()[-1]) for process in processes]
    (bits,) = {bits for *_, bits in told}
    return max(cpu for cpu, *_ in told), max(wall for _, wall, _ in told), bits


def fit(folder, name, rank):
    """Fit the rows of a rank, or all of them, and print what it took."""
    alone = os.environ["WORLD_SIZE"] == "1"
    paths = sorted(Path(folder).glob(f"{name}-*.parquet"))
    own = paths if alone else [paths[int(rank)]]
    shown = pd.concat([next(iter(Chunks(path)))[:500] for path in paths])
    options = {"random_state": 0, "n_components": 8}
    if name == "pictures":
        rows, shown = (_pictures(frame) for frame in (pd.concat(map(pd.read_parquet, own)), shown))
        options |= {"n_components": 16, "max_epochs": 12}
    else:
        rows = Chunks(own)
    at = {name: os.environ.pop(name) for name in ("WORLD_SIZE", "RANK")}
    MultimodalAutoencoder(n_components=2, max_epochs=1).fit(np.eye(64)[:, :3])  # late imports
    os.environ.update(at)
    cpu, wall = process_time(), perf_counter()
    mmae = MultimodalAutoencoder(**options).fit(rows)
    took = process_time() - cpu, perf_counter() - wall
    bits = sha256(mmae.transform(shown).tobytes()).hexdigest()
    sys.stdout.write(json.dumps([*took, bits]))


def _pictures(frame):
    frame = frame.reset_index(drop=True)
    frame["photo"] = [np.frombuffer(cell, np.uint8).reshape(32, 32) for cell in frame["photo"]]
    return frame


if __name__ == "__main__":
    main()
