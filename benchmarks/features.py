"""Are codes worth more than principal components of equal blocks?

    python -m benchmarks.features --against FOLDER
    python -m benchmarks.features --methods "equal blocks" --data clothing --components 16

No code has seen the target. What is measured is kept in results/features.jsonl.
"""

from __future__ import annotations

from functools import partial
from operator import methodcaller

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from sklearn_mmae import MultimodalAutoencoder

from . import _rows
from ._sides import NO_SIDE, Jobs, cpu_seconds, options_of, sides, table_of
from ._table import RESULTS
from .shared_data import available
from .tables_with_text import TEXTS, as_numbers, by_kind, regressors

SETS = {
    "salaries": (_rows.salaries, 3, "employee_salaries"),
    "clothing": (partial(_rows.clothing, recommended=False), 1, "women_clothing_reviews"),
    "clothing with Recommended IND": (_rows.clothing, 1, "women_clothing_reviews"),
}
DEFAULT_SETS = ["salaries", "clothing"]
COMPONENTS = [16, 64]
BLOCKS, VARIANCE = "equal blocks", "equal variance, 100 columns a text"
START, OURS = "ours, linear start", "ours"
METHODS = [BLOCKS, VARIANCE, START, OURS]
COLUMNS = ("data", "components", "method", "package", "ridge", "boosting", "above", "CPU s")
NOTES = (
    "R2 of the target (salary; rating) on test rows, from codes that have not seen it: RidgeCV on"
    " standardised codes, and HistGradientBoostingRegressor. *above*: by how much the lesser of the"
    " two differences to *equal blocks* is above zero; it should be everywhere. *CPU s*: of"
    " embedding the training rows.",
    "*equal blocks*: each text by TfidfVectorizer(sublinear_tf=True, min_df=2); the other columns"
    " as standardised numbers and plain indicators; each block centred and divided by its first"
    " singular value, then principal components (multiple factor analysis). *equal variance*: each"
    " text reduced to 100 columns by TruncatedSVD, each block divided by the root of its total"
    " variance. *linear start*: max_epochs=0.",
    "salaries: mean of 3 folds; clothing: the split of Shi et al. (2021) without the column"
    " Recommended IND, unless it is named.",
)


def main():
    """Print the table."""
    options = options_of(__doc__, *ARGUMENTS)
    table = table_of("features", "Features", COLUMNS, options, NOTES)
    jobs = Jobs("features", options, RESULTS / "features.jsonl")
    for data in options.data:
        if not available(SETS[data][2]):
            table.absent(data)
            continue
        for k in [4] if options.quick else options.components:
            compare(table, jobs, data, k, options)
    table.show()


ARGUMENTS = (
    ("--data", {"nargs": "+", "choices": SETS, "default": DEFAULT_SETS}),
    ("--components", {"nargs": "+", "type": int, "default": COMPONENTS}),
    ("--methods", {"nargs": "+", "choices": METHODS, "default": METHODS}),
    ("--rows", {"type": int, "help": "draw as many training rows; all, unless given"}),
    ("--epochs", {"type": int, "help": "max_epochs of ours; its default, unless given"}),
)


def compare(table, jobs, data, k, options):
    """Add the row of each method, and of ours for each side."""
    folds = range(1 if options.quick else SETS[data][1])
    baseline = None
    for method in options.methods:
        for side in sides(options) if method in (START, OURS) else [NO_SIDE]:
            found = [
                jobs.run(
                    side,
                    **{"data": data, "fold": fold, "k": k, "method": method},
                    rows=600 if options.quick else options.rows,
                    test_rows=600 if options.quick else None,
                    epochs=2 if options.quick else options.epochs,
                )
                for fold in folds
            ]
            ridge, boosting, seconds = (
                float(np.mean([measured[name] for measured in found]))
                for name in ("ridge", "boosting", "seconds")
            )
            if method == BLOCKS:
                baseline = ridge, boosting
            above = baseline and min(ridge - baseline[0], boosting - baseline[1])
            shown = None if method == BLOCKS else above
            table.add(data, k, method, side.name, ridge, boosting, shown, f"{seconds:.1f}")


def measure(data, fold, k, method, rows, test_rows, epochs):
    """Embed one fold, and return what the codes are worth."""
    rows = _rows.some_rows(SETS[data][0](fold), rows, test_rows, seed=0)
    embedding = make(method, rows.train, TEXTS[data.split()[0]], k, epochs)
    codes, seconds = cpu_seconds(embedding.fit_transform, rows.train)
    new = embedding.transform(rows.test)
    ridge, boosting = (
        float(model.fit(codes, rows.y_train).score(new, rows.y_test)) for model in regressors()
    )
    return {"ridge": ridge, "boosting": boosting, "seconds": seconds}


def make(method, frame, texts, k, epochs):
    """Return the embedding of a method, not fitted."""
    if method == BLOCKS:
        return blocks(frame, texts, words, Divided("first"), k)
    if method == VARIANCE:
        return blocks(frame, texts, words_reduced, Divided("total"), k)
    epochs = 0 if method == START else epochs
    settings = {} if epochs is None else {"max_epochs": epochs}
    return MultimodalAutoencoder(n_components=k, random_state=0, **settings)


def blocks(frame, texts, words, divided, k):
    """Return principal components of a table and of texts, each block divided by its size."""
    parts = [("table", make_pipeline(columns(frame, texts), divided), list(frame))]
    parts += [(text, make_pipeline(words(), divided), text) for text in texts]
    return make_pipeline(ColumnTransformer(parts, sparse_threshold=1), components(k))


def words():
    """Return what turns texts into TF-IDF, sparse."""
    filled = FunctionTransformer(methodcaller("fillna", ""))
    return make_pipeline(filled, TfidfVectorizer(sublinear_tf=True, min_df=2))


def words_reduced():
    """Return what turns texts into 100 columns."""
    return make_pipeline(words(), TruncatedSVD(100, random_state=0))


def columns(frame, texts):
    """Return what turns all other columns into standardised numbers and plain indicators."""
    numbers, dates, categories = by_kind(frame, texts)
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            ("dates", make_pipeline(as_numbers(), SimpleImputer(), StandardScaler()), dates),
            ("categories", OneHotEncoder(handle_unknown="ignore"), categories),
        ],
        sparse_threshold=1,
    )


def components(k):
    """Return principal components of a sparse block, which is centred without being filled."""
    return PCA(k, svd_solver="arpack", random_state=0)


class Divided(TransformerMixin, BaseEstimator):
    """Divides a block by its first singular value or by the root of its total variance.

    Both are of the centred block; the first is multiple factor analysis as published.
    """

    def __init__(self, by):
        self.by = by

    def fit(self, X, y=None):
        """Find the size of the block."""
        if self.by == "first":
            self.size_ = components(1).fit(X).singular_values_[0]
        else:
            self.size_ = np.sqrt(StandardScaler(with_mean=False).fit(X).var_.sum())
        return self

    def transform(self, X):
        """Divide by it."""
        return X / self.size_


if __name__ == "__main__":
    main()
