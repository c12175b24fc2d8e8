"""Is a default fit ahead of a plain loop on one table, and from which second on?

python -m benchmarks.curves --against FOLDER
python -m benchmarks.curves --no-curve
"""

from __future__ import annotations

import argparse
from itertools import product

import numpy as np
import torch
from torch import nn

from sklearn_mmae import MultimodalAutoencoder

from ._rows import digits_standardised
from ._sides import NO_SIDE, Jobs, cpu_seconds, options_of, sides, table_of

WIDTH, NOISE, RATE, BATCH, EPOCHS = 256, 0.4, 0.01, 128, 60
SPLITS = range(1, 6)
PLAIN_CURVE, OUR_CURVE = [5, 10, 20, 40, 80], [5, 10, 20, 40, 60, 80]
FAR = 15  # standard deviations
COLUMNS = (
    *("method", "package", "epochs", "R2", "R2 trimmed", "its worst split"),
    *("CPU s", "of plain's", "plain by then", "trimmed by then"),
)
NOTES = (
    "scikit-learn's digits, each pixel standardised by the training rows (1,257; 540 test rows), 8"
    " components, mean over splits. *R2*: 1 - squared error over squares, of all test cells;"
    f" *trimmed*: without test rows that have a cell {FAR} standard deviations out (in one split"
    " half of all squares are one cell's). *CPU s*: of the whole fit, one thread, in a fresh"
    " process each, after a small fit; the methods take turns.",
    f"*plain*: a loop of 25 lines, two hidden layers of {WIDTH}, GELU, noise {NOISE}, AdamW with a"
    f" one-cycle rate of {RATE}, batch {BATCH}, {EPOCHS} epochs, random start. *of plain's*: the"
    " ratio of seconds to its, target 2. *by then*: R2 of the plain loop with as many seconds, on"
    " the line through its fits of several lengths; ours should be above from 1 s on.",
)


def main():
    """Print the table."""
    options = options_of(__doc__, *ARGUMENTS)
    table = table_of("curves", "Curves", COLUMNS, options, NOTES)
    jobs = Jobs("curves", options)
    plain_lengths = [1, 2] if options.quick else sorted({EPOCHS, *options.curve * PLAIN_CURVE})
    our_lengths = [1] if options.quick else [*options.curve * OUR_CURVE, None]
    ways = {
        "plain": product(["plain"], [NO_SIDE], plain_lengths),
        "ours": product(["ours"], sides(options), our_lengths),
    }
    ways = [way for method in options.methods for way in ways[method]]
    found = {way: [] for way in ways}
    for split in SPLITS[: 1 if options.quick else options.splits]:
        for method, side, epochs in ways:
            job = {"method": method, "split": split, "epochs": epochs}
            found[method, side, epochs].append(jobs.run(side, **job))
    add_rows(table, {way: Measured(rows) for way, rows in found.items()})
    table.show()


ARGUMENTS = (
    ("--methods", {"nargs": "+", "choices": ["plain", "ours"], "default": ["plain", "ours"]}),
    ("--splits", {"type": int, "default": len(SPLITS), "help": "how many"}),
    ("--curve", {"action": argparse.BooleanOptionalAction, "default": True}),
)


class Measured:
    """Scores and seconds of one way to fit, over splits."""

    def __init__(self, rows):
        self.r2, self.trimmed, self.seconds = (
            np.array([row[name] for row in rows]) for name in ("r2", "trimmed", "seconds")
        )


def add_rows(table, found):
    """Add the row of each way, the plain loop's curve beside ours."""
    plain = {epochs: one for (method, _, epochs), one in found.items() if method == "plain"}
    for (method, side, epochs), one in found.items():
        table.add(
            *(method, side.name, "default" if epochs is None else epochs),
            *(float(one.r2.mean()), float(one.trimmed.mean()), float(one.trimmed.min())),
            f"{one.seconds.mean():.2f}",
            *(beside_plain(one, plain) if plain and method == "ours" else [None] * 3),
        )


def beside_plain(one, plain):
    """Return the ratio of seconds to the plain loop's, and its scores after as many seconds."""
    whole = plain[EPOCHS if EPOCHS in plain else max(plain)]
    curve = sorted(plain.values(), key=lambda plain: plain.seconds.mean())
    by_then = [at_seconds(curve, one.seconds.mean(), name) for name in ("r2", "trimmed")]
    return float(np.median(one.seconds / whole.seconds)), *by_then


def at_seconds(curve, seconds, name):
    """Return the mean score on a curve after as many seconds; its ends go on as they are."""
    times = [one.seconds.mean() for one in curve]
    return float(np.interp(seconds, times, [getattr(one, name).mean() for one in curve]))


def measure(method, split, epochs):
    """Fit one split, and return scores and seconds."""
    rows = digits_standardised(split)
    fit = {"plain": fit_plain, "ours": fit_ours}[method]
    fit(rows.train[:100], rows.k, 1)  # imports and first calls
    predict, seconds = cpu_seconds(fit, rows.train, rows.k, epochs)
    error, squares = (rows.test - predict(rows.test)) ** 2, rows.test**2
    near = (np.abs(rows.test) < FAR).all(1)
    return {
        "r2": float(1 - error.sum() / squares.sum()),
        "trimmed": float(1 - error[near].sum() / squares[near].sum()),
        "seconds": seconds,
    }


def fit_ours(X, k, epochs):
    """Fit the default estimator, for at most as many epochs unless None."""
    settings = {} if epochs is None else {"max_epochs": epochs}
    return MultimodalAutoencoder(n_components=k, random_state=0, **settings).fit(X).reconstruct


def fit_plain(X, k, epochs):
    """Fit an autoencoder as one writes it by hand."""
    torch.manual_seed(0)
    X = torch.tensor(X, dtype=torch.float32)
    net = nn.Sequential(*hidden(X.shape[1]), nn.Linear(WIDTH, k), *hidden(k))
    net.append(nn.Linear(WIDTH, X.shape[1]))
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, fused=True)
    steps = epochs * -(-len(X) // BATCH)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(BATCH):
            clean = X[rows]
            loss = nn.functional.mse_loss(net(clean + NOISE * torch.randn_like(clean)), clean)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
    return torch.no_grad()(lambda new: net(torch.tensor(new, dtype=torch.float32)).numpy())


def hidden(n_inputs):
    """Return two hidden layers."""
    return nn.Linear(n_inputs, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH), nn.GELU()


if __name__ == "__main__":
    main()
