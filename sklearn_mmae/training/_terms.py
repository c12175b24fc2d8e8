"""The extra terms of the loss that pull modalities together, by their names."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["EXTRA_TERMS", "USUAL_WEIGHT"]

USUAL_WEIGHT = 0.05  # of a term given by its name
TEMPERATURE = 0.1  # of `contrastive`


def agreement(codes: Tensor, present: Tensor) -> Tensor:
    """Return how far apart a row's modalities are, as a share of how far apart rows are.

    Of the embeddings ``z_m`` from each of a row's ``n`` modalities alone::

        sum_m |z_m - mean_m z_m|^2 / (n - 1)  /  variance of all embeddings of the batch

    which is one minus the intraclass correlation. Embeddings that shrink or collapse gain nothing:
    the variance shrinks with them.

    Parameters
    ----------
    codes : Tensor of shape (modality, row, component)
        From each modality alone; finite also where it is absent.
    present : Tensor of shape (modality, row), bool

    Returns
    -------
    Tensor of shape (row,)
        0 if they agree, on average 1 if they know nothing of one another; 0 where fewer than two
        modalities are present.

    References
    ----------
    Shrout & Fleiss (1979), "Intraclass correlations: uses in assessing rater reliability",
    Psychological Bulletin 86(2).
    """
    there = present[..., None]
    n_present = present.sum(0)
    own = torch.where(there, codes, 0)
    centre = own.sum(0) / n_present.clamp_min(1)[:, None]
    apart = torch.where(there, codes - centre, 0).square().sum((0, 2))
    mean = own.sum((0, 1)) / n_present.sum().clamp_min(1)
    spread = torch.where(there, codes - mean, 0).square().sum() / n_present.sum().clamp_min(1)
    return apart / (n_present - 1).clamp_min(1) / spread.clamp_min(1e-12)


def contrastive(codes: Tensor, present: Tensor) -> Tensor:
    """Return the symmetric InfoNCE between the modalities of the rows, averaged over their pairs.

    Of the embeddings ``z_m`` from each modality alone, for every ordered pair of a row's
    modalities::

        -log softmax_s( cos(z_a[row], z_b[s]) / temperature )[row]  /  log(rows that have b)

    over the rows ``s`` of the batch, or, where threads share a batch, of the row's own part of it.

    Parameters
    ----------
    codes : Tensor of shape (modality, row, component)
        From each modality alone; finite also where it is absent.
    present : Tensor of shape (modality, row), bool

    Returns
    -------
    Tensor of shape (row,)
        0 if each modality finds its partner for sure, 1 if all rows look alike; 0 where fewer
        than two modalities are present.

    Notes
    -----
    Rows that are truly alike (the same word, said again) count as different ones.

    References
    ----------
    van den Oord, Li & Vinyals (2018), "Representation learning with contrastive predictive
    coding", arXiv:1807.03748; Radford et al. (2021), "Learning transferable visual models from
    natural language supervision", ICML.
    """
    n_modalities, n_rows = present.shape
    direction = F.normalize(codes, dim=-1).flatten(0, 1)
    alike = (direction @ direction.T / TEMPERATURE).unflatten(1, (n_modalities, n_rows))
    alike = alike.unflatten(0, (n_modalities, n_rows))  # (modality, row, other, row of the other)
    own = torch.eye(n_rows, dtype=torch.bool, device=present.device)
    # A row stands among its own candidates always: a softmax over nothing would be NaN.
    candidate = present[None, None] | own[:, None]
    chances = torch.where(candidate, alike, -torch.inf).log_softmax(-1)
    nats = -chances.diagonal(dim1=1, dim2=3)  # (modality, other, row)
    at_chance = present.sum(1).clamp_min(2).to(nats.dtype).log()
    other = ~torch.eye(n_modalities, dtype=torch.bool, device=present.device)
    counts = present[:, None] & present[None] & other[..., None]
    total = torch.where(counts, nats / at_chance[:, None], 0).sum((0, 1))
    return total / counts.sum((0, 1)).clamp_min(1)


EXTRA_TERMS = {"agreement": agreement, "contrastive": contrastive}
