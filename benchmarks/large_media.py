"""What does a fit of a folder of images cost that do not fit in memory, and who waits for files?

python -m benchmarks.large_media
python -m benchmarks.large_media --rows 5000 --epochs 0
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from PIL import Image

from sklearn_mmae import Chunks, MultimodalAutoencoder
from sklearn_mmae._core import threads

from ._table import Table
from .large_data import memory_of

SIZE, FACTORS, AT_ONCE = 64, 12, 1000
ROWS, EPOCHS = (5_000, 50_000), (0, 5)
COLUMNS = ("files", "epochs", "CPU s", "wall s", "MB", "read ahead, s", "waited, s", "hidden")
NOTES = (
    "PNG files of 64 x 64 colour pixels, smooth shapes and noise; a Parquet file has their paths. A"
    " default fit of `Chunks` with 8 components, one thread, a process of its own. *MB*: the peak"
    " of the process (VmHWM, Linux) over what it takes once all is imported; target 300.",
    "*read ahead*: seconds in which a thread read rows beyond the sample; *waited*: those in which"
    " the fit waited for it; *hidden*: the share of the former in which the fit was at work, target"
    " .9. Where all rows are in the sample, none are read ahead. Wall times are of a machine of two"
    " cores.",
)


def main():
    """Print the table, or be one of its processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few files: does it run?")
    parser.add_argument("--rows", nargs="*", type=int, default=ROWS)
    parser.add_argument("--epochs", nargs="*", type=int, default=EPOCHS)
    parser.add_argument("--fit", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        fit(*options.fit)
        return
    table = Table(
        "large_media", "Large folders of images", COLUMNS, quick=options.quick, notes=NOTES
    )
    for n_rows in [200] if options.quick else options.rows:
        with TemporaryDirectory() as folder:
            path = write_images(Path(folder), n_rows)
            for epochs in options.epochs:
                command = [sys.executable, "-m", "benchmarks.large_media", "--fit"]
                told = subprocess.run(
                    [*command, str(path), str(epochs)],
                    check=True,
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                    stdout=subprocess.PIPE,
                )
                table.add(f"{n_rows:,}", epochs, *json.loads(told.stdout))
    table.show()


def write_images(folder, n_rows):
    """Write images, and return a Parquet file of their paths."""
    rng, paths = np.random.default_rng(0), []
    coarse = rng.normal(size=(FACTORS, 8, 8, 3)).astype(np.float32)
    shapes = np.stack([np.stack([_smooth(c) for c in np.moveaxis(s, 2, 0)], 2) for s in coarse])
    for first in range(0, n_rows, AT_ONCE):
        n = min(AT_ONCE, n_rows - first)
        pixels = np.tensordot(rng.normal(size=(n, FACTORS)), shapes, 1) / 2
        pixels += rng.normal(size=pixels.shape) / 10
        for i, picture in enumerate((255 / (1 + np.exp(-pixels))).astype(np.uint8)):
            paths.append(str(folder / f"{first + i}.png"))
            Image.fromarray(picture).save(paths[-1])
    pd.DataFrame({"photo": paths}).to_parquet(folder / "rows.parquet")
    return folder / "rows.parquet"


def _smooth(coarse):
    return np.asarray(Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def fit(path, epochs):
    """Fit the images of a file, and print what it took."""
    Image.init()
    estimator = MultimodalAutoencoder(n_components=8, max_epochs=int(epochs), random_state=0)
    # Imports what is imported late.
    estimator.fit(pd.DataFrame(np.random.default_rng(0).normal(size=(64, 3))))
    pq.ParquetFile(path).close()
    read, waited = _timed("run"), _timed("result")
    before, start, wall = memory_of("VmRSS"), process_time(), perf_counter()
    estimator.fit(Chunks(path))
    seconds, wall = process_time() - start, perf_counter() - wall
    peak = (memory_of("VmHWM") - before) / 1024
    hidden = [sum(read), sum(waited), 1 - sum(waited) / sum(read)] if read else [None] * 3
    print(json.dumps([seconds, wall, peak, *hidden]))


def _timed(name):
    """Let a method of the threads that read ahead note its seconds, and return the list of them."""
    seconds, method = [], getattr(threads._Coming, name)

    def noting(self):
        start = perf_counter()
        try:
            return method(self)
        finally:
            seconds.append(perf_counter() - start)

    setattr(threads._Coming, name, noting)
    return seconds


if __name__ == "__main__":
    main()
