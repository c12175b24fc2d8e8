"""Tables of numbers with classes, as one view or more: explained, translated, probed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from sklearn.cross_decomposition import CCA, PLSRegression
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor

from sklearn_mmae import MultimodalAutoencoder, TabularModality

from .._table import timed
from ..never_below_linear import side_by_side
from ..shared_data import load_halves, load_mfeat
from ..translation import mean_r2, predict_each, probe_of, r2
from ._task import Method, Task, unique

WIDTH = 256
EPOCHS = 40  # of multivae and multiviewae, as in `benchmarks.peers`


@dataclass(frozen=True)
class Views:
    """Training and test rows of each view, of mean 0, and their classes.

    `scale` is that of `TabularModality`: "column" where columns have been standardised, "common"
    where a view has been divided by one number.
    """

    train: dict
    test: dict
    y_train: np.ndarray
    y_test: np.ndarray
    k: int
    scale: str

    @property
    def wide(self):
        """Training and test rows of all views side by side."""
        return side_by_side(self.train)[0], side_by_side(self.test)[0]

    @property
    def places(self):
        """The columns of each view in them."""
        return side_by_side(self.train)[1]

    def inner(self):
        """Return the training rows alone, a quarter of them as test rows."""
        index = np.arange(len(self.y_train))
        kept, held = train_test_split(index, test_size=0.25, random_state=0, stratify=self.y_train)
        return replace(
            self,
            train={name: view[kept] for name, view in self.train.items()},
            test={name: view[held] for name, view in self.train.items()},
            y_train=self.y_train[kept],
            y_test=self.y_train[held],
        )

    def measure(self, found):
        """Return what can be measured of predictions and codes."""
        measured, test = {}, self.wide[1]
        if "whole" in found:
            measured["explained"] = mean_r2(test, found["whole"], self.places)
        if f"crossed/{next(iter(self.test))}" in found:
            crossed = [r2(view, found[f"crossed/{name}"]) for name, view in self.test.items()]
            measured["crossed"] = np.mean(crossed)
        if "codes/train" in found:
            probe = probe_of(found["codes/train"], self.y_train)
            measured["probe"] = probe.score(found["codes/test"], self.y_test)
        return {name: float(figure) for name, figure in measured.items()}


def split_views(load, k, scale, seed, quick):
    """Return a split of a data set: views, and the share of its rows to test on."""
    views, y = load()
    index = np.arange(len(y))
    train, test = train_test_split(index, test_size=0.3, random_state=seed, stratify=y)
    if quick:
        train, test = train[:120], test[:60]
    trained, tested = {}, {}
    for name, view in views.items():
        mean, spread = view[train].mean(0), view[train].std(0)
        if scale == "common":
            spread = np.sqrt(np.mean(spread**2))
        spread = np.where(spread > 0, spread, 1)
        for part, index in ((trained, train), (tested, test)):
            part[name] = ((view[index] - mean) / spread).astype(np.float32)
    return Views(trained, tested, y[train], y[test], k, scale)


def ours(rows, run, seed):
    """Fit the default estimator, each view a table."""
    train, test = rows.wide
    mmae = MultimodalAutoencoder(
        [(name, TabularModality(scale=rows.scale), at) for name, at in rows.places.items()],
        n_components=rows.k,
        random_state=seed,
        **{"max_epochs": 1} if run.quick else {},
    )
    _, seconds = timed(mmae.fit, train)
    found = {
        "whole": mmae.reconstruct(test),
        "codes/train": mmae.transform(train),
        "codes/test": mmae.transform(test),
    }
    if len(rows.places) > 1:
        found |= {f"crossed/{name}": mmae.translate(test, to=name) for name in rows.places}
    return found, seconds


def pca(rows, run, seed, divided_by):
    """Fit principal components of all columns, those of each view divided by its size."""
    sizes = {
        "nothing": lambda view: 1.0,
        "width": lambda view: view.shape[1] ** 0.5,
        "first singular value": lambda view: np.linalg.norm(view, 2),
    }
    size = sizes[divided_by]
    weight = np.concatenate(
        [np.full(view.shape[1], 1 / size(view)) for view in rows.train.values()]
    )
    train, test = (part * weight for part in rows.wide)
    model, seconds = timed(PCA(rows.k, random_state=seed).fit, train)
    codes = model.transform(train), model.transform(test)
    whole = model.inverse_transform(codes[1]) / weight
    return {"whole": whole, "codes/train": codes[0], "codes/test": codes[1]}, seconds


def regression(rows, make, **setting):
    """Predict each view from all others."""
    crossed, seconds = timed(predict_each, make(**setting), *rows.wide, rows.places)
    return {f"crossed/{name}": view for name, view in crossed.items()}, seconds


def ridge(rows, run, seed):
    """Fit ridge regressions, which choose their penalty themselves."""
    return regression(rows, RidgeCV, alphas=np.logspace(-3, 5, 17))


def pls(rows, run, seed, n_components):
    """Fit partial least squares."""
    return regression(rows, PLSRegression, n_components=n_components)


def cca(rows, run, seed, n_components):
    """Fit canonical correlations of principal components: constant pixels would make them explode.

    There are two views, so that the other one is all others.
    """
    found, seconds = {}, 0.0
    for name, other in (tuple(rows.train), tuple(rows.train)[::-1]):
        of_one, of_other = (PCA(0.95).fit(rows.train[view]) for view in (name, other))
        one, two = of_one.transform(rows.train[name]), of_other.transform(rows.train[other])
        model = CCA(min(n_components, one.shape[1], two.shape[1]), max_iter=2000)
        seconds += timed(model.fit, two, one)[1]
        predicted = model.predict(of_other.transform(rows.test[other]))
        found[f"crossed/{name}"] = of_one.inverse_transform(predicted)
    return found, seconds


def mlp(rows, run, seed, alpha):
    """Fit a network for each view, two hidden layers as wide as ours."""
    settings = {"hidden_layer_sizes": (WIDTH, WIDTH), "early_stopping": True, "random_state": seed}
    settings["max_iter"] = 2 if run.quick else 300
    return regression(rows, MLPRegressor, alpha=alpha, **settings)


def keras(rows, run, seed, **setting):
    """Fit an autoencoder of the same widths in Keras."""
    settings = {"batch_size": 64, "max_epochs": 150, "patience": 15, "lr": 1e-3} | setting
    common = {"n_components": rows.k, "width": WIDTH, "seed": seed}
    return run.ask("keras", rows.train, rows.test, **common, **settings)


def multiset_cca(peer):
    """Return the function that fits a peer's multiset CCA."""

    def fit(rows, run, seed, **setting):
        return run.ask(peer, rows.train, rows.test, **setting)

    return fit


