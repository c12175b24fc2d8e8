"""How much of one modality do the others tell, and does each alone lead to the whole?"""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from sklearn_mmae import MultimodalAutoencoder
from sklearn_mmae.metrics import fit_linear_probe, translation_score
from sklearn_mmae.modalities import ImageModality, TabularModality

from ._table import Table, arguments, timed
from .never_below_linear import side_by_side
from .shared_data import available, load_halves, load_mfeat

MEASURES = (
    "each from the others",
    "worst of them",
    "columns below ridge",
    "joint",
    "probe, all",
    "probe, one alone",
    "seconds a fit",
)
COLUMNS = ("data", "model", *MEASURES)
NOTES = (
    "R2 = 1 - SSE / SST over all cells of a modality on held-out rows, the mean over modalities"
    " (halves of the digits: the right from the left and the left from the right; mfeat: each of"
    " six standardised views, or of three (fou, kar, zer), from the others), then the mean over"
    " splits. *columns below ridge*: share of those whose squared error RidgeCV's is below by more"
    " than two standard errors of the paired difference (chance alone: 0.02). *joint*: all"
    " modalities reconstructed from all.",
    "*probe*: accuracy of a logistic regression trained on the standardised codes of all"
    " modalities; *one alone*: the same regression fed with codes of each modality alone, the mean."
    " Regressions have no code: no probe and no joint figure. RidgeCV and the neighbours have no"
    " bottleneck either. MLPRegressor chooses its alpha by a part of the training rows.",
)


def main():
    """Print the table."""
    options = arguments(__doc__)
    table = Table("translation", "Translation", COLUMNS, quick=options.quick, notes=NOTES)
    n_splits = 1 if options.quick else 5
    settings = {"max_epochs": 2} if options.quick else {}

    for name, make in {
        "ours": table_of,
        "ours, ImageModality": lambda places: [
            (view, ImageModality(shape=(8, 4)), at) for view, at in places.items()
        ],
    }.items():
        measured = [
            measure_ours(*split, make, n_components=16, random_state=seed, **settings)
            for seed, split in enumerate(splits_of_halves(n_splits))
        ]
        add(table, "digits halves", name, measured)
    baselines(table, "digits halves", 16, splits_of_halves(n_splits))

    for name, views in {"mfeat": None, "mfeat, three views": ("fou", "kar", "zer")}.items():
        if not available("uci_mfeat"):
            table.absent(name)
            continue
        n_splits = min(n_splits, 3)
        measured = [
            measure_ours(*split, table_of, n_components=32, random_state=seed, **settings)
            for seed, split in enumerate(splits_of_mfeat(n_splits, views))
        ]
        add(table, name, "ours", measured)
        baselines(table, name, 32, splits_of_mfeat(n_splits, views))
    table.show()


def table_of(places):
    """Return the list of tabular modalities with these columns."""
    return [(view, TabularModality(), at) for view, at in places.items()]


def splits_of_halves(n_splits):
    """Yield training and test rows, places, and training and test labels."""
    left, right, y = load_halves()
    X, places = side_by_side({"left": left, "right": right})
    for seed in range(n_splits):
        train, test, y_train, y_test = train_test_split(X, y, test_size=540, random_state=seed)
        yield train, test, places, y_train, y_test


def splits_of_mfeat(n_splits, names=None):
    """Yield the same for mfeat, standardised: all views, or those named."""
    views, y = load_mfeat()
    views = {name: views[name] for name in names or views}
    X, places = side_by_side(views)
    for seed in range(n_splits):
        train, test, y_train, y_test = train_test_split(X, y, test_size=500, random_state=seed)
        scaler = StandardScaler().fit(train)
        yield scaler.transform(train), scaler.transform(test), places, y_train, y_test


def measure_ours(train, test, places, y_train, y_test, make, **parameters):
    """Return what `MEASURES` names for one split."""
    mmae = MultimodalAutoencoder(make(places), **parameters)
    _, seconds = timed(mmae.fit, train)
    crossed = {v: mmae.translate(test, to=v) for v in places}
    whole = mmae.reconstruct(test)
    probe = probe_of(mmae.transform(train), y_train)
    alone = []
    for at in places.values():
        shown = np.full_like(test, np.nan)
        shown[:, at] = test[:, at]
        alone.append(probe.score(mmae.transform(shown), y_test))
    ridge = predict_each(regressors_with(1)["RidgeCV"], train, test, places)
    return [
        *crossed_r2(test, crossed, places),
        below(test, crossed, ridge, places),
        mean_r2(test, whole, places),
        probe.score(mmae.transform(test), y_test),
        np.mean(alone),
        seconds,
    ]


