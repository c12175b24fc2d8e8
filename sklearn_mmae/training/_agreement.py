"""`agreement`: the codes of a row's modalities shall be the same."""

from __future__ import annotations

import torch

__all__ = ["agreement"]


def agreement(codes, present):
    """Return how far apart a row's modalities are, as a share of how far apart rows are.

    Of the codes ``z_m`` from each of a row's ``n`` modalities alone::

        sum_m |z_m - mean_m z_m|^2 / (n - 1)  /  variance of all codes of the batch

    which is one minus the intraclass correlation. Codes that shrink or collapse gain nothing: the
    variance shrinks with them.

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