def generative(peer):
    """Return the function that fits a peer's multimodal autoencoder."""

    def fit(rows, run, seed, **setting):
        common = {"n_components": rows.k, "width": WIDTH, "seed": seed, "n_draws": 0}
        common |= {"batch_size": 32, "max_epochs": EPOCHS, "lr": 1e-3}
        found, seconds = run.ask(peer, rows.train, rows.test, **common, **setting)
        found["whole"] = np.hstack([found[f"joint/{name}"] for name in rows.test])
        return found, seconds

    return fit


def among(**settings):
    """Return settings that differ in one keyword."""
    ((name, values),) = settings.items()
    return lambda rows: [{name: value} for value in values]


def components_up_to_k(rows):
    """Return numbers of components to choose from."""
    return [{"n_components": rows.k // part} for part in (1, 2, 4)]


def ridges(name):
    """Return settings that differ in components, and in the ridge of a multiset CCA."""
    return lambda rows: [
        few | {name: ridge} for few in components_up_to_k(rows) for ridge in (0.01, 0.3, 0.9)
    ]


def ridges_of_the_narrowest(rows):
    """Return the same for `cca-zoo`, which takes no more components than any view has columns."""
    narrowest = min(view.shape[1] for view in rows.train.values())
    settings = ridges("shrinkage")(rows)
    return unique(s | {"n_components": min(s["n_components"], narrowest)} for s in settings)


OF_ONE = {
    "ours": Method(ours),
    "PCA": Method(pca, among(divided_by=["nothing"])),
    "Keras autoencoder": Method(
        keras,
        lambda rows: [
            {"activation": "relu", "noise": 0.0},
            {"activation": "relu", "noise": 0.3},
            {"activation": "gelu", "noise": 0.3},
        ],
        peer="keras",
    ),
}
OF_MANY = OF_ONE | {
    "PCA": Method(pca, among(divided_by=["nothing", "width", "first singular value"])),
    "ridge": Method(ridge),
    "PLS": Method(pls, components_up_to_k),
    "MLPRegressor": Method(mlp, among(alpha=[1e-4, 1e-1, 10.0])),
    "cca-zoo": Method(multiset_cca("cca_zoo"), ridges_of_the_narrowest, peer="cca_zoo"),
    "mvlearn": Method(multiset_cca("mvlearn"), ridges("regs"), peer="mvlearn"),
    "multivae": Method(
        generative("multivae"),
        lambda rows: [
            {"model": "JMVAE", "scale": 0.5},
            {"model": "MoPoE", "scale": 0.3},
        ],
        peer="multivae",
    ),
    "multiviewae": Method(
        generative("multiviewae"),
        lambda rows: [
            {"model": name, "scale": None}  # its JMVAE takes two views
            for name in ("AE", "JMVAE" if len(rows.train) == 2 else "mVAE")
        ],
        peer="multiviewae",
    ),
}
SLOW = ("multivae", "multiviewae")  # minutes a fit of six views, and one for each setting
OF_TWO = OF_MANY | {"CCA": Method(cca, components_up_to_k)}


def one_table(load):
    """Return a loader of one view."""

    def views():
        X, y = load(return_X_y=True)
        return {"table": X}, y

    return views


def halves():
    """Return halves of the digits."""
    left, right, y = load_halves()
    return {"left": left, "right": right}, y


def mfeat(*names):
    """Return a loader of some of the views of mfeat."""

    def views():
        found, y = load_mfeat()
        return {name: found[name] for name in names}, y

    return views


def task(load, k, scale, methods, n_splits, folder=None):
    """Return the task of one data set."""
    return Task(
        k,
        lambda seed, quick: split_views(load, k, scale, seed, quick),
        methods,
        n_splits,
        folder,
    )


TASKS = {
    "wine": task(one_table(load_wine), 4, "column", OF_ONE, 5),
    "breast cancer": task(one_table(load_breast_cancer), 8, "column", OF_ONE, 5),
    "digits": task(one_table(load_digits), 8, "column", OF_ONE, 3),
    "digits, halves": task(halves, 16, "common", OF_TWO, 3),
    "mfeat, 3 views": task(mfeat("fou", "kar", "zer"), 32, "column", OF_MANY, 3, "uci_mfeat"),
    "mfeat, 6 views": task(
        mfeat("fou", "fac", "kar", "pix", "zer", "mor"),
        *(32, "column"),
        {name: method for name, method in OF_MANY.items() if name not in SLOW},
        3,
        "uci_mfeat",
    ),
}
