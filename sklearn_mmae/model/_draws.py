"""Draws: rows and cells from the distributions that a fitted `MultimodalVAE` has learned."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._core.threads import one_thread
from ..tables._columns import fill_cells
from ..training._inference import draw_codes, log_densities, posterior_moments
from ._codes import decode_columns, impute_columns, observe, rebuild

__all__ = [
    "check_count",
    "conditional_densities",
    "densities",
    "draw_rows",
    "filled_draws",
    "posterior",
    "spread",
    "translated_draws",
]

OFTEN = 100  # draws for a standard deviation where none are asked for


def check_count(name, value):
    """Refuse what is no whole number of at least 1."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < 1:
        raise ValueError(f"{name}={value!r}: give a whole number of at least 1.")


@one_thread()
def posterior(estimator, X):
    """Return mean and standard deviation of each row's code."""
    rows, unknown, *_ = observe(estimator, X)
    mean, std = posterior_moments(estimator.net_.module_, rows, unknown)
    return mean.numpy(), std.numpy()


@one_thread()
def densities(estimator, X, n_draws, hidden=None, *, stacklevel=5):
    """Return log densities of rows in nats, and what is known of them as `Observed`."""
    observed = observe(estimator, X, hidden, stacklevel)
    found = log_densities(estimator.net_.module_, observed.rows, observed.unknown, n_draws)
    return found, observed


def conditional_densities(estimator, X, n_draws):
    """Return the log density of each modality given the others, (rows, modalities), and frame.

    NaN where the modality is absent.
    """
    whole, observed = densities(estimator, X, n_draws)
    n = observed.present.shape[1]
    found = np.full(observed.present.shape, np.nan)
    for m in range(n):
        there = observed.present[:, m]
        if not there.any():
            continue
        rest = np.zeros(len(whole))
        if n > 1:
            others = np.arange(n) == m
            rest, _ = densities(estimator, X, n_draws, others, stacklevel=None)
        found[there, m] = (whole - rest)[there]
    return found, observed.frame


@one_thread()
def draw_rows(estimator, n, given):
    """Return `n` rows of the prior, or of the posterior of each given row."""
    check_is_fitted(estimator)
    if given is None:
        of_codes, of_cells = _seeds(estimator, 2)
        generator = torch.Generator().manual_seed(of_codes)
        codes = torch.empty(n, estimator.n_components_).normal_(generator=generator)
        return rebuild(estimator, decode_columns(estimator, codes, seed=of_cells))
    draws, frame = translated_draws(estimator, given, None, n)
    # A given row's draws stand together.
    joined = {place: _interleaved([some[place] for some in draws]) for place in draws[0]}
    return impute_columns(estimator, frame.take(np.repeat(np.arange(frame.n_rows), n)), joined)


def _interleaved(draws):
    together = np.stack(draws, 1)
    return together.reshape(-1, *together.shape[2:])


@one_thread()
def translated_draws(estimator, X, hidden, n_draws):
    """Return the drawn columns of hidden modalities, or of all, a dict per draw, and the table."""
    rows, unknown, _, frame = observe(estimator, X, hidden)
    return _drawn_columns(estimator, rows, unknown, n_draws, hidden), frame


def filled_draws(estimator, draws, frame):
    """Return draws with observed cells as they are, a dict of arrays per draw."""
    at = estimator._container.find(frame)
    return [
        {
            place: fill_cells(frame.column(at[place]), values) if place in at else values
            for place, values in columns.items()
        }
        for columns in draws
    ]


def _drawn_columns(estimator, rows, unknown, n_draws, wanted):
    seeds = _seeds(estimator, 2 * n_draws)
    codes = draw_codes(estimator.net_.module_, rows, unknown, seeds[:n_draws])
    return [
        decode_columns(estimator, some, wanted, seed=seed)
        for some, seed in zip(codes, seeds[n_draws:], strict=True)
    ]


def _seeds(estimator, n):
    state = estimator.random_state
    state = np.random.RandomState() if state is None else check_random_state(state)
    return [int(seed) for seed in state.randint(2**31 - 1, size=n)]


def spread(estimator, draws, index):
    """Return how far draws are apart, in a container like those of the draws.

    Parameters
    ----------
    draws : list of dict of int to ndarray
        Columns by their positions in `fit`.
    index : Index or None

    Returns
    -------
    DataFrame or array
        The standard deviation of numbers, of each number of an array, and of dates in days; for
        other cells the share of draws that are not the most frequent one.
    """
    columns = {place: _spread_of([some[place] for some in draws]) for place in draws[0]}
    return estimator._container.write_numbers(columns, index)


def _spread_of(draws):
    """Return the spread of each cell of a column over its draws."""
    first = draws[0]
    if first.dtype.kind in "fiu":
        return np.std(np.stack(draws).astype(np.float64), 0)
    if first.dtype.kind == "M":
        days = np.stack(draws).astype("datetime64[ns]").astype(np.float64) / 86_400e9
        return np.std(days, 0)
    if first.dtype.kind == "O" and len(first) and isinstance(first[0], np.ndarray):
        found = np.empty(len(first), object)
        for i in range(len(first)):
            cells = [np.asarray(draw[i], np.float64) for draw in draws]
            n = min(len(cell) for cell in cells)  # draws of sounds and clips differ in length
            found[i] = np.std(np.stack([cell[:n] for cell in cells]), 0)
        return found
    return np.array([_disagreement([draw[i] for draw in draws]) for i in range(len(first))])


def _disagreement(cells):
    counts = {}
    for cell in cells:
        counts[cell] = counts.get(cell, 0) + 1
    return 1 - max(counts.values()) / len(cells)
