"""How much worse does a code get as more modalities of its rows are missing?"""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

from sklearn_mmae import MultimodalAutoencoder, TabularModality, TextModality

from ._table import Table, arguments, timed
from .never_below_linear import side_by_side
from .shared_data import available, load_clothing, load_mfeat
from .translation import probe_of, table_of

RATES = (0.1, 0.3, 0.5, 0.7)
COMPONENTS = 32
CELLS = {  # of tables of which single cells are removed: components, whether the target is a number
    "wine": (load_wine, 6, False),
    "breast cancer": (load_breast_cancer, 8, False),
    "diabetes": (load_diabetes, 6, True),
    "digits": (load_digits, 16, False),
}
SPLITS = 3  # of these
REDUCED = 20  # components of each view that IterativeImputer sees
COLUMNS = ("data", "removed", "model", "probe", "numbers (R2)", "categories (accuracy)", "seconds")
PARTS = {
    "title": ["Title"],
    "review": ["Review Text"],
    "numbers": ["Age", "Positive Feedback Count"],
    "categories": ["Recommended IND", "Division Name", "Department Name", "Class Name"],
}
NOTES = (
    "Each modality of each row is removed with the chance *removed*, in training and test rows"
    " alike; each row keeps at least one. mfeat: six standardised views, 1,500 training and 500"
    " test rows. clothing: title, review, numbers and categories, 3,000 training and 1,500"
    f" test rows. One split each. All have {COMPONENTS} components.",
    "*cells*: of one table each single cell is removed with that chance, in training rows and the"
    f" quarter of test rows alike, {SPLITS} splits; components: "
    + ", ".join(f"{name} {k}" for name, (_, k, _) in CELLS.items())
    + ".",
    "*probe*: of codes of rows with holes, fitted on those of training rows with holes: accuracy of"
    " a logistic regression (mfeat, numeral), R2 of a ridge regression (clothing, rating)."
    " *numbers*: 1 - SSE / SST of the removed numbers of the test rows about the means of the"
    " observed training ones, the mean over views. *categories*: share of removed categories that"
    " are found, the mean over columns.",
    f"*IterativeImputer* (BayesianRidge, 10 rounds) sees {REDUCED} principal components of each"
    " view of mfeat, which 649 columns would not allow in an hour; what it fills in is turned back"
    " into columns. Texts are numbers for the baselines: TF-IDF and 30 components each, fitted on"
    " the observed texts; categories are indicators. *VAE*: a Gaussian VAE with a hidden layer of"
    " 256 units on either side, holes filled by means, the loss over observed columns.",
)


def main():
    """Print the table."""
    options = arguments(__doc__)
    table = Table("holes", "Holes", COLUMNS, quick=options.quick, notes=NOTES)
    rates = RATES[1:2] if options.quick else RATES
    for name, folder, compare in (
        ("mfeat", "uci_mfeat", compare_on_mfeat),
        ("clothing", "women_clothing_reviews", compare_on_clothing),
    ):
        if not available(folder):
            table.absent(name)
            continue
        for rate in rates:
            add(table, name, rate, compare(rate, 0, quick=options.quick))
    for name in CELLS:
        for rate in rates:
            splits = [
                compare_on_cells(name, rate, seed, quick=options.quick)
                for seed in range(1 if options.quick else SPLITS)
            ]
            means = {model: np.mean([s[model] for s in splits], 0) for model in splits[0]}
            add(table, f"cells of {name}", rate, means)
    table.show()


def add(table, name, rate, found):
    """Add a row for each model."""
    for model, (*figures, seconds) in found.items():
        figures = [None if np.isnan(figure) else float(figure) for figure in figures]
        table.add(name, f"{rate:.0%}", model, *figures, f"{seconds:.1f}")


def removed(shape, rate, random):
    """Draw which modality of which row is removed; each row keeps at least one."""
    gone = random.random(shape) < rate
    keep = random.integers(shape[1], size=shape[0])
    gone[np.flatnonzero(gone.all(1)), keep[gone.all(1)]] = False
    return gone


# Numerals ------------------------------------------------------------------------------------


