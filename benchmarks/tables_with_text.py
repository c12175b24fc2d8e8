"""Is a code of a table with text a better input for regressors than the usual 64 components?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from sklearn_mmae import MultimodalAutoencoder

from ._table import Table, arguments, timed
from .shared_data import available, load_clothing, load_salaries

COMPONENTS = 64
COLUMNS = (
    "data",
    "embedding",
    "columns",
    "ridge R2",
    "boosting R2",
    "worst ridge R2",
    "seconds to embed",
)
TEXTS = {
    "clothing": ["Title", "Review Text"],
    "salaries": ["division", "employee_position_title"],
}
NOTES = (
    f"R2 of the target (rating; salary) on held-out rows, by RidgeCV on standardised inputs and"
    f" by HistGradientBoostingRegressor, each behind an embedding of {COMPONENTS} columns that"
    " never saw the target. The rows *all columns* are the same features without PCA, for"
    " reference.",
    "*ColumnTransformer*: per text TfidfVectorizer(sublinear_tf=True, min_df=2) and"
    " TruncatedSVD(100), one-hot categories (min_frequency=10), imputed and scaled numbers and"
    " dates. *skrub*: what `tabular_pipeline(Ridge())` puts before its regressor. *scaled*: each"
    " of its columns standardised before PCA. Dates of hire are parsed for all.",
    "clothing: the split of Shi et al. (2021), one seed; salaries: 3 folds.",
)


def main():
    """Print the table."""
    options = arguments(__doc__)
    table = Table("tables_with_text", "Tables with text", COLUMNS, quick=options.quick, notes=NOTES)
    if available("women_clothing_reviews"):
        frame, rating, train, test = load_clothing()
        splits = [(train, test)]
        compare(table, "clothing", frame, rating, splits, options)
        name = "clothing without Recommended IND"
        fewer = frame.drop(columns="Recommended IND")
        compare(table, name, fewer, rating, splits, options)
    else:
        table.absent("clothing")
    if available("employee_salaries"):
        frame, salary = load_salaries()
        frame["date_first_hired"] = pd.to_datetime(frame["date_first_hired"], format="%m/%d/%Y")
        splits = list(KFold(3, shuffle=True, random_state=0).split(frame))
        compare(table, "salaries", frame, salary, splits, options)
    else:
        table.absent("salaries")
    table.show()


def compare(table, name, frame, target, splits, options):
    """Add a row for each embedding of one data set."""
    if options.quick:
        splits = [(train[:600], test[:200]) for train, test in splits[:1]]
    texts = TEXTS[name.split()[0]]
    for title, make in embeddings(frame, texts, quick=options.quick).items():
        measured = []
        for seed, (train, test) in enumerate(splits):
            embedding = make(seed)
            known, seconds = timed(embedding.fit_transform, frame.iloc[train])
            new = embedding.transform(frame.iloc[test])
            measured.append(
                [
                    *(
                        model.fit(known, target.iloc[train]).score(new, target.iloc[test])
                        for model in regressors()
                    ),
                    seconds,
                ]
            )
        ridge, boosting, seconds = np.mean(measured, 0)
        worst = min(row[0] for row in measured)
        table.add(
            name, title, known.shape[1], float(ridge), float(boosting), worst, f"{seconds:.1f}"
        )


def regressors():
    """Return what stands behind every embedding."""
    ridge = make_pipeline(scaled(), RidgeCV(alphas=np.logspace(-2, 5, 15)))
    return ridge, HistGradientBoostingRegressor(random_state=0)


def scaled():
    """Return what standardises columns; those that are zero but for rounding would explode."""
    return make_pipeline(VarianceThreshold(1e-12), StandardScaler())


def embeddings(frame, texts, *, quick):
    """Return, by name, functions of a seed that make the embeddings."""
    parts = {"ColumnTransformer": lambda: columns_by_hand(frame, texts)}
    try:
        from skrub import tabular_pipeline
    except ImportError:
        pass  # the header says that skrub is absent
    else:
        parts["skrub"] = lambda: tabular_pipeline(Ridge())[:-1]

    found = {"ours": lambda seed: ours(seed, quick)}
    for name, make in parts.items():
        found[f"{name} + PCA"] = lambda seed, make=make: Pipeline(
            [("features", make()), ("pca", PCA(COMPONENTS, random_state=seed))]
        )
        found[f"{name}, scaled + PCA"] = lambda seed, make=make: Pipeline(
            [
                ("features", make()),
                ("scale", scaled()),
                ("pca", PCA(COMPONENTS, random_state=seed)),
            ]
        )
        found[f"{name}, all columns"] = lambda seed, make=make: make()
    return found


def ours(seed, quick):
    """Return the default estimator."""
    settings = {"max_epochs": 2} if quick else {}
    return MultimodalAutoencoder(n_components=COMPONENTS, random_state=seed, **settings)


def by_kind(frame, texts):
    """Return the names of numbers, dates and categories: the columns that are no texts."""
    numbers = frame.select_dtypes("number").columns.tolist()
    dates = frame.select_dtypes("datetime").columns.tolist()
    return numbers, dates, [c for c in frame if c not in [*texts, *numbers, *dates]]


def columns_by_hand(frame, texts):
    """Return what a user of scikit-learn alone would write."""
    numbers, dates, categories = by_kind(frame, texts)
    return ColumnTransformer(
        [
            *((text, words(), [text]) for text in texts),
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            ("dates", make_pipeline(as_numbers(), SimpleImputer(), StandardScaler()), dates),
            (
                "categories",
                OneHotEncoder(
                    min_frequency=10, handle_unknown="infrequent_if_exist", sparse_output=False
                ),
                categories,
            ),
        ]
    )


def words():
    """Return the components of a text's words."""
    return make_pipeline(
        FunctionTransformer(_first_column),
        TfidfVectorizer(sublinear_tf=True, min_df=2),
        TruncatedSVD(100, random_state=0),
    )


def as_numbers():
    """Return what turns dates into days since 1970."""
    return FunctionTransformer(_days)


def _first_column(frame):
    return frame.iloc[:, 0].fillna("")


def _days(frame):
    epoch = pd.Timestamp(0)
    return frame.apply(lambda dates: (dates - epoch) / pd.Timedelta(days=1))


if __name__ == "__main__":
    main()
