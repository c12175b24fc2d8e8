"""How sure a table's network may be of categories: temperatures, offsets, and what is left open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..statistics import Statistics
from ..statistics._questions import Sums

__all__ = ["as_sure", "doubts", "scaling"]

FEWEST_TO_SCALE = 20  # cells
TRUST = 1.0  # in logits as they are: a standard normal prior of 1 / temperature - 1 and offsets
HOTTEST = 8.0  # the highest temperature, and one over the lowest


def doubts(
    logits: Sequence[Tensor],
    codes: Tensor,
    temperatures: Sequence[float],
    offsets: Sequence[np.ndarray],
) -> np.ndarray:
    """Return one minus the probability of each true category, (rows, categorical columns).

    Infinite in columns of which too little is known to scale their logits.
    """
    found = np.full(codes.shape, np.inf, np.float32)
    for i, own in enumerate(codes.T):
        if np.isfinite(temperatures[i]):
            added = torch.as_tensor(offsets[i], dtype=logits[i].dtype, device=codes.device)
            shares = (logits[i] / temperatures[i] + added).softmax(1)
            of_truth = shares.gather(1, own.long().clamp_min(0)[:, None])[:, 0]
            found[:, i] = (1 - of_truth).cpu().numpy()
    return found


def scaling(logits: Tensor, codes: Tensor, statistics: Statistics) -> tuple[float, np.ndarray]:
    """Return what logits are to be divided by and what is then added, by penalised likelihood.

    NaN for too few cells. Of 20 steps each is Newton's: in the inverse of the temperature, then in
    the offsets one by one, half as far, for they move together.
    """
    n = logits.shape[1]
    counts = statistics.counts("codes", codes.cpu().numpy(), n)
    if counts.sum() < FEWEST_TO_SCALE or n < 2:
        return np.nan, np.full(n, np.nan)

    def total(name: str, terms: Tensor) -> Tensor:
        return statistics.ask(name, Sums(), terms)

    logits = logits - logits.mean(1, keepdim=True)
    of_truth = total("logits of the truth", logits.gather(1, codes[:, None])[:, 0])
    counts = logits.new_tensor(counts)
    inverse, offsets = logits.new_ones(()), logits.new_zeros(n)
    for step in range(20):
        share = (inverse * logits + offsets).softmax(1)
        mean = (share * logits).sum(1)
        curves = (share * logits.square()).sum(1) - mean.square()
        slope = total(f"slope {step}", mean) - of_truth + TRUST * (inverse - 1)
        curve = total(f"curve {step}", curves) + TRUST
        inverse = inverse - (slope / curve).clamp(-inverse / 2, inverse)
        inverse = inverse.clamp(1 / HOTTEST, HOTTEST)
        share = (inverse * logits + offsets).softmax(1)
        slope = total(f"shares {step}", share) - counts + TRUST * offsets
        curve = total(f"variances {step}", share * (1 - share)) + TRUST
        offsets = offsets - slope / curve / 2
    return float(1 / inverse), offsets.cpu().numpy()


def as_sure(
    logits: Tensor,
    later: Tensor,
    temperature: float,
    offsets: np.ndarray,
    statistics: Statistics,
) -> float:
    """Return the temperature with which later logits are as sure as these are.

    Parameters
    ----------
    logits, later : Tensor of shape (cells, categories)
        Of the same cells.
    temperature, offsets : float and ndarray of shape (categories,)
        With which `logits` come true.
    statistics : Statistics
    """

    def total(name: str, terms: Tensor) -> Tensor:
        return statistics.ask(name, Sums(), terms)

    n_cells = total("cells", logits.new_ones(len(logits)))
    if np.isnan(temperature) or n_cells < FEWEST_TO_SCALE:
        return temperature
    added = logits.new_tensor(offsets)
    wanted = total("sure", (logits / temperature + added).softmax(1).amax(1))
    known = inverse = logits.new_tensor(1 / temperature)
    for step in range(10):
        share = (inverse * later + added).softmax(1)
        top, place = share.max(1)
        gain = top * (later.gather(1, place[:, None])[:, 0] - (share * later).sum(1))
        slope = wanted - total(f"sure {step}", top) - TRUST * (inverse - known)
        curve = total(f"gain {step}", gain) + TRUST
        inverse = inverse + (slope / curve).clamp(-inverse / 2, inverse)
        inverse = inverse.clamp(1 / HOTTEST, HOTTEST)
    return float(1 / inverse)
