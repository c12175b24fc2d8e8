"""Lags between modalities that go on in time: found in `fit`, undone from then on.

Of a modality that comes later, as much of the beginning is left out as it is late, so that its
first step is the one that goes with the first step of the earliest. A row is still made of this row
alone: no split of rows can leak.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._core.errors import listing, warn
from .._core.plain import check
from ..modalities._base import Modality, TimedModality
from ..statistics import PLAIN, Statistics
from ..statistics._factors import fixed_signs
from ..statistics._samples import keys_of
from ..tables._cells import Values

__all__ = ["Lags", "find_lags", "put_back", "skipped"]

MOST_ROWS = 200  # that the search looks at
MOST_COMPONENTS = 8  # that the steps of a modality are reduced to
MOST_CHANNELS = 700  # of which all axes are looked for
SWEEPS = 5  # of the subspace iteration that takes leading ones of more
SMALLEST_SHARE = 1e-6  # of the variance: what a component is kept for
LEAST_STEPS = 8  # that two modalities of a row must share at the largest lag


@dataclass(frozen=True)
class Lags:
    """How much later than the first each modality comes that goes on in time.

    Attributes
    ----------
    seconds : dict of str to float
    intervals : dict of str to (float, float)
        95 % confidence intervals.
    """

    seconds: dict[str, float]
    intervals: dict[str, tuple[float, float]]

    def n_skipped(self, name: str, modality: Any) -> int:
        """Return how many steps of a modality lie before what all of them share."""
        if name not in self.seconds:
            return 0
        late = self.seconds[name] - min(self.seconds.values())
        return round(late / modality.step_seconds_)

    def to_plain(self) -> list:
        """Return the lags as plain values."""
        return [[name, lag, *self.intervals[name]] for name, lag in self.seconds.items()]

    @classmethod
    def from_plain(cls, node: Any, parts: list) -> Lags:
        """Return the lags that `to_plain` gave, having checked that they are of these parts."""
        listed = isinstance(node, list) and all(
            isinstance(entry, list) and len(entry) == 4 for entry in node
        )
        check(listed, "its lags")
        check(
            all(isinstance(x, float) and math.isfinite(x) for e in node for x in e[1:]), "its lags"
        )
        lags = cls({e[0]: e[1] for e in node}, {e[0]: (e[2], e[3]) for e in node})
        timed = {part.name for part in parts if isinstance(part.modality, TimedModality)}
        check(lags.seconds.keys() == timed, "its lags")
        for part in parts:
            n = lags.n_skipped(part.name, part.modality)
            check(n == 0 or n < part.modality.n_steps_, "its lags")
        return lags


def find_lags(
    names: list[str],
    modalities: list[Modality],
    read: list[Values],
    max_lag: float | tuple[float, float],
    statistics: Statistics = PLAIN,
) -> Lags:
    """Find the lags between all modalities that go on in time.

    Parameters
    ----------
    names : list of str
    modalities : list of Modality
        Fitted.
    read : list of Values
        What they make of the training rows.
    max_lag : float or (float, float)
        In seconds: the largest either way, or the lowest and the highest.
    statistics : Statistics, default=PLAIN
        What is asked about the rows.

    Returns
    -------
    Lags
        Positive where a modality comes later than the first that goes on in time.

    Raises
    ------
    ValueError
        If fewer than two modalities go on in time, or no row goes on for longer than `max_lag`.

    Warns
    -----
    DataWarning
        Of modalities that tell nothing of one another, or agree best at an end of `max_lag`; their
        lag is taken to be 0, or what is allowed next to 0.
    """
    from ..alignment import LagRange, find_lag

    timed, step, allowed = _steps_of_lag(names, modalities, read, max_lag)
    most = LagRange.of(max_lag)
    rows = _usable_rows(modalities, read, timed, step, allowed.most, max_lag)
    streams = {
        m: _stream(modalities[m], read[m].tensors, rows, step, statistics.of(names[m]))
        for m in timed
    }
    first = timed[0]
    lags, intervals = {names[first]: 0.0}, {names[first]: (0.0, 0.0)}
    for m in timed[1:]:
        moving = streams[first] and streams[m]  # what stands still has no lag
        pairs = list(zip(streams[first], streams[m], strict=True)) if moving else []
        shared = [min(len(a), len(b)) for a, b in pairs]
        reference = [a[:n] for (a, _), n in zip(pairs, shared, strict=True)]
        stream = [b[:n] for (_, b), n in zip(pairs, shared, strict=True)]
        asked = statistics.of(f"{names[m]} after {names[first]}")
        found = find_lag(reference, stream, allowed, statistics=asked)
        lags[names[m]] = most.clipped(found.lag * step)
        intervals[names[m]] = most.clipped(found.low * step), most.clipped(found.high * step)
        if found.at_edge or not found.related:
            what = (
                f"agrees best with {names[first]!r} at an end of what is allowed"
                if found.at_edge
                else f"tells nothing of when things happen in {names[first]!r}"
            )
            warn(
                f"max_lag={max_lag!r}: modality {names[m]!r} {what}. Their lag is taken to be"
                f" {lags[names[m]]:g}. Give a larger max_lag if it may lie beyond."
            )
    return Lags(lags, intervals)


def skipped(modality, values, n):
    """Return values of which the first `n` steps are left out, and the others moved forward."""
    if not n:
        return values
    tensors = dict(values.tensors)
    if "own_length" in tensors:  # of a cell, before it was brought to steps
        left_out = round(n * modality.entries_per_step_)
        tensors["own_length"] = np.maximum(tensors["own_length"] - left_out, 0)
    for key in ("steps", "observed"):
        if key in tensors:
            moved = np.zeros_like(tensors[key])
            moved[:, : max(moved.shape[1] - n, 0)] = tensors[key][:, n:]
            tensors[key] = moved
    tensors["length"] = np.maximum(tensors["length"] - n, 0)
    present = values.present & (tensors["length"] > 0)
    if "present" in tensors or not present.all():
        tensors["present"] = present
    return Values(tensors, present)


def put_back(modality, columns, n):
    """Return predicted cells with the steps at their beginning that were left out.

    Parameters
    ----------
    modality : TimedModality
    columns : list of ndarray of shape (rows,), of arrays (T, ...)
    n : int
        Steps that were left out; their place is taken by the first entry.

    Returns
    -------
    list of ndarray of shape (rows,)
    """
    n_entries = round(n * modality.entries_per_step_)
    if not n_entries:
        return columns
    moved = []
    for column in columns:
        cells = np.empty(len(column), object)
        for row, cell in enumerate(column):
            cells[row] = np.concatenate([np.repeat(cell[:1], n_entries, axis=0), cell])
        moved.append(cells)
    return moved


def _steps_of_lag(names, modalities, read, max_lag):
    """Return which modalities go on in time, the step they share, and which lags in it to try."""
    from ..alignment import LagRange

    timed = [m for m, modality in enumerate(modalities) if isinstance(modality, TimedModality)]
    if len(timed) < 2:
        raise ValueError(
            f"max_lag={max_lag!r} needs two modalities that go on in time (sounds, clips,"
            f" sequences), and {listing(map(repr, names))} are {len(timed)} of them. Leave it out."
        )
    for m in timed:
        if "times" in read[m].tensors:
            raise ValueError(
                f"max_lag={max_lag!r}: modality {names[m]!r} has times of its own, in which a lag"
                " would be lost. Give it without them, or leave max_lag out."
            )
    step = max(modalities[m].step_seconds_ for m in timed)
    allowed = LagRange.of(max_lag, step=step)
    if min(max(-allowed.low, allowed.high), allowed.high - allowed.low) < 1 - 1e-9:
        raise ValueError(
            f"max_lag={max_lag!r} is less than a step, which is {step:g} seconds for the slowest of"
            f" {listing(repr(names[m]) for m in timed)}. Give more, or leave it out."
        )
    return timed, step, allowed


def _usable_rows(modalities, read, timed, step, n_steps, max_lag):
    """Return the numbers of rows that have enough of every modality, not too many of them."""
    seconds = [read[m].tensors["length"] * modalities[m].step_seconds_ for m in timed]
    shortest = np.min(seconds, 0)
    rows = np.flatnonzero(shortest >= (n_steps + LEAST_STEPS) * step)
    if not len(rows):
        raise ValueError(
            f"max_lag={max_lag!r}: no row goes on for {(n_steps + LEAST_STEPS) * step:g} seconds in"
            f" all modalities, the longest for {shortest.max():g}. Give a smaller max_lag."
        )
    if len(rows) <= MOST_ROWS:
        return rows
    # Those that the beginnings of their first stream choose: the same ones in any order.
    beginnings = read[timed[0]].tensors["steps"][rows, :LEAST_STEPS].reshape(len(rows), -1)
    keys = keys_of(beginnings.astype(np.float64), np.ones(beginnings.shape, bool))
    return np.sort(rows[np.argsort(keys, kind="stable")[:MOST_ROWS]])


def _stream(
    modality: TimedModality,
    tensors: dict[str, np.ndarray],
    rows: np.ndarray,
    step: float,
    statistics: Statistics,
) -> list[np.ndarray]:
    """Return the steps of some rows, reduced to few numbers each, at intervals of `step`.

    The list is empty where no row varies.
    """
    from ..alignment._table import varies

    found, moving = [], []
    for row in rows:
        n = tensors["length"][row]
        steps = tensors["steps"][row, :n].astype(np.float64)
        if "observed" in tensors:
            steps = np.where(tensors["observed"][row, :n], steps, np.nan)
        moving.append(varies(steps))
        found.append(_averaged(steps, step / modality.step_seconds_))
    if not statistics.counts("moving rows", np.array(moving, np.int8), 2)[1]:
        return []
    if found[0].shape[1] > MOST_COMPONENTS and "observed" not in tensors:
        mean, axes = _principal_axes(found, statistics)
        found = [(steps - mean) @ axes for steps in found]
    return found


def _principal_axes(
    rows: list[np.ndarray], statistics: Statistics
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of all steps, and their leading principal axes, (channels, components)."""
    _, mean, variance = statistics.moments("steps", np.concatenate(rows))
    seen = np.ones((1, len(mean)), bool)

    def away() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for steps in rows:
            yield steps - mean, np.broadcast_to(seen, steps.shape)

    axes = np.eye(len(mean))
    if len(mean) > MOST_CHANNELS:  # what the leading components need is less
        axes = np.random.RandomState(0).standard_normal((len(mean), 4 * MOST_COMPONENTS))
        for sweep in range(SWEEPS):
            image = statistics.second_moments(f"axes, sweep {sweep}", away, along=axes).product
            axes = np.linalg.qr(image).Q
    answer = statistics.second_moments("axes", away, along=axes)
    within = axes.T @ answer.product / answer.n_rows
    sizes, vectors = np.linalg.eigh((within + within.T) / 2)
    # What rounding leaves of the others would be taken for streams of their own.
    kept = np.flatnonzero(sizes > SMALLEST_SHARE * variance.sum())[::-1][:MOST_COMPONENTS]
    return mean, fixed_signs(axes @ vectors[:, kept])


def _averaged(steps, width):
    """Return the means of steps (T, channels) over intervals `width` steps long, 1 or more."""
    if width == 1:
        return steps
    edges = np.arange(int(len(steps) / width + 1e-9) + 1) * width
    total = np.concatenate([np.zeros((1, steps.shape[1])), np.cumsum(steps, 0)])
    whole = np.floor(edges + 1e-9).astype(int)
    last = np.minimum(whole, len(steps) - 1)
    at_edges = total[whole] + (edges - whole)[:, None] * steps[last]
    return np.diff(at_edges, axis=0) / width
