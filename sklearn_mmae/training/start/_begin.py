"""`start_linear`: a network's linear path from the closed form, on the rows of a fit."""

from __future__ import annotations

import torch

from ...statistics import Statistics
from .._batches import BatchIterator, Rows
from .._joint import JointNetwork
from .._settings import Settings

__all__ = ["start_linear"]

BLOCK = 512  # rows at a time
GAINS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
GAIN_ROWS = 256  # enough to choose among six


@torch.no_grad()
def start_linear(
    network: JointNetwork,
    rows: Rows,
    settings: Settings,
    generator: torch.Generator,
    statistics: Statistics,
) -> None:
    """Set a network's linear path from the closed form on these rows."""

    def blocks():
        for batch in BatchIterator(rows, BLOCK):
            views, observed = network.views(batch.values), network.observed(batch.values)
            present = network.patterns[batch.pattern]
            if network.target is not None:
                views.append(network.target.view(batch.values[-1]))
                observed.append(network.target.observed(batch.values[-1]))
                present = torch.cat([present, network.labelled(batch)[:, None]], 1)
            # Moments are of what was seen, not of what was made of it.
            seen = [
                v if o is None else torch.where(o, v, 0)
                for v, o in zip(views, observed, strict=True)
            ]
            yield seen, observed, present

    decoders = network.learn_start(
        blocks,
        generator,
        rotate=settings.rotation == "varimax",
        statistics=statistics,
    )
    device = rows.pattern.device
    batch = rows.take(torch.arange(min(len(rows), GAIN_ROWS), device=device))
    linked = [m for m, part in enumerate(network.decoders) if part.has_link]
    if linked:
        network.eval()
        code = network.encode(network.views(batch.values), batch.pattern)
    for m in linked:
        part, losses = network.decoders[m], []
        in_rows = m < len(network.networks)
        present = network.patterns[batch.pattern, m] if in_rows else network.labelled(batch)
        for gain in GAINS:
            part.gain.fill_(gain)
            part.start(decoders[m])
            deviance = part.deviance(network.outputs(code, m), batch.values[m])
            losses.append(torch.where(present, deviance, 0))
        part.gain.fill_(GAINS[statistics.choose(f"gain of modality {m}", torch.stack(losses))])
        part.start(decoders[m])