def compare_on_mfeat(rate, seed, *, quick):
    """Return what `COLUMNS` names for each model: dict of str to list."""
    views, y = load_mfeat()
    X, places = side_by_side(views)
    train, test, y_train, y_test = train_test_split(X, y, test_size=500, random_state=seed)
    if quick:
        train, y_train, test, y_test = train[:400], y_train[:400], test[:100], y_test[:100]
    random = np.random.default_rng(seed)
    view_of = np.repeat(np.arange(len(places)), [len(at) for at in places.values()])
    gone = [removed((len(rows), len(places)), rate, random)[:, view_of] for rows in (train, test)]
    scaler = StandardScaler().fit(np.where(gone[0], np.nan, train))
    known = scaler.transform(test)
    train, shown = (
        scaler.transform(np.where(hole, np.nan, rows))
        for hole, rows in zip(gone, (train, test), strict=True)
    )
    found = {}
    for name, model in models_of_numbers(places, seed, quick=quick).items():
        (codes, new, filled), seconds = timed(model, train, shown)
        probe = probe_of(codes, y_train).score(new, y_test)
        errors = [
            1
            - ((known - filled)[:, at][gone[1][:, at]] ** 2).sum()
            / (known[:, at][gone[1][:, at]] ** 2).sum()
            for at in places.values()
        ]
        found[name] = [probe, np.mean(errors), np.nan, seconds]
    return found


def models_of_numbers(places, seed, *, quick):
    """Return functions of training and test rows: codes of both, and the test rows filled."""
    reduced = ViewPCA(places)
    return {
        "ours": partial(ours, table_of(places), COMPONENTS, seed, quick),
        "IterativeImputer + PCA": partial(imputed, iterative(quick), reduced),
        "KNNImputer + PCA": partial(imputed, KNNImputer(n_neighbors=10), None),
        "means + PCA": partial(imputed, SimpleImputer(), None),
        "VAE": partial(vae, seed, quick),
    }


def ours(modalities, n_components, seed, quick, train, shown):
    """Fit and fill by the default estimator."""
    mmae = MultimodalAutoencoder(
        modalities,
        n_components=n_components,
        random_state=seed,
        **{"max_epochs": 1} if quick else {},
    )
    codes = mmae.fit(train).transform(train)
    return codes, mmae.transform(shown), mmae.impute(shown)


def iterative(quick):
    """Return an IterativeImputer."""
    return IterativeImputer(max_iter=2 if quick else 10, tol=1e-2, random_state=0)


def imputed(imputer, reduced, train, shown, n_components=COMPONENTS):
    """Fit an imputer, on reduced views if given, and PCA of the rows that it fills."""
    if reduced is not None:
        train, shown = reduced.fit(train).transform(train), reduced.transform(shown)
    with warnings.catch_warnings():
        # What has not converged is as poor as its figures show.
        warnings.simplefilter("ignore")
        whole, filled = imputer.fit_transform(train), imputer.transform(shown)
    pca = PCA(n_components, random_state=0).fit(whole)
    codes = pca.transform(whole), pca.transform(filled)
    if isinstance(imputer, SimpleImputer):  # the means say nothing of a row, its components do
        filled = np.where(np.isnan(shown), pca.inverse_transform(codes[1]), filled)
    return *codes, filled if reduced is None else reduced.inverse_transform(filled)


class ViewPCA:
    """Principal components of each view, of the rows that have it; NaN for the others."""

    def __init__(self, places):
        self.places = places

    def fit(self, X):
        """Learn the components."""
        self.pcas = [
            PCA(min(REDUCED, len(at)), random_state=0).fit(X[:, at][~np.isnan(X[:, at[0]])])
            for at in self.places.values()
        ]
        return self

    def transform(self, X):
        """Return components, side by side."""
        parts = []
        for pca, at in zip(self.pcas, self.places.values(), strict=True):
            there = ~np.isnan(X[:, at[0]])
            part = np.full((len(X), pca.n_components_), np.nan)
            part[there] = pca.transform(X[:, at][there])
            parts.append(part)
        return np.hstack(parts)

    def inverse_transform(self, X):
        """Return the columns."""
        ends = np.cumsum([pca.n_components_ for pca in self.pcas])[:-1]
        parts = np.split(X, ends, axis=1)
        return np.hstack(
            [pca.inverse_transform(p) for pca, p in zip(self.pcas, parts, strict=True)]
        )


