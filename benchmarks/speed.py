"""What does the package cost over a loop written by hand: epochs, transform, memory, import?"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from copy import deepcopy
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np
import torch
from skorch import NeuralNet
from skorch.utils import to_tensor
from torch.utils.data import Dataset

from sklearn_mmae import MultimodalAutoencoder
from sklearn_mmae._core.threads import one_thread
from sklearn_mmae.modalities import TabularModality
from sklearn_mmae.model._read import as_rows, presence
from sklearn_mmae.training._batches import Batch
from sklearn_mmae.training._patterns import index_contained

from ._table import Table, ratio, timed

COLUMNS_EACH = 64  # of two modalities
COLUMNS = ("what", "size", "ours", "bare", "ratio or difference", "target")
NOTES = (
    f"Epochs and transform: two modalities of {COLUMNS_EACH} float32 columns, the default networks"
    " (32 components, width 256 unless another is named); medians of paired runs. The bare epoch"
    " uses a copy of the same network, its loss, its subsets and its batches by `index_select`,"
    " with fused AdamW, without validation. Ours also limits gradients and averages weights at"
    " every few steps: *the same, with both* does both at every step, by `clip_grad_norm_` and"
    " `_foreach_lerp_`. Ours runs as in `fit`: each shard of a batch on one thread, two shards at"
    " once in large batches; the bare loop's sums use the caller's threads."
    " *skorch*: its NeuralNet with DataLoader and the same network, as it comes.",
    "Memory: the peak of a process of its own (VmHWM, Linux) over that with the input in place;"
    " two modalities of 784 float32 columns, one epoch; ours with its default early stopping and"
    " linear start, bare an epoch of the same network.",
    "Import: wall time in a new process, after what is named has been imported; median of 5.",
    "Not measured: several fits at once, pictures and text.",
)
IMPORTS = ("torch, sklearn", "torch, sklearn, skorch, pandas")


def main():
    """Print the table, or be one of its processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows: does it run?")
    parser.add_argument("--memory", choices=("ours", "bare"), help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        print(measure_memory(options.memory, options.rows))
        return
    table = Table("speed", "Speed", COLUMNS, quick=options.quick, notes=NOTES)
    for device in ("cpu", "cuda"):
        if device == "cuda" and not torch.cuda.is_available():
            table.add("epoch, cuda", "no GPU", None, None, None, None)
            continue
        for width, batch_size in product((64, 256), (32, 256, 1024)):
            measure_epoch(table, device, width, batch_size, options.quick)
    measure_transform(table, options.quick)
    n_rows = 3_000 if options.quick else 100_000
    added = {
        side: float(run("-m", "benchmarks.speed", "--memory", side, "--rows", str(n_rows)))
        for side in ("ours", "bare")
    }
    table.add(
        "memory added by fit, MB",
        f"{n_rows:,} rows of 2 x 784",
        f"{added['ours']:.0f}",
        f"{added['bare']:.0f}",
        f"{added['ours'] - added['bare']:.0f}",
        "ours: 200",
    )
    for known in IMPORTS:
        found = [measure_import(known) for _ in range(1 if options.quick else 5)]
        first, more = (median(times) for times in zip(*found, strict=True))
        target = "0.1" if known == IMPORTS[0] else None
        table.add("import, s", f"after {known}", first + more, first, more, target)
    table.show()


def run(*args):
    """Return what a new Python prints."""
    root = Path(__file__).parents[1]
    command = [sys.executable, *args]
    # Compiled once and kept, as what pip installs is.
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, cwd=root, env=kept, check=True, capture_output=True, text=True)
    return done.stdout


def measure_import(known):
    """Return the seconds that a new Python takes for what is known, and then for the package."""
    code = (
        f"from time import perf_counter as now; a = now(); import {known}; b = now();"
        " import sklearn_mmae; print(b - a, now() - b)"
    )
    return [float(seconds) for seconds in run("-c", code).split()]


def make_rows(n_rows, n_columns=COLUMNS_EACH):
    """Return correlated noise of two modalities, made in place."""
    X = np.random.default_rng(0).standard_normal((n_rows, 2 * n_columns), dtype=np.float32)
    X[:, n_columns:] += X[:, :n_columns]
    return X


def make_estimator(X, **parameters):
    """Return the default estimator, unfitted, of two modalities of equal width."""
    half = X.shape[1] // 2
    modalities = [
        ("left", TabularModality(), slice(half)),
        ("right", TabularModality(), slice(half, None)),
    ]
    return MultimodalAutoencoder(modalities, random_state=0, **parameters)


def measure_epoch(table, device, width, batch_size, quick):
    """Add an epoch of ours beside bare ones and skorch's, for networks of a width."""
    n_rows = 1_024 if quick else 8_192
    X = make_rows(n_rows)
    mmae = make_estimator(
        X, width=width, batch_size=batch_size, max_epochs=1, early_stopping=False, device=device
    ).fit(X)
    net, rows = mmae.net_, read(mmae, X).to(torch.device(device))

    def finish(work):
        def run_to_the_end():
            work()
            if device == "cuda":
                torch.cuda.synchronize()

        return run_to_the_end

    @finish
    def ours():
        with one_thread():  # as `fit` does: its shards, not its sums, share the threads
            net.learn_more(rows)

    repeats = 3 if quick else 11 if batch_size == 32 else 21
    works = {
        "bare": BareLoop(net, rows, batch_size).epoch,
        "the same, with both": BareLoop(net, rows, batch_size, thorough=True).epoch,
        "skorch": plain_skorch(net, rows, batch_size),
    }

    for name, work in works.items():
        work = finish(work)
        ours(), work()
        few = min(repeats, 5) if name == "skorch" else repeats
        times, mine, other = ratio(ours, work, few)
        target = "1.10" if name == "bare" else None
        size = f"width {width}, batch {batch_size}, {n_rows:,} rows"
        table.add(f"epoch, {device}, s; beside {name}", size, mine, other, times, target)


