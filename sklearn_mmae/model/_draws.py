"""Samples: rows and cells from the distribution of embeddings that a model has learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from .._core.threads import one_thread
from ..training._holes import bins_of, observed_cells
from ..training._inference import draw_codes, log_densities, posterior_moments
from ._model import Model, check_finite
from ._read import Read

__all__ = [
    "check_count",
    "densities",
    "draw_cells",
    "draw_rows",
    "posterior",
    "spread",
]

OFTEN = 100  # draws for a standard deviation where none are asked for

Drawn = dict[int, np.ndarray]  # columns by their positions in `fit`


def check_count(name: str, value: Any) -> int:
    """Refuse what is no whole number of at least 1."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < 1:
        raise ValueError(f"{name}={value!r}: give a whole number of at least 1.")
    return int(value)


@one_thread()
def posterior(model: Model, read: Read) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each row's embedding."""
    mean, std = posterior_moments(model.network, read.rows, read.unknown)
    return mean.numpy(), std.numpy()


@one_thread()
def densities(model: Model, read: Read, n_draws: int) -> np.ndarray:
    """Return log densities of rows in nats."""
    found = log_densities(model.network, read.rows, read.unknown, n_draws)
    check_finite(np.isfinite(found) | ~read.present.any(1), "the log density")
    return found


@one_thread()
def draw_rows(model: Model, n: int, given: Any, estimator: Any) -> Any:
    """Return `n` rows of the prior, or of the posterior of each given row."""
    if not model.network.has_prior and model.density() is None:
        raise ValueError(
            "sample: nothing is known of how vectors are distributed. That is learned by fit, of"
            " three rows or more, and forgotten by partial_fit: call fit on all rows."
        )
    if given is None:
        of_codes, of_cells = _seeds(estimator.random_state, 2)
        return model.write(model.decode(_new_codes(model, n, of_codes), seed=of_cells))
    read = model.read(given, estimator)
    draws = draw_cells(model, read, n, estimator.random_state)
    # A given row's draws stand together.
    repeated = read.table.take(np.repeat(np.arange(read.table.n_rows), n))
    together = {place: _interleaved([some[place] for some in draws]) for place in draws[0]}
    return model.columns.fill(repeated, read.at, together)


def _new_codes(model, n, seed):
    """Return embeddings of rows that might as well have been seen, (n, components)."""
    if model.network.has_prior:
        generator = torch.Generator().manual_seed(seed)
        return torch.empty(n, model.built["n_components"]).normal_(generator=generator)
    return torch.from_numpy(model.density().draw(n, np.random.default_rng(seed))).float()


def _codes_given(model, read, seen, seeds):
    """Return draws of the embeddings of rows given what is present, (draws, rows, components)."""
    if model.network.has_prior:
        return draw_codes(model.network, read.rows, read.unknown, seeds)
    generator = np.random.default_rng(seeds)
    codes = model.encode(read).numpy()
    drawn = model.density().draw_given(codes, *seen, len(seeds), generator)
    return torch.from_numpy(drawn).float()


def _bins(model, read):
    """Return the bins of the missing values of rows; see `bins_of`."""
    observed = {
        m: observed_cells(read.rows.values[m], part)
        for m, part in enumerate(model.network.networks)
        if part.is_table
    }
    if not observed:
        return np.zeros(len(read.present), np.int64)
    return bins_of(observed, torch.from_numpy(read.present), None).numpy()


def _interleaved(draws):
    together = np.stack(draws, 1)
    return together.reshape(-1, *together.shape[2:])


@one_thread()
def draw_cells(
    model: Model, read: Read, n_draws: int, random_state: Any, wanted: np.ndarray | None = None
) -> list[Drawn]:
    """Return sampled columns of the modalities that are wanted, a dict per draw."""
    seeds = _seeds(random_state, 2 * n_draws)
    seen = read.present, _bins(model, read)
    codes = _codes_given(model, read, seen, seeds[:n_draws])
    return [
        model.decode(some, wanted, seed=seed, seen=seen)
        for some, seed in zip(codes, seeds[n_draws:], strict=True)
    ]


def _seeds(state, n):
    state = np.random.RandomState() if state is None else check_random_state(state)
    return [int(seed) for seed in state.randint(2**31 - 1, size=n)]


def spread(model: Model, draws: list[Drawn], read: Read, *, of_missing: bool = False) -> Any:
    """Return how far draws are apart, in a container like those of the draws.

    Parameters
    ----------
    model : Model
    draws : list of dict of int to ndarray
    read : Read
        The rows that the draws are of.
    of_missing : bool, default=False
        Only missing cells are sampled; the spread of observed ones is 0.

    Returns
    -------
    DataFrame or array
        The standard deviation of numbers, of each number of an array, and of dates in days; for
        other cells the share of draws that are not the most frequent one.
    """
    columns = {place: _spread_of([some[place] for some in draws]) for place in sorted(draws[0])}
    if of_missing:
        for place in columns.keys() & read.at.keys():
            columns[place] = _of_missing(columns[place], read.table.column(read.at[place]))
    return model.columns.write_numbers(columns, read.index)


def _of_missing(spread, given):
    """Return a spread that is 0 where the cells of a column are given."""
    if given.values.ndim == 2 and given.values.dtype.kind == "f":  # a block of numbers
        return np.where(np.isnan(given.values), spread, 0.0)
    if spread.dtype.kind != "O":
        return np.where(given.observed, 0.0, spread)
    for i in np.flatnonzero(given.observed):
        spread[i] = _of_missing_numbers(spread[i], given.values[i])
    return spread


def _of_missing_numbers(spread, cell):
    if not isinstance(cell, np.ndarray | list):
        return 0.0
    numbers = np.asarray(cell, np.float64)
    same = np.shape(spread) == numbers.shape
    return np.where(np.isnan(numbers), spread, 0.0) if same else np.zeros(numbers.shape)


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