def vae(seed, quick, train, shown, epochs=200):
    """Fit a Gaussian VAE to rows filled by their means, and fill by what it decodes."""
    torch.manual_seed(seed)
    n, width = train.shape[1], 256
    encoder = nn.Sequential(nn.Linear(n, width), nn.GELU(), nn.Linear(width, 2 * COMPONENTS))
    decoder = nn.Sequential(nn.Linear(COMPONENTS, width), nn.GELU(), nn.Linear(width, n))
    log_scale = nn.Parameter(torch.zeros(()))
    weights = [*encoder.parameters(), *decoder.parameters(), log_scale]
    optimizer = torch.optim.Adam(weights, lr=1e-3)
    rows = torch.tensor(np.nan_to_num(train), dtype=torch.float32)
    there = torch.tensor(~np.isnan(train))
    for _ in range(2 if quick else epochs):
        for index in torch.randperm(len(rows)).split(64):
            mean, log_variance = encoder(rows[index]).chunk(2, 1)
            drawn = mean + torch.randn_like(mean) * (log_variance / 2).exp()
            error = (decoder(drawn) - rows[index]) / log_scale.exp()
            nats = torch.where(there[index], error.square() / 2 + log_scale, 0).sum(1)
            divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2
            optimizer.zero_grad()
            (nats + divergence).mean().backward()
            optimizer.step()
    with torch.no_grad():
        new = encoder(torch.tensor(np.nan_to_num(shown), dtype=torch.float32))[:, :COMPONENTS]
        codes, rebuilt = encoder(rows)[:, :COMPONENTS], decoder(new)
    return codes.numpy(), new.numpy(), np.where(np.isnan(shown), rebuilt.numpy(), shown)


# Single cells of one table -------------------------------------------------------------------


def compare_on_cells(name, rate, seed, *, quick):
    """Return what `COLUMNS` names for each model: dict of str to list."""
    load, n_components, is_regression = CELLS[name]
    X, y = load(return_X_y=True)
    train, test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=seed)
    random = np.random.default_rng(seed)
    holed = [np.where(random.random(rows.shape) < rate, np.nan, rows) for rows in (train, test)]
    mean, scale = np.nanmean(holed[0], 0), np.nanstd(holed[0], 0)
    # Pixels are of one unit; the other columns are not.
    scale = np.sqrt((scale**2).mean()) if name == "digits" else scale
    known, gone = (test - mean) / scale, np.isnan(holed[1])
    train, shown = ((rows - mean) / scale for rows in holed)
    models = {
        "ours": partial(
            ours,
            [("table", TabularModality(), slice(0, X.shape[1]))],
            n_components,
            seed,
            quick,
        ),
        **{
            f"{label} + PCA": partial(imputed, imputer, None, n_components=n_components)
            for label, imputer in (
                ("IterativeImputer", iterative(quick)),
                ("KNNImputer", KNNImputer(n_neighbors=10)),
                ("means", SimpleImputer()),
            )
        },
    }
    found = {}
    for label, model in models.items():
        (codes, new, filled), seconds = timed(model, train, shown)
        probe = make_pipeline(
            StandardScaler(),
            RidgeCV(np.logspace(-2, 5, 15)) if is_regression else LogisticRegression(max_iter=3000),
        ).fit(codes, y_train)
        error = (np.asarray(filled) - known)[gone]
        r2 = 1 - (error**2).sum() / (known[gone] ** 2).sum()
        found[label] = [probe.score(new, y_test), r2, np.nan, seconds]
    return found


# Reviews of clothes --------------------------------------------------------------------------