def read(mmae, X):
    """Return rows as the estimator's own loop gets them."""
    *_, values = mmae._model.values(X, mmae)
    known = mmae.net_.module_.patterns.cpu().numpy()
    return as_rows(values, index_contained(presence(values), known))


class BareLoop:
    """What one would write by hand around the same network."""

    def __init__(self, net, rows, batch_size, *, thorough=False):
        self.net, self.rows, self.batch_size, self.thorough = net, rows, batch_size, thorough
        self.module = deepcopy(net.module_)
        self.parameters = list(self.module.parameters())
        self.averages = [p.detach().clone() for p in self.parameters] if thorough else []
        self.optimizer = torch.optim.AdamW(self.parameters, lr=net.lr, fused=True)
        self.order = torch.Generator().manual_seed(0)
        self.generator = torch.Generator(rows.pattern.device).manual_seed(0)

    def epoch(self):
        """Take a step for each batch; return the mean loss."""
        self.module.train()
        values, pattern = self.rows.values, self.rows.pattern
        order = torch.randperm(len(pattern), generator=self.order).to(pattern.device)
        total = 0
        for index in order.split(self.batch_size):
            batch = Batch(
                [{k: v.index_select(0, index) for k, v in tensors.items()} for tensors in values],
                pattern.index_select(0, index),
            )
            shown = self.module.draw(batch.pattern, self.generator)
            self.optimizer.zero_grad()
            loss = self.module(batch, shown, self.net.noise, self.generator).sum()
            loss.backward()
            if self.thorough:
                torch.nn.utils.clip_grad_norm_(self.parameters, 0.5)
            self.optimizer.step()
            if self.thorough:
                torch._foreach_lerp_(self.averages, [p.detach() for p in self.parameters], 0.01)
            total = total + loss.detach() * len(index)
        return float(total / len(pattern))


class _OneByOne(Dataset):
    """Rows as a DataLoader takes them."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        values = [{k: v[i] for k, v in tensors.items()} for tensors in self.rows.values]
        return (values, self.rows.pattern[i]), 0


class _Plain(NeuralNet):
    """skorch's own epochs around a network that returns its losses."""

    def infer(self, x, **fit_params):
        """Return the losses of a batch."""
        values, pattern = to_tensor(x, device=self.device)
        shown = self.module_.draw(pattern, self.generator)
        return self.module_(Batch(values, pattern), shown, self.source.noise, self.generator)

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        """Return their sum."""
        return y_pred.sum()


def plain_skorch(net, rows, batch_size):
    """Return an epoch of skorch as it comes."""
    plain = _Plain(
        deepcopy(net.module_),
        criterion=torch.nn.Identity,
        optimizer=torch.optim.AdamW,
        lr=net.lr,
        batch_size=batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        device=rows.pattern.device,
    )
    plain.source = net
    plain.generator = torch.Generator(rows.pattern.device).manual_seed(0)
    plain.initialize()
    dataset = _OneByOne(rows)
    return lambda: plain.fit_loop(dataset, epochs=1)


def measure_transform(table, quick):
    """Add `transform` beside the bare encoder at its best block size."""
    n_rows = 5_000 if quick else 100_000
    X = make_rows(n_rows)
    mmae = make_estimator(X, max_epochs=1, early_stopping=False).fit(X[:5_000])
    module = mmae.net_.module_.to("cpu").eval()
    rows = read(mmae, X)

    def forward(size):
        codes = torch.empty(n_rows, 32)
        with torch.inference_mode():
            for start in range(0, n_rows, size):
                block = slice(start, start + size)
                values = [{k: v[block] for k, v in tensors.items()} for tensors in rows.values]
                codes[block] = module.encode(module.views(values), rows.pattern[block])
        return codes

    sizes = (256, 512, 1024, 2048, 4096, 8192)
    trials = {size: median(timed(forward, size)[1] for _ in range(3)) for size in sizes}
    best = min(trials, key=trials.get)
    times, ours, theirs = ratio(lambda: mmae.transform(X), lambda: forward(best))
    size = f"{n_rows:,} rows, bare blocks of {best}"
    table.add("transform, cpu, s", size, ours, theirs, times, "1.20")


def measure_memory(side, n_rows):
    """Return by how many MB an epoch raises the peak of this process over its input."""
    X = make_rows(n_rows, 784)
    before = peak()
    if side == "ours":
        make_estimator(X, max_epochs=1, device="cpu").fit(X)
    else:
        few = X[:300]
        # The least that makes the same network: nothing of ours should count as theirs.
        mmae = make_estimator(
            few, max_epochs=0, init="random", early_stopping=False, device="cpu"
        ).fit(few)
        BareLoop(mmae.net_, read(mmae, X), 256).epoch()
    return peak() - before


def peak():
    """Return the most memory this process has held, in MB."""
    # Not ru_maxrss: a new process inherits that of the one that started it.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
