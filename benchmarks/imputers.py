"""Are single cells of tables filled as well as by the best of the others?"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sklearn_mmae import MultimodalAutoencoder, MultimodalImputer, TabularModality, TextModality

from ._table import Table, arguments, timed
from .shared_data import available, load_clothing, load_imputation

RATES = (0.1, 0.3, 0.5)
SPLITS = 3
OF_REVIEWS = 0.2  # of the cells of the mixed table
NUMBERS = ["Age", "Positive Feedback Count", "Rating"]
CATEGORIES = ["Recommended IND", "Division Name", "Department Name", "Class Name"]
TEXTS = ["Title", "Review Text"]
RIVALS = ("mean", "EM, ridge 1", "EM, ridge 10", "KNN", "Ridge", "trees", "boosting")
COLUMNS = ("data", "removed", "ours", *RIVALS, "ours - best", "standard error", "stands", "seconds")
NOTES = (
    "Cells removed at random from training rows and the quarter of test rows alike,"
    f" {SPLITS} splits; R2 of the removed test cells of standardised columns (digits: of one"
    " scale), 1 - SSE / SST about 0.",
    "*ours*: `MultimodalImputer()`. *EM*: a multivariate normal by expectation and maximisation,"
    " with so many rows of prior. *KNN*: KNNImputer(10). *Ridge*: IterativeImputer(Ridge(10)), 20"
    " rounds, within the range of the training cells, without which it diverges. *trees*:"
    " IterativeImputer(ExtraTrees of 50, 3 rows to a leaf), 5 rounds, as missForest.",
    f"*clothing*: 3,000 training and 1,500 test reviews, {OF_REVIEWS:.0%} of the cells of seven"
    " columns removed; numbers by R2, categories by the share that is found. *ours*: the default"
    " estimator without epochs. *boosting*: HistGradientBoosting for each column, of the six others"
    " and 30 components of TF-IDF of each text. *mean*: of categories, the most frequent one.",
    "*standard error*: of the best rival over splits. *stands*: first, within that error of the"
    " best, or behind.",
)


def main():
    """Print the table."""
    options = arguments(__doc__)
    table = Table("imputers", "Imputers", COLUMNS, quick=options.quick, notes=NOTES)
    seeds = range(1 if options.quick else SPLITS)
    data = {
        name: load(return_X_y=True)[0]
        for name, load in (
            ("wine (13)", load_wine),
            ("diabetes", load_diabetes),
            ("breast cancer", load_breast_cancer),
            ("digits", load_digits),
        )
    }
    if available("uci_imputation"):
        data |= load_imputation()
    else:
        table.absent("uci_imputation")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what has not converged is as poor as its figures show
        for name, X in list(data.items())[:: 9 if options.quick else 1]:
            for rate in RATES[1:2] if options.quick else RATES:
                splits = [compare(X, rate, seed, of_one_unit=name == "digits") for seed in seeds]
                add(table, name, f"{rate:.0%}", splits)
        if available("women_clothing_reviews"):
            splits = [compare_on_clothing(seed, quick=options.quick) for seed in seeds]
            for column in NUMBERS + CATEGORIES:
                add(table, "clothing", column, [split[column] for split in splits])
        else:
            table.absent("clothing")
    standing = [row[-2] for row in table.rows[1:] if row[-2] != "-"]
    print({name: standing.count(name) for name in ("first", "within", "behind")})
    table.show()


def add(table, name, removed, splits):
    """Add a row of what `compare` found in each split."""
    scores = pd.DataFrame(splits)
    means = scores.mean()
    rivals = [rival for rival in RIVALS if rival in scores]
    best = means[rivals].idxmax()
    ahead, error = means["ours"] - means[best], scores[best].sem() if len(scores) > 1 else 0.0
    stands = "first" if ahead >= 0 else "within" if ahead >= -error else "behind"
    figures = [float(means[rival]) if rival in means else None for rival in ("ours", *RIVALS)]
    table.add(
        name, removed, *figures, float(ahead), float(error), stands, f"{means['seconds']:.1f}"
    )


# Tables of numbers ---------------------------------------------------------------------------


def compare(X, rate, seed, *, of_one_unit):
    """Return the score of each imputer, and our seconds: dict of str to float."""
    train, test = train_test_split(X, test_size=0.25, random_state=seed)
    random = np.random.default_rng(seed)
    holed = [np.where(random.random(rows.shape) < rate, np.nan, rows) for rows in (train, test)]
    mean, scale = np.nanmean(holed[0], 0), np.nanstd(holed[0], 0)
    scale = np.sqrt((scale**2).mean()) if of_one_unit else np.where(scale > 0, scale, 1)
    known, gone = (test - mean) / scale, np.isnan(holed[1])
    train, shown = ((rows - mean) / scale for rows in holed)
    found = {}
    for name, fill in imputers().items():
        filled, found["seconds"] = timed(fill, train, shown)
        error = (np.asarray(filled) - known)[gone]
        found[name] = 1 - (error**2).sum() / (known[gone] ** 2).sum()
    return found


def imputers():
    """Return functions of training and test rows that fill the latter; ours is the last."""
    return {
        "mean": lambda _, shown: np.nan_to_num(shown),
        "EM, ridge 1": lambda train, shown: of_normal(train, shown, 1),
        "EM, ridge 10": lambda train, shown: of_normal(train, shown, 10),
        "KNN": fills(KNNImputer(n_neighbors=10, keep_empty_features=True)),
        "Ridge": of_ridge,
        "trees": fills(iterative(ExtraTreesRegressor(50, min_samples_leaf=3, random_state=0), 5)),
        "ours": fills(MultimodalImputer()),
    }


def fills(imputer):
    """Return a function that fits an imputer."""
    return lambda train, shown: imputer.fit(train).transform(shown)


def iterative(estimator, rounds, **options):
    """Return an IterativeImputer."""
    return IterativeImputer(
        estimator,
        max_iter=rounds,
        random_state=0,
        keep_empty_features=True,
        **options,
    )


def of_ridge(train, shown):
    """Fill by ridge regressions, within the range of each column."""
    ends = {"min_value": np.nanmin(train, 0) - 1e-9, "max_value": np.nanmax(train, 0) + 1e-9}
    return fills(iterative(Ridge(10), 20, **ends))(train, shown)


def of_normal(train, shown, ridge, rounds=50):
    """Fill by a multivariate normal, fitted by expectation and maximisation."""
    n, d = train.shape
    mean, covariance = np.zeros(d), np.diag(np.nanvar(train, 0) + 1e-6)
    for _ in range(rounds):
        filled, unseen = expected(train, mean, covariance)
        before, mean = covariance, filled.mean(0)
        centred = filled - mean
        covariance = (centred.T @ centred + unseen + ridge * np.eye(d)) / (n + ridge)
        if np.abs(covariance - before).max() < 1e-4:
            break
    return expected(shown, mean, covariance)[0]


def expected(rows, mean, covariance):
    """Return rows with holes at their conditional means, and the summed covariances of these."""
    filled, unseen = rows.copy(), np.zeros_like(covariance)
    for i, row in enumerate(rows):
        hole = np.isnan(row)
        if hole.any():
            seen = ~hole
            gain = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[np.ix_(seen, hole)])
            filled[i, hole] = mean[hole] + (row - mean)[seen] @ gain
            unseen[np.ix_(hole, hole)] += (
                covariance[np.ix_(hole, hole)] - covariance[np.ix_(hole, seen)] @ gain
            )
    return filled, unseen


# A table with texts --------------------------------------------------------------------------


def compare_on_clothing(seed, *, quick):
    """Return what `compare` does, for each column."""
    frame, rating, train, test = load_clothing()
    frame = frame.assign(Rating=rating)[TEXTS + NUMBERS + CATEGORIES]
    frame = frame.astype(dict.fromkeys(NUMBERS, float))
    frame["Recommended IND"] = frame["Recommended IND"].map({0: "no", 1: "yes"})
    random = np.random.default_rng(seed)
    train = random.permutation(train)[: 300 if quick else 3000]
    test = random.permutation(test)[: 100 if quick else 1500]
    holed = frame.copy()
    for column in NUMBERS + CATEGORIES:
        holed.loc[random.random(len(frame)) < OF_REVIEWS, column] = None
    kept, shown, truth = holed.iloc[train], holed.iloc[test], frame.iloc[test]
    mmae = MultimodalAutoencoder(
        [
            *((text, TextModality(), [text]) for text in TEXTS),
            ("table", TabularModality(), NUMBERS + CATEGORIES),
        ],
        max_epochs=0,
        random_state=0,
    )
    filled, seconds = timed(lambda: mmae.fit(kept).impute(shown))
    inputs = reduced(kept, shown)
    found = {}
    for column in NUMBERS + CATEGORIES:
        hole = (shown[column].isna() & truth[column].notna()).to_numpy()
        seen = kept[column].notna().to_numpy()
        known, usual = kept[column][seen], kept[column].mode()[0]
        usual = known.mean() if column in NUMBERS else usual
        boosted = boost(*(part.drop(columns=column) for part in inputs), known, seen, hole)
        answers = {"ours": filled[column][hole], "mean": usual, "boosting": boosted}
        true = truth[column][hole].to_numpy()
        found[column] = {"seconds": seconds} | {
            name: 1 - ((true - np.asarray(answer)) ** 2).sum() / ((true - usual) ** 2).sum()
            if column in NUMBERS
            else (true == np.asarray(answer)).mean()
            for name, answer in answers.items()
        }
    return found


def reduced(train, test):
    """Return training and test rows as boosting reads them."""
    parts = []
    for rows in (train, test):
        categories = {
            c: pd.CategoricalDtype(sorted(train[c].dropna().unique())) for c in CATEGORIES
        }
        parts.append([rows[NUMBERS + CATEGORIES].astype(categories).reset_index(drop=True)])
    for text in TEXTS:
        words = TfidfVectorizer(sublinear_tf=True, min_df=2, stop_words="english")
        reduce = make_pipeline(words, TruncatedSVD(30, random_state=0))
        reduce.fit(train[text].fillna(""))
        for part, rows in zip(parts, (train, test), strict=True):
            components = reduce.transform(rows[text].fillna(""))
            part.append(pd.DataFrame(components).add_prefix(f"{text} "))
    return [pd.concat(part, axis=1) for part in parts]


def boost(train, test, known, seen, hole):
    """Return what boosting predicts in the holes of a column."""
    is_number = known.name in NUMBERS
    kind = HistGradientBoostingRegressor if is_number else HistGradientBoostingClassifier
    model = kind(learning_rate=0.05, early_stopping=True, random_state=0)
    return model.fit(train[seen], known).predict(test[hole])


if __name__ == "__main__":
    main()
