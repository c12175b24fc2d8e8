"""Does privacy hold? Canaries in the sums of one run, and who was among the rows of a fit."""

from __future__ import annotations

import math
from contextlib import suppress
from unittest import mock

import numpy as np
import torch
from scipy.stats import binom
from sklearn.metrics import roc_auc_score
from torch import nn

from sklearn_mmae import Privacy
from sklearn_mmae.privacy import _steps
from sklearn_mmae.privacy._gradients import PrivateGradients
from sklearn_mmae.privacy._statistics import LARGEST_ROW, PrivateStatistics
from sklearn_mmae.training._batches import Batch
from sklearn_mmae.training._gradients import FlatWeights

__all__ = ["audited", "audited_steps", "membership"]

# So many that right guesses alone can show an epsilon of 8; so wide that they do not overlap.
CANARIES, CANARY_COLUMNS, CANARY_DELTA = 13_000, 1500, 1e-7
ALL_RELEASED = 3  # sums, second moments, how often cells are observed together
GUESSES = (0.077, 0.485)  # of those most surely there, and of those most surely not
# Of steps, in as many columns.
STEP_CANARIES, STEP_EPOCHS, STEP_SIZE = 1500, 2, 375
MEMBERS = 898  # half of the digits
UNSURE = 0.05 / len(GUESSES)  # the best of several bounds is to hold


class Recorded(PrivateStatistics):
    """Statistics of which every release is kept as it left the ledger, for who guesses."""

    def release(self, step, share, exact, norm):
        """Return a sum with noise, and its standard deviation."""
        noisy, noise = super().release(step, share, exact, norm)
        self.released.append(noisy)
        if len(self.released) == ALL_RELEASED:
            raise StopIteration  # what is made of it tells no more
        return noisy, noise


def audited(epsilon, *, noisy, seed=0):
    """Return a lower bound on epsilon, from canaries in one run [1]_.

    Who guesses sees all that was released, and knows every canary: as much as anybody could.

    References
    ----------
    .. [1] Steinke, Nasr & Jagielski (2023), "Privacy auditing with one (1) training run", NeurIPS.
    """
    rng = np.random.default_rng(seed)
    canaries = rng.normal(size=(CANARIES, CANARY_COLUMNS))
    canaries /= np.linalg.norm(canaries, axis=1, keepdims=True)
    there = rng.random(CANARIES) < 0.5
    privacy = Privacy(epsilon, CANARY_DELTA)
    statistics = Recorded(privacy, CANARIES, 1, np.random.default_rng(seed + 1))
    statistics.released = []
    if not noisy:
        statistics.noise = dict.fromkeys(statistics.noise, 1e-9)
        statistics.ledger.epsilon = math.inf
    shown = np.where(there[:, None], canaries, 0)
    seen = np.repeat(there[:, None], CANARY_COLUMNS, 1)
    statistics.sums("columns", shown, 1.0)
    with suppress(StopIteration):
        statistics.second_moments("views", lambda: [(shown, seen)])
    sums, moments, _ = statistics.released
    # How much a canary adds to each release along itself, and all else there is.
    parts = [(1.0, canaries @ sums), (LARGEST_ROW**2, _along(canaries, moments))]
    score = sum(size * part / part.var() for size, part in parts)
    return lower_bound(score, there, CANARY_DELTA)


class Canaries(nn.Module):
    """A network whose loss of a row has that row as its gradient."""

    networks = decoders = ()

    def __init__(self, n_columns):
        super().__init__()
        self.layer = nn.Linear(n_columns, 1, bias=False)

    def loss_names(self, names):
        """Return the name of the loss."""
        return ["loss"]


class Steps(PrivateStatistics):
    """Statistics of which the sum of all steps is kept, as they left the ledger."""

    told = 0.0

    def release(self, step, share, exact, norm):
        """Return a sum with noise, and its standard deviation."""
        noisy, noise = super().release(step, share, exact, norm)
        self.told = self.told + noisy
        return noisy, noise


