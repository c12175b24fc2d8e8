"""The density of a linear network's embeddings from second moments alone, where rows are private.

What is linear in rows has second moments that follow from theirs: those of embeddings, and of the
embeddings of parts of rows. With them the density is a single Gaussian.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..nn._modality import ModalityNetwork
from ..statistics._mixture import Mixture
from ._density import LEAST_NOISE, RIDGE, Density
from ._holes import BINS
from ._joint import JointNetwork
from ._looks import MOST_NUMBERS
from .start._moments import ViewMoments

__all__ = ["density_of_moments"]

HIDDEN = (0.0, *((low + high) / 2 for low, high in zip((0.0, *BINS), (*BINS, 1.0), strict=True)))


@torch.no_grad()
def density_of_moments(network: JointNetwork, moments: ViewMoments) -> Density:
    """Return the density of embeddings; see `Density`.

    Parameters
    ----------
    network : JointNetwork
        Of which only the linear path is looked at. Hidden cells of its tables are at their means.
    moments : ViewMoments
        Of its views, none of them reduced.
    """
    whole, k = moments.covariance.cpu(), len(network.scale)
    parts, scale = list(network.networks), network.scale.double().cpu()
    projections = torch.block_diag(*(p.weight.double().cpu() for p in network.projections))
    patterns = [p for p in network.patterns.cpu() if p.any()]
    seen = [
        (pattern, bin_)
        for pattern in sorted(patterns, key=lambda p: min(int(p.sum()), int((~p).sum())))
        for bin_ in range(len(HIDDEN))
        if (any(part.is_table for part, there in zip(parts, pattern, strict=True) if there))
        or not bin_
        if not (pattern.all() and not bin_)
    ][: MOST_NUMBERS // (2 * k * k)]

    def looked(pattern: Tensor) -> Tensor:
        table = network.regressions(pattern[None].to(network.scale.device))[0].double().cpu()
        return scale[:, None] * table @ projections

    cells, is_table = _cells(parts)
    axes = looked(torch.ones(len(parts), dtype=torch.bool))
    covariance = axes @ whole @ axes.T
    unit = RIDGE * max(float(covariance.trace()) / k, RIDGE) * torch.eye(k, dtype=torch.float64)
    maps, roots = [], []
    for pattern, bin_ in seen:
        own, kept = looked(pattern), torch.where(is_table, 1 - HIDDEN[bin_], 1.0).double()
        shown = whole * kept * kept[:, None]
        shown = torch.where(cells == cells[:, None], whole * kept, shown)
        between = axes @ whole @ (own * kept).T
        map_ = torch.linalg.solve(covariance + unit, between)
        rest = own @ shown @ own.T - between.T @ map_
        maps.append(map_)
        roots.append(torch.linalg.cholesky((rest + rest.T) / 2 + 2 * unit))
    shares = [np.ones(1, np.float32), np.zeros((1, k), np.float32)]
    root = torch.linalg.cholesky(covariance + unit)[None]
    return Density(
        Mixture(*shares, root.float().numpy()),
        np.array([pattern.numpy() for pattern, _ in seen], bool).reshape(-1, len(parts)),
        np.array([bin_ for _, bin_ in seen], np.int64),
        _stacked(maps, k),
        np.zeros((len(seen), 1, k), np.float32),
        _stacked(roots, k),
        _noise(network, axes, moments, len(seen)),
    )


def _stacked(matrices: list[Tensor], k: int) -> np.ndarray:
    return np.array([m.float().numpy() for m in matrices], np.float32).reshape(-1, k, k)


def _cells(parts: list[ModalityNetwork]) -> tuple[Tensor, Tensor]:
    """Return of each column of the views whose cell it is, and whether that is one of a table."""
    sizes = [
        [1] * part.n_numbers + list(part.sizes) if part.is_table else [1] * part.n_view
        for part in parts
    ]
    flat = torch.tensor([size for own in sizes for size in own])
    widths = torch.tensor([part.n_view for part in parts])
    is_table = torch.tensor([part.is_table for part in parts]).repeat_interleave(widths)
    return torch.arange(len(flat)).repeat_interleave(flat), is_table


def _noise(
    network: JointNetwork, axes: Tensor, moments: ViewMoments, n_seen: int
) -> list[np.ndarray]:
    """Return what numbers of tables have beside what vectors make of them; see `Density.noise`."""
    whole, noise = moments.covariance.cpu(), []
    for m, (part, own) in enumerate(zip(network.networks, moments.slices, strict=True)):
        n = part.n_numbers if part.is_table else 0
        here = slice(own.start, own.start + n)
        made = (network.loadings(m) / network.scale).T[:, :n].double().cpu()
        left = part.view_unit * torch.eye(len(whole), dtype=torch.float64)[here] - made.T @ axes
        variance = ((left @ whole) * left).sum(1).clamp_min(LEAST_NOISE**2)
        noise.append((0.5 * variance.log()).float().expand(1 + n_seen, n).numpy().copy())
    return noise