def baselines(table, data, k, splits):
    """Add a row for each regressor from the others, and one for PCA."""
    regressors = regressors_with(k) | {
        "5 nearest neighbours": KNeighborsRegressor(5),
        "MLPRegressor": _MLP(),
    }
    measured = {name: [] for name in [*regressors, f"PCA({k})"]}
    for train, test, places, y_train, y_test in splits:
        for name, regressor in regressors.items():
            crossed, seconds = timed(predict_each, regressor, train, test, places)
            if name == "RidgeCV":
                ridge = crossed
            worse = below(test, crossed, ridge, places)
            found = [*crossed_r2(test, crossed, places), worse]
            measured[name].append([*found, *[np.nan] * 3, seconds])
        pca, seconds = timed(PCA(k, random_state=0).fit, train)
        whole = pca.inverse_transform(pca.transform(test))
        probe = probe_of(pca.transform(train), y_train)
        alone = []
        for at in places.values():
            # The linear counterpart of one modality alone: its prediction of the components.
            bridge = LinearRegression().fit(train[:, at], pca.transform(train))
            alone.append(probe.score(bridge.predict(test[:, at]), y_test))
        accuracy = probe.score(pca.transform(test), y_test)
        joint = mean_r2(test, whole, places)
        measured[f"PCA({k})"].append([*[np.nan] * 3, joint, accuracy, np.mean(alone), seconds])
    for name, rows in measured.items():
        add(table, data, name, rows)


class _MLP:
    """An MLPRegressor whose alpha a part of the training rows has chosen."""

    def fit(self, X, Y):
        """Choose, and fit to all."""
        X_fit, X_held, Y_fit, Y_held = train_test_split(X, Y, test_size=0.15, random_state=0)
        tried = {
            alpha: r2(
                Y_held, MLPRegressor(alpha=alpha, random_state=0).fit(X_fit, Y_fit).predict(X_held)
            )
            for alpha in (1e-1, 10.0)
        }
        self.best_ = MLPRegressor(alpha=max(tried, key=tried.get), random_state=0).fit(X, Y)
        return self

    def predict(self, X):
        """Return predictions."""
        return self.best_.predict(X)


def regressors_with(k):
    """Return the linear regressors, without a bottleneck and with one of `k` components."""
    return {
        "RidgeCV": RidgeCV(alphas=np.logspace(-3, 5, 17)),
        f"PLSRegression({k})": PLSRegression(k),
    }


def predict_each(regressor, train, test, places):
    """Return predictions of each modality from all others."""
    crossed = {}
    for view, at in places.items():
        others = np.setdiff1d(np.arange(train.shape[1]), at)
        with warnings.catch_warnings():
            # What has not converged is as poor as its figure shows.
            warnings.simplefilter("ignore")
            regressor.fit(train[:, others], train[:, at])
        crossed[view] = regressor.predict(test[:, others])
    return crossed


def crossed_r2(test, crossed, places):
    """Return the mean and the least R2 of modalities predicted from the others."""
    found = [r2(test[:, places[view]], predicted) for view, predicted in crossed.items()]
    return np.mean(found), np.min(found)


def below(test, crossed, ridge, places):
    """Return the share of columns that ridge predicts better by two standard errors."""
    worse = []
    for view, at in places.items():
        error, of_ridge = ((predicted[view] - test[:, at]) ** 2 for predicted in (crossed, ridge))
        apart = error - of_ridge
        worse.append(apart.mean(0) > 2 * apart.std(0) / len(test) ** 0.5)
    return float(np.concatenate(worse).mean())


def mean_r2(known, predicted, places):
    """Return the mean over modalities of R2."""
    return np.mean([r2(known[:, at], predicted[:, at]) for at in places.values()])


def r2(known, predicted):
    """Return one minus the ratio of squared errors to squared deviations, over all cells."""
    return translation_score(known, predicted, multioutput="variance_weighted")


def probe_of(codes, y):
    """Return the linear probe, its penalty fixed."""
    return fit_linear_probe(codes, y, alphas=[1.0])


def add(table, data, model, measured):
    """Add the mean over splits as a row."""
    *figures, seconds = np.mean(measured, 0)
    figures = [None if np.isnan(figure) else float(figure) for figure in figures]
    table.add(data, model, *figures, f"{seconds:.1f}")


if __name__ == "__main__":
    main()
