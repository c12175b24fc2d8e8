"""Is what a code explains of held-out rows ever less than what PCA's explains?"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.model_selection import ShuffleSplit
from sklearn.preprocessing import StandardScaler

from sklearn_mmae import MultimodalAutoencoder
from sklearn_mmae.modalities import TabularModality

from ._table import Table, arguments, timed
from .shared_data import available, load_mfeat, load_nutrimouse

COMPONENTS = (2, 8, 16, 32)
COLUMNS = (
    "data",
    "measure",
    "k",
    "PCA",
    "ours",
    "difference",
    "worst split",
    "splits won or tied",
    "seconds a fit",
)
NOTES = (
    "Held-out explained deviance: 1 - squared error / squared distance from the training means."
    " *standardised*: columns scaled by the training rows' deviations"
    ' (`TabularModality(scale="column")`). *as they are*: one scale for all columns, which the'
    " default chooses for pixels, against PCA of the centred pixels. PCA sees all columns of all"
    " modalities side by side.",
    "*mean of views* is `score`: the mean over modalities. *all columns* pools their squared"
    " errors; no one model is best at both. *equal PCA*: its columns divided by the root of their"
    " view's number of columns, the best linear answer to `score`. A difference above -0.0005 is a"
    " tie.",
)


def main():
    """Print the table."""
    options = arguments(__doc__)
    table = Table(
        "never_below_linear", "Never below linear", COLUMNS, quick=options.quick, notes=NOTES
    )
    for load in (load_digits, load_wine, load_breast_cancer, load_diabetes):
        X = load(return_X_y=True)[0]
        name = load.__name__.removeprefix("load_").replace("_", " ")
        compare(table, name, {"table": X}, options)
        if load is load_digits:
            compare(table, name, {"table": X}, options, standardised=False)
    if available("uci_mfeat"):
        compare(table, "mfeat", load_mfeat()[0], options)
    else:
        table.absent("mfeat")
    if available("nutrimouse"):
        gene, lipid, *_ = load_nutrimouse()
        compare(table, "nutrimouse", {"gene": gene.to_numpy(), "lipid": lipid.to_numpy()}, options)
    else:
        table.absent("nutrimouse")
    table.show()


def compare(table, name, views, options, *, standardised=True):
    """Add the rows of one data set."""
    X, places = side_by_side(views)
    splits = list(ShuffleSplit(2 if options.quick else 5, test_size=0.2, random_state=0).split(X))
    shapes = "standardised" if standardised else "as they are"
    measures = ["mean of views", "all columns", "mean of views, equal PCA"]
    if len(views) == 1:
        measures = [shapes]
    # Where views weigh the same, as in `score`: each column by the root of its view's size.
    equal = np.concatenate([np.full(len(at), len(at) ** -0.5) for at in places.values()])
    for k in COMPONENTS[: 2 if options.quick else None]:
        if k >= min(len(splits[0][0]), X.shape[1]):
            continue
        theirs, ours, seconds = [], [], []
        for split, (train, test) in enumerate(splits):
            if options.quick:
                train, test = train[:200], test[:50]
            scaler = StandardScaler(with_std=standardised).fit(X[train])
            fitted, known = scaler.transform(X[train]), scaler.transform(X[test])
            by_weight = []
            for weight in (1.0, equal):
                pca = PCA(k, random_state=split).fit(fitted * weight)
                predicted = pca.inverse_transform(pca.transform(known * weight)) / weight
                by_weight.append(explained(known, predicted, places))
            (mean, pooled), (mean_of_equal, _) = by_weight
            theirs.append((mean, pooled, mean_of_equal))

            mmae = MultimodalAutoencoder(
                [
                    (view, TabularModality(**{"scale": "column"} if standardised else {}), at)
                    for view, at in places.items()
                ],
                n_components=k,
                random_state=split,
                **{"max_epochs": 2} if options.quick else {},
            )
            seconds.append(timed(mmae.fit, X[train])[1])
            predicted = scaler.transform(mmae.reconstruct(X[test]))
            score, (_, pooled) = mmae.score(X[test]), explained(known, predicted, places)
            ours.append((score, pooled, score))
        for measure, pca_, mmae_ in zip(
            measures, np.transpose(theirs), np.transpose(ours), strict=False
        ):
            difference = mmae_ - pca_
            table.add(
                name,
                measure,
                k,
                float(pca_.mean()),
                float(mmae_.mean()),
                float(difference.mean()),
                float(difference.min()),
                f"{(difference > -0.0005).sum()} of {len(splits)}",
                f"{np.mean(seconds):.1f}",
            )


def side_by_side(views):
    """Return all views as one array, and the columns of each."""
    ends = np.cumsum([view.shape[1] for view in views.values()])
    places = {
        name: list(range(end - view.shape[1], end))
        for (name, view), end in zip(views.items(), ends, strict=True)
    }
    return np.hstack(list(views.values())), places


def explained(known, predicted, places):
    """Return the share of squares explained, as a mean over views and of all columns."""
    error, total = (known - predicted) ** 2, known**2
    by_view = [1 - error[:, at].sum() / total[:, at].sum() for at in places.values()]
    return float(np.mean(by_view)), float(1 - error.sum() / total.sum())


if __name__ == "__main__":
    main()
