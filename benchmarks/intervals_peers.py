"""Beside MAPIE and crepes: how wide are intervals of one modality, predicted from the others?"""

from __future__ import annotations

import logging
import sys
import warnings
from importlib.util import find_spec

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmae import MultimodalAutoencoder
from sklearn_mmae.metrics import worst_slab_coverage

from ._table import Table, arguments
from .intervals import numeric_sets
from .never_below_linear import side_by_side
from .translation import table_of

LEVEL = 0.9
MOST_COLUMNS = 8  # of the modality that is predicted
SPLITS = 3
COLUMNS = (
    *("data", "from", "mean coverage", "worst split", "worst slab"),
    *("width", "median width", "width at equal coverage"),
)
NOTES = (
    "The last modality is predicted from all others, for rows that lack it, at 0.9; of its columns"
    f" {MOST_COLUMNS}, evenly spread. Peers fit each column by itself: *MAPIE, ridge*: CV+ of 5"
    " folds around `RidgeCV`, one width for all rows nearly; *crepes, forest*: split"
    " conformal around a random forest, residuals divided by those of the nearest 25 training rows"
    " (its `DifficultyEstimator`, out-of-bag); *crepes, ridge*: the same around `RidgeCV`; *MAPIE,"
    " quantiles*: conformalised quantiles of gradient boosting. A quarter of the training rows"
    " calibrates the split ones. Width: mean and median over cells, in standard deviations of the"
    " column. *width at equal coverage*: intervals stretched about their middle, by one factor for"
    " each column, until they hold 0.9 of the test cells. 3 splits; mfeat 1. Without"
    " nutrimouse: 30 training rows are too few for the peers that split.",
)


def main():
    """Print the table."""
    options = arguments(__doc__)
    logging.disable(logging.INFO)
    table = Table(
        "intervals_peers", "Intervals beside peers", COLUMNS, quick=options.quick, notes=NOTES
    )
    missing = [name for name in ("mapie", "crepes") if find_spec(name) is None]
    if missing:
        sys.exit(f"pip install {' '.join(missing)}")  # an older table is not written over
    sets = numeric_sets(table)
    sets.pop("nutrimouse", None)
    for name, (views, k, n_splits, test_size) in sets.items():
        found = {}
        for seed in range(1 if options.quick else min(n_splits, SPLITS)):
            X, places = side_by_side(views)
            rows = train_test_split(X, test_size=test_size, random_state=seed)
            for model, measured in compare(*rows, places, k, seed, options.quick):
                found.setdefault(model, []).append(measured)
        for model, measured in found.items():
            mean = np.nanmean(measured, 0)
            worst = max((row[0] for row in measured), key=lambda coverage: abs(coverage - LEVEL))
            slab = None if np.isnan(mean[1]) else float(mean[1])
            table.add(name, model, float(mean[0]), float(worst), slab, *mean[2:].tolist())
    table.show()


def compare(train, test, places, k, seed, quick):
    """Yield names of models, and what was measured of their intervals."""
    last = list(places)[-1]
    targets = np.array(places[last])[train.std(0)[places[last]] > 0]
    targets = targets[np.linspace(0, len(targets) - 1, min(len(targets), MOST_COLUMNS)).astype(int)]
    others = np.setdiff1d(np.arange(train.shape[1]), places[last])
    shown = test.copy()
    shown[:, places[last]] = np.nan
    settings = {"max_epochs": 2} if quick else {}
    mmae = MultimodalAutoencoder(table_of(places), k, random_state=seed, **settings).fit(train)
    low, high = (end[:, targets] for end in mmae.predict_interval(shown, LEVEL))
    codes, deviation = mmae.transform(shown), train.std(0)[targets]
    truth = test[:, targets]
    yield "MultimodalAutoencoder", measure(truth, low, high, codes, deviation)
    for name, peer in PEERS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ends = [peer(train[:, others], train[:, t], test[:, others], seed) for t in targets]
        low, high = (np.stack(end, 1) for end in zip(*ends, strict=True))
        yield name, measure(truth, low, high, codes, deviation)


def measure(truth, low, high, codes, deviation):
    """Return coverage, that of the worst slab, and widths: mean, median, at equal coverage."""
    width, middle = high - low, (low + high) / 2
    held = ((low <= truth) & (truth <= high)).mean()
    slab = worst_slab_coverage(truth, low, high, codes)
    stretch = np.quantile(np.abs(truth - middle) / np.maximum(width / 2, 1e-12), LEVEL, axis=0)
    in_units = width / deviation
    return held, slab, in_units.mean(), np.median(in_units), (in_units * stretch).mean()


def ridge():
    """Return ridge regression with a penalty that it chooses."""
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))


def mapie_ridge(X, y, new, seed):
    """Return both ends of CV+ intervals around ridge regression."""
    from mapie.regression import CrossConformalRegressor

    model = CrossConformalRegressor(
        ridge(), confidence_level=LEVEL, method="plus", cv=5, random_state=seed
    )
    return _ends(model.fit_conformalize(X, y).predict_interval(new))


def mapie_quantiles(X, y, new, seed):
    """Return both ends of conformalised quantiles."""
    from mapie.regression import ConformalizedQuantileRegressor

    X, held, y, of_held = train_test_split(X, y, test_size=0.25, random_state=seed)
    learner = HistGradientBoostingRegressor(loss="quantile", max_iter=100, random_state=seed)
    model = ConformalizedQuantileRegressor(learner, confidence_level=LEVEL)
    return _ends(model.fit(X, y).conformalize(held, of_held).predict_interval(new))


def crepes_forest(X, y, new, seed):
    """Return both ends of normalised intervals around a random forest."""
    X, held, y, of_held = train_test_split(X, y, test_size=0.25, random_state=seed)
    forest = RandomForestRegressor(100, oob_score=True, random_state=seed).fit(X, y)
    return _normalised(forest, y - forest.oob_prediction_, X, held, of_held, new)


def crepes_ridge(X, y, new, seed):
    """Return both ends of normalised intervals around ridge regression."""
    X, held, y, of_held = train_test_split(X, y, test_size=0.25, random_state=seed)
    model = ridge().fit(X, y)
    return _normalised(model, y - model.predict(X), X, held, of_held, new)


def _normalised(model, residuals, X, held, of_held, new):
    from crepes import ConformalRegressor
    from crepes.extras import DifficultyEstimator

    scaler = StandardScaler().fit(X)
    difficulty = DifficultyEstimator()
    difficulty.fit(scaler.transform(X), residuals=residuals, scaler=True, k=25)
    sigmas = difficulty.apply(scaler.transform(held))
    conformal = ConformalRegressor().fit(of_held - model.predict(held), sigmas=sigmas)
    ends = conformal.predict_int(
        model.predict(new), sigmas=difficulty.apply(scaler.transform(new)), confidence=LEVEL
    )
    return ends[:, 0], ends[:, 1]


def _ends(answer):
    ends = np.sort(answer[1][..., 0], 1)  # quantiles of one model may cross those of another
    return ends[:, 0], ends[:, 1]


PEERS = {
    "MAPIE, ridge": mapie_ridge,
    "MAPIE, quantiles": mapie_quantiles,
    "crepes, ridge": crepes_ridge,
    "crepes, forest": crepes_forest,
}

if __name__ == "__main__":
    main()
