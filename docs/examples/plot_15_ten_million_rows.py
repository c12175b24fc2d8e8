"""
Ten million rows
================

Rows that do not fit in memory are read in chunks, by `fit` and by every method that answers row by
row.
"""

# %%
# The rows are made while they are read: a million at a time, as reading files would give them. Any
# source that can be read again will do: Parquet or CSV files, a Dask or polars frame, or a function
# such as this.

import numpy as np
import pandas as pd

N_ROWS, N_CHUNK = 10_000_000, 1_000_000
mixing = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)


def rows():
    for chunk in range(N_ROWS // N_CHUNK):
        rng = np.random.default_rng(chunk)
        sensors = rng.standard_normal((N_CHUNK, 2), dtype=np.float32) @ mixing
        sensors += 0.3 * rng.standard_normal(sensors.shape, dtype=np.float32)
        yield pd.DataFrame(sensors, columns=["heat", "load", "flow", "noise"])


# %%
# ``fit`` takes `Chunks` instead of a frame. Sums, such as means and second moments, are of all
# rows; networks learn from a sample of 131,072.

import time

from sklearn_mmae import Chunks, MultimodalAutoencoder

table = Chunks(rows)
mmae = MultimodalAutoencoder(n_components=2, max_epochs=5, random_state=0)
start = time.perf_counter()
mmae.fit(table)
print(f"{N_ROWS:,} rows in {time.perf_counter() - start:.0f} seconds")

# %%
# In memory are one chunk and the sample, never the table. Of rows of 20 numbers, ten million take
# no more memory than one million: :doc:`../large_data` has the figures.
#
# Answers are iterators, too. With ``to=`` they are written to a Parquet file: ``mmae.impute(table,
# to="filled.parquet")``. Here the embeddings of the first three chunks become a map of their
# density:

from itertools import islice

import matplotlib.pyplot as plt

counts = 0
edges = np.linspace(-4, 4, 121)
for Z in islice(mmae.transform(table), 3):
    scaled = Z / Z.std(axis=0)
    counts = counts + np.histogram2d(*scaled.T, bins=(edges, edges))[0]
figure, ax = plt.subplots(layout="constrained", figsize=(5, 4.4))
image = ax.pcolormesh(edges, edges, counts.T, cmap="viridis")
ax.set(xlabel="component 0 (standardised)", ylabel="component 1 (standardised)", aspect="equal")
figure.colorbar(image, label=f"rows, of {int(counts.sum()):,}")
plt.show()

# %%
# What is learned from which rows, rows that come only once, and several machines:
# :doc:`../large_data`.
