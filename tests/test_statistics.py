"""What is learned from rows is asked of `Statistics`; its answers are made of parts that merge."""

import io
from itertools import count

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_mmae import (
    AudioModality,
    ImageModality,
    Modality,
    MultimodalAutoencoder,
    MultimodalVAE,
    SequenceModality,
    TabularModality,
    TextModality,
    VideoModality,
)
from sklearn_mmae.cells import Cells
from sklearn_mmae.model._learn import learn_model
from sklearn_mmae.statistics import PLAIN, SecondMoments, Statistics
from sklearn_mmae.statistics._questions import (
    Choice,
    Counts,
    Extremes,
    Frequent,
    Moments,
    Products,
    Quantile,
    Sums,
)
from sklearn_mmae.statistics._samples import Sample

# Statistics of other kinds -----------------------------------------------------------------------


class Recording(Statistics):
    """Plain answers, kept by name; a name twice in one fit is an error."""

    def __init__(self):
        self.answers = {}

    def answer(self, name, question, rows):
        assert name not in self.answers, f"two questions of one fit are called {name!r}"
        self.answers[name] = super().answer(name, question, rows)
        return self.answers[name]


class Replaying(Statistics):
    """The answers of another fit, whatever the rows."""

    def __init__(self, answers):
        self.answers = answers

    def answer(self, name, question, rows):
        return self.answers[name]


class Constant(Statistics):
    """Answers made up, whatever the rows; only the number of columns is looked at."""

    def moments(self, name, matrix):
        return np.full((3, matrix.shape[1]), [[20.0], [0.25], [2.0]])

    def counts(self, name, codes, n):
        return np.arange(n) + 5.0

    def frequent(self, name, values, most=None):
        if name.endswith("kinds"):  # what columns are is no matter of their rows
            return {value: 1 for value in values}
        return {value: 3 - i for i, value in enumerate(["warm", "cold", "young"])}

    def quantile(self, name, values, share, *, method="linear"):
        shape = np.shape(values)[1:] + np.shape(share)
        return np.full(shape, 4.0) if shape else 4.0

    def second_moments(self, name, blocks, *, along=None, products=True, most_rows=0):
        rows, observed = next(iter(blocks()))
        columns = rows.shape[1]
        product = rows.T @ rows  # of the same kind, with other numbers
        product = 0 * product + torch.eye(columns).to(product) if products else None
        if isinstance(rows, np.ndarray):
            product = 10.0 * np.eye(columns)
        if along is not None:
            product = product @ along
        return SecondMoments(product, observed.sum(0), 10, None)

    def choose(self, name, losses, *, margin=None):
        return 1


