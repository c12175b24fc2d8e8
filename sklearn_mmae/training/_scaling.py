"""How sure a table's network may be of categories: slopes, offsets, and what is left open.

Logits are centred in each row, multiplied by a slope for each category, and get an offset for each:
vector scaling [1]_. One category may be clear where two others are all the same to the network.

References
----------
.. [1] Guo, Pleiss, Sun & Weinberger (2017), "On calibration of modern neural networks", ICML.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..statistics import Statistics
from ..statistics._questions import Sums

__all__ = ["Scaling", "as_sure", "centred", "doubts", "scaling"]

FEWEST_TO_SCALE = 20  # cells
# One over the variances of normal priors, in logits as they are:
TRUST = 1.0  # of the common slope, about 1, and of offsets
ALIKE = 30.0  # of slopes, about the common one
STEEPEST = 8.0  # the largest slope, and one over the smallest
STEPS = 20


class Scaling(NamedTuple):
    """What makes the logits of a column come true; NaN where too little is known.

    Attributes
    ----------
    slopes, offsets : Tensor of shape (categories,)
    """

    slopes: Tensor
    offsets: Tensor

    def shares(self, logits: Tensor) -> Tensor:
        """Return the probabilities of centred logits."""
        return (self.slopes * logits + self.offsets).softmax(1)


def centred(logits: Tensor) -> Tensor:
    """Return logits whose mean in each row is 0: they are known but for a constant."""
    return logits - logits.mean(1, keepdim=True)


def doubts(logits: Sequence[Tensor], codes: Tensor, scalings: Sequence[Scaling]) -> np.ndarray:
    """Return one minus the probability of each true category, (rows, categorical columns).

    Infinite in columns of which too little is known to scale their logits.
    """
    found = np.full(codes.shape, np.inf, np.float32)
    for i, (own, truth, scaled) in enumerate(zip(logits, codes.T, scalings, strict=True)):
        if bool(scaled.slopes.isfinite().all()):
            shares = scaled.shares(centred(own))
            of_truth = shares.gather(1, truth.long().clamp_min(0)[:, None])[:, 0]
            found[:, i] = (1 - of_truth).cpu().numpy()
    return found


def scaling(
    logits: Tensor, codes: Tensor, statistics: Statistics, *, common: bool = False
) -> Scaling:
    """Return what logits are to be scaled by, by penalised likelihood.

    Each step is Newton's: in all slopes alike, then in each by itself, then in the offsets, the
    last two half as far, for they move together.

    Parameters
    ----------
    logits : Tensor of shape (cells, categories)
    codes : Tensor of shape (cells,), int64
    statistics : Statistics
    common : bool, default=False
        One slope for all categories and no offsets, so that the likeliest category remains it.
    """
    n = logits.shape[1]
    counts = statistics.counts("codes", codes.cpu().numpy(), n)
    if counts.sum() < FEWEST_TO_SCALE or n < 2:
        return Scaling(*logits.new_full((2, n), torch.nan))

    def total(name: str, terms: Tensor) -> Tensor:
        return statistics.ask(name, Sums(), terms)

    logits = centred(logits)
    truth = torch.nn.functional.one_hot(codes, n)
    of_truth = total("logits of the truth", truth * logits)
    counts = logits.new_tensor(counts)
    found = Scaling(logits.new_ones(n), logits.new_zeros(n))
    for step in range(STEPS):
        share, usual = found.shares(logits), found.slopes.mean()
        mean = (share * logits).sum(1)
        curves = (share * logits.square()).sum(1) - mean.square()
        slope = total(f"slope {step}", mean) - of_truth.sum() + TRUST * (usual - 1)
        curve = total(f"curve {step}", curves) + TRUST
        found = found._replace(
            slopes=_bounded(found.slopes - (slope / curve).clamp(-usual / 2, usual))
        )
        if common:
            continue
        share, usual = found.shares(logits), found.slopes.mean()
        slope = total(f"slopes {step}", share * logits) - of_truth + ALIKE * (found.slopes - usual)
        curve = total(f"curves {step}", share * (1 - share) * logits.square()) + ALIKE
        found = found._replace(slopes=_bounded(found.slopes - slope / curve / 2))
        share = found.shares(logits)
        slope = total(f"shares {step}", share) - counts + TRUST * found.offsets
        curve = total(f"variances {step}", share * (1 - share)) + TRUST
        found = found._replace(offsets=found.offsets - slope / curve / 2)
    return found


def as_sure(logits: Tensor, later: Tensor, known: Scaling, statistics: Statistics) -> Scaling:
    """Return the scaling with which later logits are as sure as these are.

    Parameters
    ----------
    logits, later : Tensor of shape (cells, categories)
        Of the same cells.
    known : Scaling
        With which `logits` come true. All of its slopes change by one factor.
    statistics : Statistics
    """

    def total(name: str, terms: Tensor) -> Tensor:
        return statistics.ask(name, Sums(), terms)

    n_cells = total("cells", logits.new_ones(len(logits)))
    if bool(known.slopes.isnan().any()) or n_cells < FEWEST_TO_SCALE:
        return known
    wanted = total("sure", known.shares(centred(logits)).amax(1))
    terms, times = known.slopes * centred(later), logits.new_ones(())
    for step in range(STEPS // 2):
        share = (times * terms + known.offsets).softmax(1)
        top, place = share.max(1)
        gain = top * (terms.gather(1, place[:, None])[:, 0] - (share * terms).sum(1))
        slope = wanted - total(f"sure {step}", top) - TRUST * (times - 1)
        curve = total(f"gain {step}", gain) + TRUST
        times = times + (slope / curve).clamp(-times / 2, times)
    return known._replace(slopes=_bounded(times * known.slopes))


def _bounded(slopes: Tensor) -> Tensor:
    return slopes.clamp(1 / STEEPEST, STEEPEST)
