"""`start_linear`: a network's linear path from the closed form, on the rows of a fit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from ...nn._modality import ModalityNetwork
from ...nn._sparse import View
from ...statistics import Statistics
from .._batches import Rows
from .._joint import JointNetwork
from .._settings import Settings
from ._moments import ViewMoments

__all__ = ["BLOCK", "seen_blocks", "seen_views", "start_linear"]

BLOCK = 512  # rows at a time
GAINS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
GAIN_ROWS = 256  # enough to choose among six
AT_ONCE = 2**18  # numbers of a view that are made at a time


@torch.no_grad()
def start_linear(
    network: JointNetwork,
    rows: Rows,
    settings: Settings,
    generator: torch.Generator,
    statistics: Statistics,
    known: ViewMoments | None = None,
) -> ViewMoments:
    """Set a network's linear path from the closed form, and return the moments of these rows.

    They are read only where the moments are not known.
    """
    decoders, moments = network.learn_start(
        partial(seen_blocks, network, network.decoders, rows),
        generator,
        rotate=settings.rotation == "varimax",
        statistics=statistics,
        known=known,
    )
    device = rows.pattern.device
    batch = rows.take(torch.arange(min(len(rows), GAIN_ROWS), device=device))
    linked = [m for m, part in enumerate(network.decoders) if part.has_link]
    if linked:
        network.eval()
        code, present = (
            network.encode(network.views(batch.values), batch.pattern),
            network.present(batch),
        )
    for m in linked:
        part, losses = network.decoders[m], []
        for gain in GAINS:
            part.gain.fill_(gain)
            part.start(decoders[m])
            deviance = part.deviance(network.outputs(code, m), batch.values[m])
            losses.append(torch.where(present[:, m], deviance, 0))
        name = f"gain of modality {m}"
        expected = part.expected_gain(decoders[m])
        usual = min(range(len(GAINS)), key=lambda i: abs(math.log(GAINS[i] / expected)))
        best = statistics.choose(name, torch.stack(losses), usual=usual)
        part.gain.fill_(GAINS[best])
        part.start(decoders[m])
    return moments


def seen_blocks(
    network: JointNetwork, parts: Sequence[ModalityNetwork], rows: Rows
) -> Iterator[tuple[list[View], list[Tensor | None], Tensor]]:
    """Yield what `fit_linear_start` asks for: blocks of rows, of the first decoders of a network.

    Parameters
    ----------
    network : JointNetwork
    parts : list of ModalityNetwork
        The networks of its modalities, or all of its decoders.
    rows : Rows
    """
    for batch in rows.every_batch(BLOCK):
        present = network.present(batch)[:, : len(parts)]
        yield *seen_views(parts, batch.values[: len(parts)]), present


def seen_views(
    parts: Sequence[ModalityNetwork], values: Sequence[dict[str, Tensor]]
) -> tuple[list[View], list[Tensor | None]]:
    """Return the views of a batch, 0 where missing, and which of their numbers are observed.

    They are float64, as their sums are; wide ones are made of some rows at a time, so that they
    are never there twice.
    """
    views = [_seen(part, tensors) for part, tensors in zip(parts, values, strict=True)]
    observed = [part.observed(tensors) for part, tensors in zip(parts, values, strict=True)]
    return views, observed


def _seen(part: ModalityNetwork, tensors: dict[str, Tensor]) -> View:
    """Return a view, 0 where missing, float64."""
    n_rows = len(next(iter(tensors.values())))
    size = max(AT_ONCE // part.n_view, 1)
    if size >= n_rows:
        return _seen_numbers(part, tensors).double()
    for first in range(0, n_rows, size):
        some = slice(first, first + size)
        numbers = _seen_numbers(part, {name: values[some] for name, values in tensors.items()})
        if not isinstance(numbers, Tensor):
            return _seen_numbers(part, tensors).double()
        if not first:
            view = numbers.new_empty(n_rows, numbers.shape[1], dtype=torch.float64)
        view[some] = numbers
    return view


def _seen_numbers(part: ModalityNetwork, tensors: dict[str, Tensor]) -> View:
    view, observed = part.view(tensors), part.observed(tensors)
    # Moments are of what was seen, not of what was made of it.
    return view if observed is None else torch.where(observed, view, 0)