class InParts(Statistics):
    """Answers merged from parts of the rows, cut anywhere and merged in any order."""

    def __init__(self, seed, most=4):
        self.rng, self.most = np.random.default_rng(seed), most

    def answer(self, name, question, rows):
        parts = [question.partial(part) for part in self.split(question, rows)]
        while len(parts) > 1:
            one, other = (parts.pop(self.rng.integers(len(parts))) for _ in range(2))
            parts.append(question.merge(one, other))
        return question.finish(parts[0])

    def split(self, question, rows):
        if callable(rows):
            return self._split_blocks(rows)
        if isinstance(rows, dict):
            keys = list(rows)
            return [{keys[i]: rows[keys[i]] for i in some} for some in self._some(len(keys))]
        if isinstance(question, Choice):
            return [rows[:, some] for some in self._some(rows.shape[1])]
        if isinstance(rows, list):
            return [[rows[i] for i in some] for some in self._some(len(rows))]
        return [rows[some] for some in self._some(rows.shape[0])]

    def _some(self, n):
        """Return the numbers of rows in some parts, none of them empty, in any order."""
        cuts = np.sort(self.rng.integers(0, n + 1, self.rng.integers(0, self.most)))
        parts = [part for part in np.split(self.rng.permutation(n), cuts) if len(part)]
        return parts or [np.arange(n)]

    def _split_blocks(self, blocks):
        pairs = list(zip(*blocks(), strict=True))
        join = torch.cat if isinstance(pairs[0][0], torch.Tensor) else np.concatenate
        rows, observed = map(join, pairs)

        def part_of(some):
            def part():
                for here in np.array_split(some, max(1, len(some) // 100)):
                    yield rows[here], observed[here]

            return part

        return [part_of(some) for some in self._some(len(rows))]


# Data --------------------------------------------------------------------------------------------

WORDS = "warm bright ripe sweet cherry cold deep wide calm ocean fresh young".split()


def column_of(cells):
    column = np.empty(len(cells), object)
    for row, cell in enumerate(cells):
        column[row] = cell
    return column


def make_frame(n_rows, seed):
    """Return rows of all six modalities, with holes in cells and whole modalities missing."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=n_rows)
    wave = np.sin(np.arange(240) / 5)
    frame = pd.DataFrame(
        {
            "size": level + rng.normal(size=n_rows),
            "weight": 2 * level + rng.normal(size=n_rows) * (1 + seed),
            "colour": rng.choice(["red", "blue", "green"], n_rows, p=rng.dirichlet([9, 9, 9])),
            "ripe": rng.random(n_rows) < 0.5,
            "note": [" ".join(rng.choice(WORDS, rng.integers(1, 6))) for _ in range(n_rows)],
        }
    )
    frame["photo"] = column_of(list(rng.integers(seed, 255, (n_rows, 8, 8), np.uint8)))
    frame["sound"] = column_of(
        [(a * wave[: rng.integers(160, 240)]).astype("f4") for a in rng.uniform(0.2, 1, n_rows)]
    )
    frame["film"] = column_of(
        [rng.integers(0, 255, (rng.integers(4, 7), 4, 4, 3), np.uint8) for _ in range(n_rows)]
    )
    frame["signal"] = column_of(
        [rng.normal(size=(rng.integers(8, 12), 2)) + seed for _ in range(n_rows)]
    )
    frame["colour"] = frame["colour"].astype(object)
    for name in ("size", "weight", "colour", "note", "photo", "sound"):
        frame.loc[rng.random(n_rows) < 0.15, name] = None
    return frame


def parts():
    return [
        ("table", TabularModality(), ["size", "weight", "colour", "ripe"]),
        ("note", TextModality(), ["note"]),
        ("photo", ImageModality(), ["photo"]),
        ("sound", AudioModality(rate=80, sampling_rate=80), ["sound"]),
        ("film", VideoModality(rate=5, fps=5), ["film"]),
        ("signal", SequenceModality(), ["signal"]),
    ]


def learned(X, statistics, estimator=None):
    """Return the modalities and the linear start of a fit."""
    if estimator is None:
        estimator = MultimodalAutoencoder(
            parts(), n_components=3, max_epochs=0, early_stopping=False, random_state=0
        )
    build, look_at = estimator._build_network, estimator._look_at
    model, _ = learn_model(estimator, X, build, look_at, statistics=statistics)
    return {part.name: part.modality for part in model.parts}, model.network.state_dict()


def assert_same(one, other, tolerance=0.0):
    """Check that two modalities or their attributes are equal."""
    assert type(one) is type(other)
    if isinstance(one, Modality):
        one, other = vars(one), vars(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), [other[key] for key in one]
    if isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b, tolerance)
    elif isinstance(one, np.ndarray | float | np.floating) and tolerance:
        assert_allclose(one, other, rtol=tolerance, atol=tolerance)
    elif isinstance(one, np.ndarray):
        assert_array_equal(one, other)
    else:
        assert one == other


def assert_same_start(one, other, *, exactly):
    """Check that two networks begin alike; to the last bit, or to that of their float32."""
    assert one.keys() == other.keys()
    for name, weights in one.items():
        most = max(float(weights.abs().max()), 1e-3) if weights.is_floating_point() else 0
        tolerance = 0 if exactly or not most else 3e-7 * most
        assert_allclose(weights.numpy(), other[name].numpy(), atol=tolerance, rtol=0, err_msg=name)


# Nothing passes by the object --------------------------------------------------------------------


@pytest.mark.parametrize("rows", [60, 35])
def test_what_is_learned_depends_on_answers_alone(rows):
    one, other = make_frame(60, 0), make_frame(rows, 1)
    recording = Recording()
    modalities, start = learned(one, recording)
    again, same_start = learned(other, Replaying(recording.answers))
    assert_same(modalities, again)
    assert_same_start(start, same_start, exactly=True)
