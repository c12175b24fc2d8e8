"""The rows that more than one benchmark fits: training and test rows, and a target."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.model_selection import KFold, train_test_split
from sklearn.preprocessing import StandardScaler

from sklearn_mmae import TabularModality
from sklearn_mmae.datasets import load_digits_frame

from .never_below_linear import side_by_side
from .shared_data import (
    load_clothing,
    load_emoji,
    load_flights,
    load_mfeat,
    load_nutrimouse,
    load_salaries,
    load_scene15,
)

__all__ = [
    "Rows",
    "breast_cancer",
    "clothing",
    "demo",
    "diabetes",
    "digits",
    "digits_standardised",
    "emoji",
    "flights",
    "mfeat_3",
    "mfeat_6",
    "nutrimouse",
    "salaries",
    "scene15",
    "some_rows",
    "wine",
]


@dataclass(frozen=True)
class Rows:
    """Training and test rows, their targets, and how many components a code of them has."""

    train: Any
    test: Any
    y_train: Any
    y_test: Any
    k: int
    modalities: Any = "auto"


def some_rows(rows, n_train, n_test, seed):
    """Draw as many of the training and test rows; None keeps all as they are."""
    rng = np.random.default_rng(seed)
    train, test = _draw(len(rows.y_train), n_train, rng), _draw(len(rows.y_test), n_test, rng)
    return replace(
        rows,
        train=_take(rows.train, train),
        y_train=rows.y_train[train],
        test=_take(rows.test, test),
        y_test=rows.y_test[test],
    )


def digits(split):
    """Return pixels of handwritten digits, 0 to 16."""
    return _classes(*load_digits(return_X_y=True), 8, split)


def digits_standardised(split):
    """Return the same, each pixel standardised by the training rows."""
    train, test, *y = train_test_split(
        *load_digits(return_X_y=True), test_size=0.3, random_state=split
    )
    scaler = StandardScaler().fit(train)
    return Rows(scaler.transform(train), scaler.transform(test), *y, 8)


def demo(split):
    """Return pictures, captions and numbers of digits, as ``python -m sklearn_mmae`` has them."""
    frame, digit = load_digits_frame(return_target=True)
    return Rows(*train_test_split(frame, digit, test_size=0.3, random_state=split), 16)


def wine(split):
    """Return 13 numbers of wines."""
    return _classes(*load_wine(return_X_y=True), 4, split)


def breast_cancer(split):
    """Return 30 numbers of nuclei of cells."""
    return _classes(*load_breast_cancer(return_X_y=True), 8, split)


def diabetes(split):
    """Return ten numbers of patients, and how the disease went on."""
    return Rows(
        *train_test_split(*load_diabetes(return_X_y=True), test_size=0.3, random_state=split), 4
    )


def nutrimouse(split):
    """Return genes and fatty acids of 40 mice, and their diets."""
    gene, lipid, diet, _ = load_nutrimouse()
    views = {"gene": gene.to_numpy(), "lipid": lipid.to_numpy()}
    return _views(views, np.asarray(diet).ravel(), 8, split)


def mfeat_3(split):
    """Return three views of handwritten numerals."""
    views, y = load_mfeat()
    return _views({name: views[name] for name in ("fou", "kar", "zer")}, y, 32, split)


def mfeat_6(split):
    """Return six views of handwritten numerals."""
    return _views(*load_mfeat(), 32, split)


def scene15(split):
    """Return two views of photographs of scenes."""
    views, y = load_scene15()
    return _views({name: views[name] for name in ("gist", "phog")}, y, 32, split, test_size=0.2)


def salaries(split):
    """Return the staff and their salaries, a fold of them as test rows."""
    frame, salary = load_salaries()
    frame["date_first_hired"] = pd.to_datetime(frame["date_first_hired"], format="%m/%d/%Y")
    folds = KFold(3, shuffle=True, random_state=0).split(frame)
    return _at(frame, salary, *list(folds)[split], 32)


def clothing(split, *, recommended=True):
    """Return reviews and their ratings, in the one split of Shi et al."""
    frame, rating, train, test = load_clothing()
    if not recommended:
        frame = frame.drop(columns="Recommended IND")
    return _at(frame, rating, train, test, 32)


def emoji(split):
    """Return pictures and names; there is one split, and no target."""
    frame, train, test = load_emoji()
    return _at(frame[["picture", "name"]], frame["name"], train, test, 32)


def flights(split, n_train=20_000, n_test=5_000):
    """Return flights drawn at random, and their delays at arrival, a column of theirs."""
    frame = load_flights().sample(n_train + n_test, random_state=split)
    return _at(frame, frame["arr_delay"], range(n_train), range(n_train, len(frame)), 32)


def _draw(n_rows, n_drawn, rng):
    if n_drawn is None or n_drawn >= n_rows:
        return np.arange(n_rows)
    return rng.permutation(n_rows)[:n_drawn]


def _take(X, rows):
    return X.iloc[rows].reset_index(drop=True) if isinstance(X, pd.DataFrame) else X[rows]


def _at(frame, target, train, test, k):
    return Rows(
        *(frame.iloc[at].reset_index(drop=True) for at in (train, test)),
        *(target.iloc[at].to_numpy() for at in (train, test)),
        k,
    )


def _classes(X, y, k, split, test_size=0.3):
    return Rows(*train_test_split(X, y, test_size=test_size, random_state=split, stratify=y), k)


def _views(views, y, k, split, test_size=0.3):
    X, places = side_by_side(views)
    modalities = [(name, TabularModality(), at) for name, at in places.items()]
    return replace(_classes(X, y, k, split, test_size), modalities=modalities)
