"""`Folds`: rows, and networks that have not seen them, by which predictions are calibrated.

Networks that were trained have not seen the rows held out. Where the closed form is all that was
learned, of few rows, it is cheap to learn it again without a fifth of them: all rows then
calibrate (cross-conformal prediction [1]_, the residuals of CV+ [2]_).

References
----------
.. [1] Vovk (2015), "Cross-conformal predictors", Annals of Mathematics and AI 74.
.. [2] Barber, Candes, Ramdas & Tibshirani (2021), "Predictive inference with the jackknife+",
   Annals of Statistics 49(1).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..statistics import Statistics
from ._batches import Rows
from ._joint import JointNetwork
from ._settings import Settings
from .start._begin import start_linear

__all__ = ["Folds", "held_out", "is_cheap_to_refit", "refitted"]

FOLDS = 5  # ten make intervals of 30 rows half a per cent narrower, and take twice as long
MOST_REFITTED = 600  # rows
MOST_WEIGHTS = 2**26  # in all of the networks


class Folds(NamedTuple):
    """Rows, and networks that were not trained on them.

    Attributes
    ----------
    networks : list of JointNetwork
    rows : Rows
        On the networks' device.
    fold : Tensor of shape (rows,), int64
        Which of the networks has not seen the row. -1 for rows that the only one was trained on:
        they tell how the spread goes, and do not calibrate. Of several networks, each fold's spread
        is learned from the other folds.
    finished : JointNetwork or None, default=None
        What the only network became when it had learned from all rows. That makes it surer of what
        it predicts, of rows of number -1 as of others.
    """

    networks: Sequence[JointNetwork]
    rows: Rows
    fold: Tensor
    finished: JointNetwork | None = None


def held_out(
    network: JointNetwork, finished: JointNetwork | None, n_taught: int, rows: Rows
) -> Folds:
    """Return a network's first rows as those it was trained on, the others as held out."""
    place = torch.arange(len(rows), device=rows.pattern.device)
    return Folds([network], rows, torch.where(place < n_taught, -1, 0), finished)


def is_cheap_to_refit(network: JointNetwork, rows: Rows) -> bool:
    """Whether the closed form is quickly learned, again and again, of all of these rows."""
    n_weights = sum(weights.numel() for weights in network.parameters())
    has_tables = any(part.is_table for part in network.networks)
    few = len(rows) <= MOST_REFITTED and n_weights * FOLDS <= MOST_WEIGHTS
    return few and has_tables and rows.rest is None


def refitted(
    network: JointNetwork,
    settings: Settings,
    generator: torch.Generator,
    state: Tensor,
    statistics: Statistics,
    rows: Rows,
) -> Folds:
    """Learn the closed form without each fold of rows.

    Parameters
    ----------
    network : JointNetwork
        One of the closed form alone. How much regressions beside it count remains.
    settings : Settings
    generator : torch.Generator
        The network's own, which copies share.
    state : Tensor
        Of the generator from which the network began.
    statistics : Statistics
    rows : Rows
    """
    n_folds = min(FOLDS, len(rows))
    order = torch.Generator().manual_seed(len(rows))
    fold = (torch.randperm(len(rows), generator=order) % n_folds).to(rows.pattern.device)
    networks = []
    for f in range(n_folds):
        one, again = copy.deepcopy(network, {id(generator): generator}), torch.Generator()
        again.set_state(state)
        others, asked = rows.subset((fold != f).nonzero()[:, 0]), statistics.of(f"without fold {f}")
        moments = start_linear(one, others, settings, again, asked)
        if one.direct is not None:
            one.direct.learn(moments)
        networks.append(one)
    return Folds(networks, rows, fold)