def audited_steps(epsilon, *, noisy, seed=0):
    """Return a lower bound on epsilon, as `audited`, from what training networks releases.

    All of the budget is theirs; rows are sampled, their gradients cut and noised as in a fit.
    """
    rng = np.random.default_rng(seed)
    # At right angles: in many sums none hides another.
    canaries, _ = np.linalg.qr(rng.normal(size=(STEP_CANARIES, STEP_CANARIES)))
    there = rng.random(STEP_CANARIES) < 0.5
    shares = {"columns": 1e-6, "moments": 1e-6}
    privacy = Privacy(epsilon, CANARY_DELTA, shares=shares)
    statistics = Steps(privacy, STEP_CANARIES, 1, np.random.default_rng(seed + 1))
    with mock.patch.object(_steps, "LEAST", 0):
        statistics.plan(STEP_CANARIES, STEP_EPOCHS, STEP_SIZE)
    if not noisy:
        statistics.noise["networks"], statistics.ledger.epsilon = 1e-9, math.inf
    network = Canaries(STEP_CANARIES)
    weights = FlatWeights([[nn.Parameter(torch.zeros(1))], [network.layer.weight]])
    gradients = PrivateGradients(
        network, torch.Generator(), weights, STEP_SIZE, statistics=statistics, largest=1.0
    )
    # Twice as long as they may be, so that they are cut.
    shown = 2 * torch.tensor(np.where(there[:, None], canaries, 0), dtype=torch.float32)
    for _ in range(statistics.steps.times):
        index = torch.from_numpy(statistics.rows_of_step())
        batch = Batch([{"row": shown[index]}], index)
        gradients.teach(
            lambda net, _, rows, seen: net.layer(rows.values[0]["row"]).mean(0), batch, index[None]
        )
    return lower_bound(canaries @ statistics.told, there, CANARY_DELTA)


def _along(canaries, released):
    """Return ``c' M c / c' c`` of canaries, given the entries of M as they are released."""
    n = canaries.shape[1]
    product = np.diag(released[:n])
    product[np.triu_indices(n, 1)] = math.sqrt(2) * released[n:]  # the entry, twice
    return np.einsum("ij,ij->i", canaries @ product, canaries)


def lower_bound(score, there, delta):
    """Return the best lower bound of some numbers of guesses: those that are surest."""
    order = np.argsort(score)
    best = 0.0
    for n in (round(share * len(there)) for share in GUESSES):
        right = there[order[-n:]].sum() + (~there[order[:n]]).sum()
        best = max(best, _bound(2 * n, int(right), 2 * len(there) * delta))
    return best


def _bound(n_guesses, n_right, delta):
    """Return the bound; `delta` is that of all canaries, twice."""
    low, high = 0.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if _chance(n_guesses, n_right, middle, delta) < UNSURE else (low, middle)
        )
    return low


def _chance(n_guesses, n_right, epsilon, delta):
    """Return the chance of so many right guesses if the fit were as private as it says."""
    share = 1 / (1 + math.exp(-epsilon))
    beta, alpha, total = binom.sf(n_right - 1, n_guesses, share), 0.0, 0.0
    for i in range(1, n_right + 1):
        total += binom.pmf(n_right - i, n_guesses, share)
        alpha = max(alpha, total / i)
    return min(beta + alpha * delta, 1.0)


def membership(fit, rows, split):
    """Return the AUC of telling the rows that a fit was made of from others, by their scores.

    Parameters
    ----------
    fit : callable
        ``fit(members)`` returns an estimator.
    rows : Rows
    split : int
        Draws the members, and as many others.
    """
    X = np.concatenate([rows.train, rows.test])
    order = np.random.default_rng(split).permutation(len(X))[: 2 * MEMBERS]
    members, others = np.split(X[order], 2)
    fitted = fit(members)
    scores = np.concatenate([fitted.score_samples(part) for part in (members, others)])
    return float(roc_auc_score(np.repeat([1, 0], MEMBERS), scores))
