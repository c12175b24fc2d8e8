"""What does a newcomer's first hour bring: three jobs by defaults, and how long do they take?"""

from __future__ import annotations

import warnings
from time import perf_counter

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmae import MultimodalAutoencoder, MultimodalImputer

from ._sides import cpu_seconds
from ._table import Table, arguments
from .shared_data import available, load_clothing, load_emoji

COLUMNS = ("job", "result", "ours", "the simple way", "CPU s", "seconds to the first result")
SHARE = 0.2  # of cells removed
NUMBERS = ["Age", "Positive Feedback Count", "Recommended IND"]
CATEGORIES = ["Division Name", "Department Name", "Class Name"]
NOTES = (
    "All by defaults, one split. *reviews*: the rating of clothes, R2 on 4,698 reviews, from"
    " embeddings of 18,788; the simple way is their mean rating. *table*: a fifth of the cells of"
    " 3,000 reviews removed; numbers by their error in standard deviations (the simple way: mean),"
    " categories by the share that comes back (the most frequent). *emoji*: of 330 words and"
    " images, the share found among the first ten (by chance).",
    "*seconds to the first result*: wall time of fit and of the first answer, on this machine,"
    " whatever else it does. All warnings of a job stand below.",
)


def main():
    """Print the table, and what was said."""
    options = arguments(__doc__)
    table = Table("first_hour", "The first hour", COLUMNS, quick=options.quick, notes=NOTES)
    for name, folder, job in (
        ("reviews", "women_clothing_reviews", rate_reviews),
        ("table", "women_clothing_reviews", fill_table),
        ("emoji", "noto_emoji", search_emoji),
    ):
        if not available(folder):
            table.absent(name)
            continue
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            for row in job(options.quick):
                table.add(name, *row)
        table.notes += tuple(f"*{name}* said: {warning.message}" for warning in said) or (
            f"*{name}* said nothing.",
        )
    table.show()


def rate_reviews(quick):
    """Return what a regression makes of the embeddings of reviews."""
    frame, rating, train, test = load_clothing()
    train = train[:500] if quick else train
    start = perf_counter()
    mmae = MultimodalAutoencoder(random_state=0)
    codes, seconds = cpu_seconds(mmae.fit_transform, frame.iloc[train])
    new = mmae.transform(frame.iloc[test])
    wall = perf_counter() - start
    found = []
    for name, model in {
        "ridge, R2": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 5, 17))),
        "boosting, R2": HistGradientBoostingRegressor(random_state=0),
    }.items():
        score = model.fit(codes, rating.iloc[train]).score(new, rating.iloc[test])
        found.append((name, float(score), 0.0, seconds, wall))
    return found


def fill_table(quick):
    """Return how right the cells of a table come back."""
    whole = load_clothing()[0][NUMBERS + CATEGORIES].dropna().sample(3000, random_state=0)
    whole = whole[:300] if quick else whole
    lost = np.random.default_rng(0).random(whole.shape) < SHARE
    gaps = whole.mask(lost)
    start = perf_counter()
    filled, seconds = cpu_seconds(MultimodalImputer().fit_transform, gaps)
    wall = perf_counter() - start
    found = []
    for place, name in enumerate(whole):
        hidden, true = lost[:, place], whole[name][lost[:, place]]
        if name in NUMBERS:
            unit, mean = whole[name].std(), gaps[name].mean()
            ours = (((filled[name][hidden] - true) / unit) ** 2).mean() ** 0.5
            simple = (((mean - true) / unit) ** 2).mean() ** 0.5
        else:
            ours, simple = (
                (some == true).mean() for some in (filled[name][hidden], gaps[name].mode()[0])
            )
        found.append((name, float(ours), float(simple), seconds, wall))
    return found


def search_emoji(quick):
    """Return how often an image is found by its words, and words by their image."""
    frame, train, test = load_emoji()
    train = train[:150] if quick else train
    rows = frame.iloc[test].reset_index(drop=True)
    words = [name for name in frame if name != "picture"]
    start = perf_counter()
    mmae = MultimodalAutoencoder(n_components=64, random_state=0)
    _, seconds = cpu_seconds(mmae.fit, frame.iloc[train])
    by_words = mmae.search(rows[words], among=rows, to="picture", n=10)
    wall = perf_counter() - start
    by_image = mmae.search(rows[["picture"]], among=rows[words], to=words, n=10)
    found = []
    for name, best in {"image by words": by_words, "words by image": by_image}.items():
        hit = (best.rows == np.arange(len(rows))[:, None]).any(1).mean()
        found.append((name, float(hit), 10 / len(rows), seconds, wall))
    return found


if __name__ == "__main__":
    main()
