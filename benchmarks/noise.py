"""How much worse does a code get as its input gets noisier?"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklearn_mmae import MultimodalAutoencoder

from ._table import Table, arguments
from .never_below_linear import side_by_side
from .shared_data import available, load_halves, load_mfeat
from .translation import mean_r2, probe_of, r2, table_of

LEVELS = (0.0, 0.25, 0.5, 1.0, 2.0)
COLUMNS = ("data", "model", "measure", *(f"noise {level:g}" for level in LEVELS), "lost at 1")
PROBE, CLEAN, CROSS = "probe", "clean row (R2)", "each from the others (R2)"
SETTINGS = {"ours": {}, "ours, noise=0": {"noise": 0.0}, "ours, noise=1": {"noise": 1.0}}
NOTES = (
    "Fitted on clean rows; then Gaussian noise is added to the held-out rows, in standard"
    " deviations of the signal: of each column where columns are standardised (mfeat), the root of"
    " the mean variance over the pixels of digits. *lost at 1*: the first column less that of"
    " noise 1.",
    "*probe*: accuracy of a logistic regression trained on the standardised codes of clean rows."
    " *clean row*: 1 - SSE / SST of the reconstruction of a noisy row against the row before the"
    " noise, the mean over modalities; for PCA that is denoising by PCA. *each from the others*:"
    " a clean modality predicted from the other ones, noisy; by ridge regression for want of a PCA"
    " that does it. PCA has as many components, of the same columns, scaled alike.",
)


def main():
    """Print the table."""
    options = arguments(__doc__)
    table = Table("noise", "Noise", COLUMNS, quick=options.quick, notes=NOTES)
    sets = {"digits": (whole_digits, 16, 3), "digits halves": (halves, 16, 3)}
    if available("uci_mfeat"):
        sets["mfeat"] = mfeat, 32, 2
    else:
        table.absent("mfeat")
    for data, (load, k, n_splits) in sets.items():
        X, places, y, standardised = load()
        for model in [*SETTINGS, "PCA"]:
            measured = [
                measure(model, X, places, y, standardised, k, seed, quick=options.quick)
                for seed in range(1 if options.quick else n_splits)
            ]
            for name in measured[0]:
                figures = [float(f) for f in np.mean([found[name] for found in measured], 0)]
                lost = figures[0] - figures[LEVELS.index(1.0)]
                table.add(data, model, name, *figures, lost)
    table.show()


def whole_digits():
    """Return rows, the places of the modalities, labels, and whether columns are standardised."""
    digits = load_digits()
    return digits.data / 16, {"picture": list(range(64))}, digits.target, False


def halves():
    """Return the same of the halves of the digits."""
    left, right, y = load_halves()
    return *side_by_side({"left": left, "right": right}), y, False


def mfeat():
    """Return the same of six descriptions of numerals."""
    views, y = load_mfeat()
    return *side_by_side(views), y, True


def measure(model, X, places, y, standardised, k, seed, *, quick):
    """Return each measure of one split as a list over the levels of noise."""
    train, test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=seed)
    if quick:
        train, y_train = train[:300], y_train[:300]
    if standardised:
        scaler = StandardScaler().fit(train)
        train, test = scaler.transform(train), scaler.transform(test)
    unit = train.var(0).mean() ** 0.5
    made = make_pca if model == "PCA" else make_ours
    codes, rebuilt, crossed = made(
        train, places, k, seed, **({"max_epochs": 1} if quick else {}), **SETTINGS.get(model, {})
    )
    probe = probe_of(codes(train), y_train)
    noise = np.random.default_rng(seed).normal(size=test.shape)
    found = {PROBE: [], CLEAN: []} | ({CROSS: []} if len(places) > 1 else {})
    for level in LEVELS:
        noisy = test + level * unit * noise
        found[PROBE].append(probe.score(codes(noisy), y_test))
        found[CLEAN].append(mean_r2(test, rebuilt(noisy), places))
        if len(places) > 1:
            found[CROSS].append(
                np.mean([r2(test[:, places[v]], crossed(noisy, v)) for v in places])
            )
    return found


def make_ours(train, places, k, seed, **parameters):
    """Return what makes codes, rows and one modality of rows, by the default estimator."""
    mmae = MultimodalAutoencoder(table_of(places), n_components=k, random_state=seed, **parameters)
    mmae.fit(train)
    return mmae.transform, mmae.reconstruct, mmae.translate


def make_pca(train, places, k, seed, **_):
    """Return the same by PCA, and by ridge regression of each modality on the others."""
    # Where views weigh the same, as in ours, each column counts by the root of its view's size.
    weight = np.ones(train.shape[1])
    for at in places.values():
        weight[at] = len(at) ** -0.5
    pca = PCA(k, random_state=seed).fit(train * weight)
    others = {v: np.setdiff1d(np.arange(train.shape[1]), at) for v, at in places.items()}
    ridges = {
        v: RidgeCV(np.logspace(-3, 5, 17)).fit(train[:, others[v]], train[:, at])
        for v, at in places.items()
        if len(places) > 1
    }
    return (
        lambda X: pca.transform(X * weight),
        lambda X: pca.inverse_transform(pca.transform(X * weight)) / weight,
        lambda X, v: ridges[v].predict(X[:, others[v]]),
    )


if __name__ == "__main__":
    main()
