"""Tables of numbers of which cells have been removed: who fills them best?"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklearn_mmae import MultimodalAutoencoder, TabularModality

from .._table import timed
from ..imputers import iterative as in_rounds
from ..imputers import of_normal
from ._task import Method, Task

SHARE = 0.3


@dataclass(frozen=True)
class Holed:
    """Training and test rows, NaN where cells were removed, and what was there.

    Columns are of mean 0, and standardised, or for the `scale` "common" divided by one number.
    """

    train: np.ndarray
    test: np.ndarray
    known: np.ndarray
    k: int
    scale: str

    def inner(self):
        """Return the training rows alone, a quarter of them as test rows with further holes."""
        train, known = train_test_split(self.train, test_size=0.25, random_state=0)
        gone = np.random.default_rng(0).random(known.shape) < SHARE
        return replace(self, train=train, test=np.where(gone, np.nan, known), known=known)

    def measure(self, found):
        """Return R2 of the cells that were removed, about the training means."""
        removed = np.isnan(self.test) & ~np.isnan(self.known)
        known, filled = self.known[removed], found["filled"][removed]
        return {"filled": float(1 - ((known - filled) ** 2).sum() / (known**2).sum())}


def split_holed(load, k, scale, seed, quick):
    """Remove cells at random, of training and test rows alike."""
    X, y = load(return_X_y=True)
    train, test = train_test_split(X, test_size=0.3, random_state=seed, stratify=y)
    if quick:
        train, test = train[:120], test[:60]
    rng = np.random.default_rng(seed)
    train = np.where(rng.random(train.shape) < SHARE, np.nan, train)
    scaler = StandardScaler(with_std=scale == "column").fit(train)
    spread = 1 if scale == "column" else np.sqrt(np.nanvar(train, 0).mean())
    train, known = scaler.transform(train) / spread, scaler.transform(test) / spread
    return Holed(train, np.where(rng.random(test.shape) < SHARE, np.nan, known), known, k, scale)


def ours(rows, run, seed):
    """Fit the default estimator."""
    mmae = MultimodalAutoencoder(
        [("table", TabularModality(scale=rows.scale), slice(None))],
        n_components=rows.k,
        random_state=seed,
        **{"max_epochs": 1} if run.quick else {},
    )
    _, seconds = timed(mmae.fit, rows.train)
    return {"filled": mmae.impute(rows.test)}, seconds


def imputed(imputer, rows):
    """Fit an imputer."""
    with warnings.catch_warnings():
        # What has not converged is as poor as its figure shows.
        warnings.simplefilter("ignore")
        _, seconds = timed(imputer.fit, rows.train)
        return {"filled": imputer.transform(rows.test)}, seconds


def iterative(rows, run, seed, n_nearest_features):
    """Fill each column by a Bayesian ridge regression on the others, in rounds, within its range.

    Without the range, pixels that are nearly always white explode.
    """
    imputer = IterativeImputer(
        max_iter=1 if run.quick else 10,
        n_nearest_features=n_nearest_features,
        min_value=np.nanmin(rows.train, 0),
        max_value=np.nanmax(rows.train, 0) + 1e-9,  # of constant columns, too, above the least
        random_state=seed,
    )
    return imputed(imputer, rows)


def neighbours(rows, run, seed, n_neighbors):
    """Fill by the mean of the nearest rows."""
    return imputed(KNNImputer(n_neighbors=n_neighbors), rows)


def normal(rows, run, seed, ridge):
    """Fill by a multivariate normal, fitted by expectation and maximisation, with a prior."""
    filled, seconds = timed(of_normal, rows.train, rows.test, ridge)
    return {"filled": filled}, seconds


def trees(rows, run, seed, min_samples_leaf):
    """Fill each column by a forest of all others, in rounds, as missForest does."""
    forest = ExtraTreesRegressor(50, min_samples_leaf=min_samples_leaf, random_state=seed)
    return imputed(in_rounds(forest, 1 if run.quick else 5), rows)


METHODS = {
    "ours": Method(ours),
    "IterativeImputer": Method(
        iterative, lambda rows: [{"n_nearest_features": n} for n in (None, 10)]
    ),
    "KNNImputer": Method(neighbours, lambda rows: [{"n_neighbors": n} for n in (5, 10, 20, 40)]),
    "EM": Method(normal, lambda rows: [{"ridge": ridge} for ridge in (1, 10, 100)]),
}
OF_FEW_COLUMNS = METHODS | {
    "missForest": Method(trees, lambda rows: [{"min_samples_leaf": n} for n in (1, 3)]),
}


def task(load, k, n_splits, methods=OF_FEW_COLUMNS, scale="column"):
    """Return the task of one data set."""
    return Task(k, lambda seed, quick: split_holed(load, k, scale, seed, quick), methods, n_splits)


TASKS = {
    "wine, holes": task(load_wine, 4, 5),
    "breast cancer, holes": task(load_breast_cancer, 8, 5),
    "digits, holes": task(load_digits, 16, 3, METHODS, "common"),
}
