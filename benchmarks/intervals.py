"""Do the intervals hold the share of the truth that they say, and do probabilities come true?"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.model_selection import train_test_split

from sklearn_mmae import MultimodalAutoencoder
from sklearn_mmae._core.later import Later
from sklearn_mmae.metrics import worst_slab_coverage
from sklearn_mmae.model import _cell_calibration
from sklearn_mmae.training import _calibration, _spread

from ._table import Table, arguments
from .never_below_linear import side_by_side
from .shared_data import (
    available,
    load_clothing,
    load_halves,
    load_mfeat,
    load_nutrimouse,
    load_salaries,
)
from .translation import table_of

LEVELS = (0.8, 0.9, 0.95)
COLUMNS = (
    *("data", "modalities", "seen of them", "cells"),
    *(f"coverage at {level}" for level in LEVELS),
    *("worst split at 0.9", "worst slab at 0.9", "width at 0.9", "width at 0.95"),
    *("constant width at 0.9", "its coverage", "its worst slab", "narrower"),
)
OF_CATEGORIES = (
    *("data", "column", "categories", "ECE", "as learned", "accuracy"),
    *(f"{what} at {level}" for level in LEVELS[1:] for what in ("in the set", "size")),
)
HOLES = 0.3
SPLITS_OF_CATEGORIES = 3
BINS = 15
NOTES = (
    "Numbers: share of the cells of held-out rows inside their interval, mean over splits. *half*:"
    " each row has a random half of its modalities, the others are hidden: *seen* are the cells of"
    f" the modalities left, *not seen* the others. *holes*: {HOLES:.0%} of all cells hidden at"
    " random. *worst slab*: of the rows between two planes among the codes, a fifth of all, found"
    " on one half of the test rows and counted on the other. Width: mean over cells, in standard"
    " deviations of the column. *constant width*: the same models, rows that calibrate and groups,"
    " but one width for all rows of a group, that ends nowhere. Components: a third of the columns,"
    " 16 for digits, 32 for mfeat (its views"
    " fou, kar, zer and mor). wine, breast cancer, diabetes, nutrimouse: 5 splits, a quarter of the"
    " rows held out; digits: 2; mfeat: 1.",
    f"Categories: expected calibration error of the most likely category in {BINS} bins of equal"
    " width (Guo et al. 2017), each column hidden in turn in all test rows; *as learned*:"
    " the same model's own probabilities; *seen*: no column hidden, reconstructions. 4,000 rows"
    f" to learn from, {SPLITS_OF_CATEGORIES} splits. *in the set*: share of the truth in"
    " `category_sets`, and how many categories these have.",
)


def main():
    """Print the two tables."""
    options = arguments(__doc__)
    numbers(options.quick)
    categories(options.quick)


def numbers(quick):
    """Print the table of intervals."""
    table = Table("intervals", "Intervals of numbers", COLUMNS, quick=quick, notes=NOTES[:1])
    for name, (views, k, n_splits, test_size) in numeric_sets(table).items():
        add_numbers(table, name, views, k, n_splits, test_size, quick)
    table.show()


def categories(quick):
    """Print the table of probabilities."""
    title = "Probabilities of categories"
    table = Table("intervals_categories", title, OF_CATEGORIES, quick=quick, notes=NOTES[1:])
    for name, frame in categorical_sets(table).items():
        add_categories(table, name, frame, quick)
    table.show()


def numeric_sets(table):
    """Return views, components, number of splits and of test rows by name."""
    wine, cancer, diabetes = load_wine().data, load_breast_cancer().data, load_diabetes().data
    left, right, _ = load_halves()
    sets = {
        "wine": (cut(wine, 4, 7, 10), 4, 5, 0.25),
        "breast cancer": (cut(cancer, 5, 10, 15, 20, 25), 10, 5, 0.25),
        "diabetes": (cut(diabetes, 4), 3, 5, 0.25),
        "digits halves": ({"left": left, "right": right}, 16, 2, 540),
    }
    if available("uci_mfeat"):
        views, _ = load_mfeat()
        sets["mfeat"] = {v: views[v] for v in ("fou", "kar", "zer", "mor")}, 32, 1, 500
    else:
        table.absent("mfeat")
    if available("nutrimouse"):
        gene, lipid, *_ = load_nutrimouse()
        sets["nutrimouse"] = {"gene": gene.to_numpy(), "lipid": lipid.to_numpy()}, 8, 5, 0.25
    else:
        table.absent("nutrimouse")
    return sets


def cut(X, *places):
    """Return the columns in runs."""
    return {f"part {i}": part for i, part in enumerate(np.split(X, places, axis=1))}


def add_numbers(table, name, views, k, n_splits, test_size, quick):
    """Add the rows of one data set."""
    X, places = side_by_side(views)
    found = {}
    for seed in range(1 if quick else n_splits):
        train, test = train_test_split(X, test_size=test_size, random_state=seed)
        settings = {"max_epochs": 2} if quick else {}
        mmae = MultimodalAutoencoder(table_of(places), k, random_state=seed, **settings)
        mmae.fit(train)
        deviation = np.maximum(train.std(0), 1e-9)
        known = {
            key: (test, *of_key, deviation, train.std(0) > 0)
            for key, of_key in shown_rows(test, places, seed).items()
        }
        with constant_width(mmae):
            constant = {key: measure(mmae, *of_key) for key, of_key in known.items()}
        for key, of_key in known.items():
            found.setdefault(key, []).append((measure(mmae, *of_key), constant[key]))
    for (seen, cells), measured in found.items():
        fitting, constant = np.array(measured).swapaxes(0, 1)
        mean, of_constant = fitting.mean(0).tolist(), constant.mean(0).tolist()
        worst = max(fitting[:, 1].tolist(), key=lambda coverage: abs(coverage - 0.9))
        # Of few test rows no slab has any in the other half.
        slab, other = (_mean(some[:, 3]) for some in (fitting, constant))
        narrower = f"{1 - mean[4] / of_constant[4]:.0%}"
        table.add(
            *(name, len(views), seen, cells, *mean[:3], worst, slab, *mean[4:]),
            *(of_constant[4], of_constant[1], other, narrower),
        )


def _mean(values):
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


@contextmanager
def constant_width(mmae):
    """Let intervals of a group have one width, and end nowhere."""
    model = mmae._model
    fitting, cells = model.calibration, model.cells
    constant = {"learn_shape": constant_shape, "bounds": no_bounds}
    with patch.multiple(_calibration, **constant), patch.multiple(_cell_calibration, **constant):
        model.calibration = Later.known(fitting._learn())
        if cells is not None:
            model.cells = cells._replace(groups=Later.known(cells.groups._learn()))
    yield
    model.calibration, model.cells = fitting, cells


def constant_shape(cells, *_):
    """Return a spread of 1 everywhere."""
    knots = np.zeros((cells.errors.shape[1], _spread.KNOTS))
    return _spread.Shape(knots, np.ones_like(knots), np.zeros(2)), np.ones(cells.errors.shape)


def no_bounds(values, statistics):
    """Return that columns end nowhere."""
    ends = np.full((2, values.shape[1]), np.inf, np.float32)
    return -ends[0], ends[1]


def shown_rows(test, places, seed):
    """Return rows as they are shown and which of their cells to look at, by what to call them."""
    rng = np.random.default_rng(seed)
    names = list(places)
    absent = np.zeros(test.shape, bool)
    order = rng.random((len(test), len(names))).argsort(1)
    for m, name in enumerate(names):
        absent[:, places[name]] = (order[:, m] < len(names) // 2)[:, None]
    holes = rng.random(test.shape) < HOLES
    half, holey = np.where(absent, np.nan, test), np.where(holes, np.nan, test)
    everything = np.ones(test.shape, bool)
    return {
        ("all", "seen"): (test, everything),
        ("half", "all"): (half, everything),
        ("half", "seen"): (half, ~absent),
        ("half", "not seen"): (half, absent),
        ("holes", "seen"): (holey, ~holes),
        ("holes", "not seen"): (holey, holes),
    }


def measure(mmae, truth, shown, which, deviation, varies):
    """Return the coverage at each level, of the worst slab, and mean widths at the last two."""
    which = which & varies
    coverage, width = [], []
    for level in LEVELS:
        low, high = mmae.predict_interval(shown, level)
        coverage.append(((low <= truth) & (truth <= high))[which].mean())
        width.append(((high - low) / deviation)[which].mean())
        if level == 0.9:
            known = np.where(which, truth, np.nan)
            slab = worst_slab_coverage(known, low, high, mmae.transform(shown))
    return [*coverage, slab, *width[1:]]


def categorical_sets(table):
    """Return frames by name."""
    sets = {}
    if available("employee_salaries"):
        frame, _ = load_salaries()
        frame["date_first_hired"] = pd.to_datetime(frame["date_first_hired"], format="%m/%d/%Y")
        sets["salaries"] = frame.drop(columns="department")  # the same as department_name
    else:
        table.absent("salaries")
    if available("women_clothing_reviews"):
        frame, *_ = load_clothing()
        frame["Recommended IND"] = frame["Recommended IND"].astype(bool)
        sets["clothing"] = frame.drop(columns="Clothing ID")
    else:
        table.absent("clothing")
    return sets


def add_categories(table, name, frame, quick):
    """Add a row for each categorical column of one data set."""
    n = 600 if quick else 4000
    settings = {"max_epochs": 2} if quick else {}
    found, sizes = defaultdict(list), {}
    for seed in range(1 if quick else SPLITS_OF_CATEGORIES):
        train, test = train_test_split(frame, train_size=n, test_size=n, random_state=seed)
        mmae = MultimodalAutoencoder(n_components=32, random_state=seed, **settings).fit(train)
        for column, shares in mmae.category_probabilities(test.head()).items():
            hidden, sizes[column] = test.copy(), shares.shape[1]
            hidden[column] = None
            for title, rows in (("", hidden), (", seen", test)):
                shares = mmae.category_probabilities(rows)[column]
                error, accuracy = compare(shares, test[column])
                with as_learned(mmae):
                    raw, _ = compare(mmae.category_probabilities(rows)[column], test[column])
                of_sets = [
                    share
                    for level in LEVELS[1:]
                    for share in held(mmae.category_sets(rows, level)[column], test[column])
                ]
                found[column, title].append((error, raw, accuracy, *of_sets))
    for (column, title), values in found.items():
        table.add(name, column + title, sizes[column], *np.mean(values, axis=0))


@contextmanager
def as_learned(mmae):
    """Let probabilities be those that were learned, whether they come true or not."""
    model = mmae._model
    calibration, cells = model.calibration, model.cells
    model.calibration = Later.known(unscaled(calibration()))
    model.cells = cells._replace(groups=Later.known(unscaled(cells.groups())))
    yield
    model.calibration, model.cells = calibration, cells


def unscaled(groups):
    """Return groups that leave logits as they are."""
    return {
        key: own._replace(slopes=np.ones_like(own.slopes), offsets=np.zeros_like(own.offsets))
        for key, own in groups.items()
    }


def compare(probabilities, truth):
    """Return the expected calibration error and the accuracy of the most likely category."""
    known = truth.isin(probabilities.columns).to_numpy()
    sure = probabilities.max(axis=1).to_numpy()[known]
    right = (probabilities.idxmax(axis=1) == truth).to_numpy()[known]
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gap = np.bincount(bins, sure - right.astype(float), BINS)
    return float(np.abs(gap).sum() / known.sum()), float(right.mean())


def held(sets, truth):
    """Return the share of the truth that is in its set, and how many categories sets have."""
    known = truth.isin(sets.columns).to_numpy()
    place = sets.columns.get_indexer(truth[known])
    return sets.to_numpy()[known, place].mean(), sets.sum(axis=1).mean()


if __name__ == "__main__":
    main()
