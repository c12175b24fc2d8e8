"""What a variational network infers of many rows: posteriors, draws of them, and densities."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..objectives import Posterior, log_prior
from ..statistics import PLAIN, Statistics
from ..statistics._questions import Sums
from ._batches import Batch, Rows
from ._predict import block_size, for_blocks
from ._variational import VariationalNetwork

__all__ = ["draw_codes", "information", "log_densities", "posterior_moments"]

MOST_NUMBERS = 2**22  # at once, of the draws of a block
FEW_ROWS = 32  # of a block with many draws each: one row should not cost what a thousand do
SCATTERED = 98765.4321  # so that rows that differ by little have nothing in common
MOST_ROWS = 4096  # that the information of the components is averaged over


class _Inference:
    """Posteriors of rows, also of patterns of presence that the network does not know."""

    def __init__(self, network: VariationalNetwork, unknown: np.ndarray):
        self.network, self.device = network, network.patterns.device
        self.paths = network.own_paths
        if len(unknown):
            others = torch.as_tensor(unknown, device=self.device)
            self.paths = network.paths_of(torch.cat([network.patterns, others]))

    def posterior(self, batch: Batch) -> Posterior:
        """Return the posterior of a batch."""
        views = self.network.views(batch.values)
        return self.network.posterior(views, batch.pattern, self.paths)


def posterior_moments(network: VariationalNetwork, rows: Rows, unknown: np.ndarray) -> Tensor:
    """Return mean and standard deviation of the embeddings, (rows, components) on the CPU.

    Parameters
    ----------
    network : VariationalNetwork
    rows : Rows
        On the CPU.
    unknown : ndarray of shape (patterns, modalities), bool
        See `index_patterns`.
    """
    inference = _Inference(network, unknown)
    moments = torch.empty(2, len(rows), len(network.scale))

    def work(here: slice, index: Tensor, n: int) -> None:
        posterior = inference.posterior(rows.take(index).to(inference.device))
        both = torch.stack([posterior.mean, posterior.variance().sqrt()])
        moments[:, here] = both[:, :n].cpu()

    for_blocks(len(rows), block_size(network), work)
    return moments


def draw_codes(
    network: VariationalNetwork, rows: Rows, unknown: np.ndarray, seeds: Sequence[int]
) -> Tensor:
    """Return draws of the posteriors, (draws, rows, components) on the CPU.

    Parameters
    ----------
    network, rows, unknown
        See `posterior_moments`.
    seeds : list of int
        One per draw.
    """
    inference = _Inference(network, unknown)
    codes = torch.empty(len(seeds), len(rows), len(network.scale))

    def work(here: slice, index: Tensor, n: int) -> None:
        posterior = inference.posterior(rows.take(index).to(inference.device))
        for draw, seed in zip(codes, seeds, strict=True):
            generator = torch.Generator(inference.device).manual_seed(seed + here.start)
            draw[here] = posterior.sample(generator)[:n].cpu()

    for_blocks(len(rows), block_size(network), work)
    return codes


def log_densities(
    network: VariationalNetwork, rows: Rows, unknown: np.ndarray, n_draws: int
) -> np.ndarray:
    """Estimate the log density of rows by importance sampling from their posteriors [1]_.

    Parameters
    ----------
    network, rows, unknown
        See `posterior_moments`.
    n_draws : int

    Returns
    -------
    ndarray of shape (rows,), float64
        In nats, of the cells in their own units. 0 for rows of nothing.

    Notes
    -----
    Of the draws of a block, some at a time::

        points   (draw, component), moved (row, component)  -> place    (draw, row, component)
        noise, placed by each row's posterior               -> embeddings    (draw, row, component)
        log likelihoods (modality, draw, row), summed       -> weights  (draw, row) -> total (row)

    References
    ----------
    .. [1] Burda, Grosse & Salakhutdinov (2016), "Importance weighted autoencoders", ICLR.
    """
    inference, size = _Inference(network, unknown), FEW_ROWS
    points = torch.quasirandom.SobolEngine(len(network.scale), scramble=True, seed=0)
    points = points.draw(n_draws, dtype=torch.float64).to(inference.device)
    widest = max(part.n_outputs for part in network.networks)
    at_once = max(1, MOST_NUMBERS // (size * widest))
    densities = np.empty(len(rows))

    def work(here: slice, index: Tensor, n: int) -> None:
        batch = rows.take(index).to(inference.device)
        posterior, present = inference.posterior(batch), inference.paths[0][batch.pattern].T
        total = torch.full((size,), -torch.inf, dtype=torch.float64, device=inference.device)
        # Points that cover the space evenly, moved for each row by what only the row decides:
        # rows then have draws of their own, wherever they stand.
        moved = posterior.mean.double() * SCATTERED
        for some in points.split(at_once):
            place = (some[:, None] + moved) % 1.0
            noise = torch.special.ndtri(place.clamp(1e-9, 1 - 1e-9)).float()
            codes = posterior.place(noise)
            weights = network.log_likelihood(codes, batch, present).sum(0)
            weights = weights + log_prior(codes) - posterior.log_density(codes)
            total = torch.logaddexp(total, weights.double().logsumexp(0))
        total = total - math.log(n_draws) - _log_volume(network, batch, present)
        densities[here] = torch.where(present.any(0), total, 0)[:n].cpu()

    for_blocks(len(rows), size, work)
    return densities


@torch.no_grad()
def information(
    network: VariationalNetwork, rows: Rows, statistics: Statistics = PLAIN
) -> np.ndarray:
    """Return how many nats each component says of a row, on average, (components,).

    With privacy: of a row of which all is there, as the linear model expects it.
    """
    if statistics.is_private:
        variance = network.roots[-1].square().sum(-1)
        return (-0.5 * variance.log()).cpu().numpy()
    n = min(len(rows), MOST_ROWS)
    total, size = 0, block_size(network)
    for block, index in enumerate(torch.arange(n, device=rows.pattern.device).split(size)):
        batch = rows.take(index)
        posterior = network.posterior(network.views(batch.values), batch.pattern)
        nats = posterior.divergence_by_component()
        total = total + statistics.ask(f"information, block {block}", Sums(), nats)
    return (total / n).cpu().numpy()


def _log_volume(network: VariationalNetwork, batch: Batch, present: Tensor) -> Tensor:
    """Return the log of the units that log likelihoods are in, in those of the cells."""
    volumes = [
        torch.where(there, part.log_volume(values), 0.0)
        for part, values, there in zip(network.networks, batch.values, present, strict=False)
    ]
    return torch.stack(volumes).sum(0)