def compare_on_clothing(rate, seed, *, quick):
    """Return what `COLUMNS` names for each model: dict of str to list."""
    frame, rating, train, test = load_clothing()
    random = np.random.default_rng(seed)
    train = random.permutation(train)[: 500 if quick else 3000]
    test = random.permutation(test)[: 200 if quick else 1500]
    frame = frame[[column for part in PARTS.values() for column in part]].astype(
        {"Age": float, "Positive Feedback Count": float}
    )
    frame["Recommended IND"] = frame["Recommended IND"].map({0: "no", 1: "yes"})
    gone = removed((len(frame), len(PARTS)), rate, random)
    holed = frame.copy()
    for (_, at), hole in zip(PARTS.items(), gone.T, strict=True):
        holed.loc[hole, at] = None
    some = holed.iloc[np.concatenate([train, test])].notna().any(axis=1)
    train, test = (at[some.loc[at]] for at in (train, test))
    known, gone = frame.iloc[test], gone[test]
    found = {}
    for name, model in models_of_reviews(seed, quick=quick).items():
        (codes, new, filled), seconds = timed(model, holed.iloc[train], holed.iloc[test])
        ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 5, 15)))
        probe = ridge.fit(codes, rating.iloc[train]).score(new, rating.iloc[test])
        numbers = []
        for column in PARTS["numbers"]:
            hole = gone[:, list(PARTS).index("numbers")]
            true = known.loc[hole, column]
            total = ((true - holed.iloc[train][column].mean()) ** 2).sum()
            numbers.append(1 - ((true - filled.loc[hole, column]) ** 2).sum() / total)
        hits = []
        for column in PARTS["categories"]:
            hole = gone[:, list(PARTS).index("categories")] & known[column].notna().to_numpy()
            hits.append((known.loc[hole, column] == filled.loc[hole, column]).mean())
        found[name] = [probe, np.mean(numbers), np.mean(hits), seconds]
    return found


def models_of_reviews(seed, *, quick):
    """Return the same functions of frames as `models_of_numbers`."""
    kinds = {"title": TextModality, "review": TextModality}
    modalities = [(name, kinds.get(name, TabularModality)(), at) for name, at in PARTS.items()]
    return {
        "ours": partial(ours, modalities, COMPONENTS, seed, quick),
        "IterativeImputer + PCA": partial(imputed_reviews, iterative(quick)),
        "KNNImputer + PCA": partial(imputed_reviews, KNNImputer(n_neighbors=10)),
        "means + PCA": partial(imputed_reviews, SimpleImputer()),
    }


def imputed_reviews(imputer, train, shown):
    """Fit an imputer and PCA to columns made of reviews; fill numbers and categories."""
    parts, places, end = [], {}, 0
    for column in train:
        make = as_components if column in ("Title", "Review Text") else as_columns
        encoder, blocks = make(train[column], shown[column])
        places[column] = encoder, list(range(end, end + blocks[0].shape[1]))
        end += blocks[0].shape[1]
        parts.append(blocks)
    known, new = (np.hstack(blocks) for blocks in zip(*parts, strict=True))
    scaler = StandardScaler().fit(known)
    codes, new, filled = imputed(imputer, None, scaler.transform(known), scaler.transform(new))
    filled = scaler.inverse_transform(filled)
    whole = shown.copy()
    for column in PARTS["numbers"]:
        whole[column] = filled[:, places[column][1][0]]
    for column in PARTS["categories"]:
        encoder, at = places[column]
        whole[column] = encoder.categories_[0][filled[:, at].argmax(1)]
    return codes, new, whole


def as_components(known, new):
    """Return components of the words of training and test texts, NaN where there is none."""
    words = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, min_df=2), TruncatedSVD(30, random_state=0)
    ).fit(known.dropna())
    blocks = []
    for texts in (known, new):
        block = np.full((len(texts), 30), np.nan)
        block[texts.notna()] = words.transform(texts.dropna())
        blocks.append(block)
    return words, blocks


def as_columns(known, new):
    """Return numbers as they are, and categories as indicators, NaN where there is none."""
    if known.dtype.kind == "f":
        return None, [column.to_numpy()[:, None] for column in (known, new)]
    encoder = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    encoder.fit(known.dropna().to_frame())
    blocks = []
    for column in (known, new):
        block = np.full((len(column), len(encoder.categories_[0])), np.nan)
        block[column.notna()] = encoder.transform(column.dropna().to_frame())
        blocks.append(block)
    return encoder, blocks


if __name__ == "__main__":
    main()
