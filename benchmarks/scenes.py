"""Are kinds of scenes recognised from embeddings of two views, one of which may be missing?

The protocol of Lin et al. (2022), "Dual contrastive prediction for incomplete multi-view
representation learning", IEEE TPAMI 45(4), beside what they published.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sklearn_mmae import MultimodalAutoencoder, TabularModality

from ._sides import cpu_seconds
from ._table import Table, arguments
from .never_below_linear import side_by_side
from .shared_data import available, load_scene15

VIEWS = ("gist", "phog")
RATES = (0.0, 0.5)
N_CLASSES, SEEDS = 15, 5
OURS = {
    "ours, linear start": {"max_epochs": 0},
    "ours": {},
    "ours, with labels": {"target_weight": 1.0},
}
MEANS, PCA_32 = "all columns, means where missing", "the same, PCA (32)"
METHODS = (MEANS, PCA_32, *OURS)
# Published: classes found, and clusters, in per cent, by the rate of missing views.
PUBLISHED = {
    "DCP (labels)": {0.0: (75.1, 41.1), 0.5: (65.7, 39.5)},
    "AE2-Nets": {0.0: (59.6, None), 0.5: (49.5, None)},
    "BMVC": {0.0: (56.6, 40.5), 0.5: (34.9, 30.9)},
    "EEIMVC": {0.0: (50.5, None), 0.5: (45.3, None)},
}
COLUMNS = (
    *(
        "views missing",
        "from",
        "logistic regression",
        "SVC",
        "own predict",
        "k-means",
        "mixture",
        "CPU s",
    ),
)
NOTES = (
    "Scene-15: 4,485 photographs of 15 kinds of scenes by GIST (20 numbers) and PHOG (59); a fifth"
    " of the rows held out; means over seeds. Where half of the *views are missing*, half of the"
    " rows keep one of the two, sampled at random, in training and test alike.",
    "Accuracy on held-out rows of *logistic regression* and of a support vector machine (*SVC*) on"
    " standardised embeddings; the penalty of each is chosen by cross-validation on training rows."
    " *k-means* and a Gaussian *mixture* (diagonal) make 15 clusters of the embeddings of the"
    " training rows, without labels; the accuracy after the best matching to the classes. Ours: 32"
    " components, defaults. *CPU s*: of the fit.",
    "The rows without seconds are published figures.",
)


def main():
    """Print the table."""
    options = arguments(__doc__)
    table = Table("scenes", "Scenes", COLUMNS, quick=options.quick, notes=NOTES)
    if not available("scene15"):
        table.absent("scene15")
        table.show()
        return
    for rate in RATES:
        for method in METHODS:
            seeds = range(1 if options.quick else SEEDS)
            found = [measure(rate, method, seed, options.quick) for seed in seeds]
            table.add(f"{rate:.0%}", method, *map(_mean, zip(*found, strict=True)))
        for name, figures in PUBLISHED.items():
            classes, clusters = (None if f is None else f / 100 for f in figures[rate])
            table.add(f"{rate:.0%}", name, classes, None, None, clusters, None, None)
    table.show()


def _mean(figures):
    return None if None in figures else float(np.mean(figures))


def measure(rate, method, seed, quick):
    """Return the figures of one seed, in the order of the table."""
    X, y, places = rows_of(rate, seed)
    train, test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=seed)
    if quick:
        train, y_train = train[:400], y_train[:400]
    predicted = None
    if method in OURS:
        modalities = [(name, TabularModality(), at) for name, at in places.items()]
        settings = OURS[method] | ({"max_epochs": 1} if quick else {})
        mmae = MultimodalAutoencoder(modalities, random_state=seed, **settings)
        _, seconds = cpu_seconds(mmae.fit, train, y_train)
        embed = mmae.transform
        if mmae.target_weight:
            predicted = float((mmae.predict(test) == y_test).mean())
    else:
        steps = [SimpleImputer(), StandardScaler()]
        if method == PCA_32:
            steps.append(PCA(32, random_state=seed))
        pipeline = make_pipeline(*steps)
        _, seconds = cpu_seconds(pipeline.fit, train)
        embed = pipeline.transform
    codes, new = embed(train), embed(test)
    found = [
        probe.fit(codes, y_train).score(new, y_test)
        for probe in (
            tuned(LogisticRegression(max_iter=3000), (0.01, 0.1, 1, 10)),
            tuned(SVC(), (1, 3, 10)),
        )
    ]
    clusters = [
        None if predicted is not None else agreement(clustering.fit_predict(codes), y_train)
        for clustering in (
            KMeans(N_CLASSES, n_init=10, random_state=seed),
            GaussianMixture(N_CLASSES, covariance_type="diag", n_init=3, random_state=seed),
        )
    ]
    return [*map(float, found), predicted, *clusters, seconds]


def rows_of(rate, seed):
    """Return rows of both views, NaN where one is missing, labels, and the columns of each."""
    views, y = load_scene15()
    X, places = side_by_side({name: views[name] for name in VIEWS})
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(X))[: round(rate * len(X))]
    lost = random.integers(len(VIEWS), size=len(chosen))
    for view, name in enumerate(VIEWS):
        X[np.ix_(chosen[lost == view], places[name])] = np.nan
    return X, y, places


def tuned(classifier, strengths):
    """Return a classifier of standardised rows whose C is chosen by cross-validation."""
    name = f"{type(classifier).__name__.lower()}__C"
    return GridSearchCV(make_pipeline(StandardScaler(), classifier), {name: strengths}, cv=3)


def agreement(found, y):
    """Return the accuracy of clusters, each taken for the class that suits all best."""
    counts = confusion_matrix(y - 1, found)
    return float(counts[linear_sum_assignment(-counts)].sum() / len(y))


if __name__ == "__main__":
    main()
