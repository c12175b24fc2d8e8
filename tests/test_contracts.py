"""The promises that every modality and every fusion keeps, and that the checks notice."""

import numpy as np
import pytest
import torch
from PIL import Image

from sklearn_mmae import (
    AudioModality,
    ImageModality,
    SequenceModality,
    TabularModality,
    TextModality,
    VideoModality,
)
from sklearn_mmae.fusion import FUSIONS, Fusion, MeanFusion
from sklearn_mmae.modalities import BUILTIN
from sklearn_mmae.modalities.tabular._network import TabularNetwork
from sklearn_mmae.testing import check_fusion, check_modality

rng = np.random.default_rng(0)
NUMBERS = rng.normal(100, 5, 24)
DATES = np.datetime64("2020-01-01") + rng.integers(0, 900, 24).astype("timedelta64[D]")
NAMES = np.array(["red heart", "blue heart", "green leaf", "red apple", "blue bird"] * 5, object)
PICTURES = rng.integers(0, 256, (24, 6, 5, 3)).astype(np.uint8)
PIL_PICTURES = np.empty(12, object)
PIL_PICTURES[:] = [Image.fromarray(picture) for picture in PICTURES[:12]]
CLIPS = np.empty(12, object)
CLIPS[:] = [rng.integers(0, 256, (2 + row % 4, 6, 5, 3)).astype(np.uint8) for row in range(12)]
LARGE_PICTURES = rng.integers(0, 256, (10, 20, 18)).astype(np.uint8)
START, RATE = rng.uniform(0, 6, (24, 1)), rng.uniform(0.1, 0.2, (24, 1))
WAVES = np.stack([np.sin(START + RATE * np.arange(40)), 9 + 1e3 * START + np.zeros(40)], 2)
LONG_WAVES = np.sin(START + RATE * np.arange(300))[..., None]
CUT_WAVES = np.empty(24, object)
CUT_WAVES[:] = [wave[: 20 + i % 20] for i, wave in enumerate(WAVES)]
SOUNDS = np.empty(12, object)
SOUNDS[:] = [
    np.convolve(rng.normal(0, 0.05, 1200 + 400 * (i % 3)), np.ones(1 + i % 5)).astype("f4")
    for i in range(12)
]

MODALITIES = {
    "numbers": (TabularModality(), NUMBERS),
    "float32": (TabularModality(), NUMBERS.astype(np.float32)),
    "whole numbers": (TabularModality(), np.arange(24)),
    "bools": (TabularModality(), np.arange(24) % 3 == 0),
    "categories": (TabularModality(), NAMES),
    "dates": (TabularModality(), DATES.astype("datetime64[ns]")),
    "words": (TextModality(), NAMES),
    "sentences": (TextModality(decoder="sequence"), NAMES),
    "pictures": (ImageModality(), PICTURES),
    "PIL pictures": (ImageModality(mode="L"), PIL_PICTURES),
    "shares of pixels": (ImageModality(loss="cross-entropy"), PICTURES),
    "sounds": (AudioModality(rate=8000), SOUNDS),
    "sounds, few bands": (AudioModality(rate=8000, n_mels=20, hop_length=160), SOUNDS),
    "convolutions": (ImageModality(), LARGE_PICTURES),
    "signals": (SequenceModality(), WAVES),
    "signals of all lengths": (SequenceModality(), CUT_WAVES),
    "resampled signals": (SequenceModality(max_steps=16), CUT_WAVES),
    "long signals": (SequenceModality(), LONG_WAVES),
    "clips": (VideoModality(), CLIPS),
}


@pytest.mark.parametrize("case", MODALITIES)
def test_a_modality_keeps_its_promises(case):
    check_modality(*MODALITIES[case])


def test_every_modality_of_the_package_is_checked():
    assert {type(modality) for modality, _ in MODALITIES.values()} == set(BUILTIN)


@pytest.mark.parametrize("name", FUSIONS)
def test_a_fusion_keeps_its_promises(name):
    check_fusion(FUSIONS[name]())


def test_a_callable_keeps_the_promises_of_a_fusion():
    def largest(encodings, present):
        there = present[..., None]
        pooled = torch.where(there, encodings, -torch.inf).amax(-3)
        return torch.where(there.any(-3), pooled, 0)

    check_fusion(largest)


class LeakyMean(MeanFusion):
    def forward(self, encodings, present, start):
        return (present[..., None] * self.head(encodings)).sum(-3)


class MeanOfBatch(MeanFusion):
    def forward(self, encodings, present, start):
        code = super().forward(encodings, present, start)
        return code - code.mean(-2, keepdim=True)


class DividesByNothing(MeanFusion):
    def forward(self, encodings, present, start):
        there = present[..., None]
        return torch.where(there, self.head(encodings), 0).sum(-3) / there.sum(-3)


class Ignores(Fusion):
    def build(self, n_modalities, width, n_components):
        pass

    def forward(self, encodings, present, start):
        return torch.zeros_like(start)


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (LeakyMean, "what is absent does not leak"),
        (MeanOfBatch, "the rows beside it"),
        (DividesByNothing, "finite, also where nothing is present"),
        (Ignores, "what is present reaches the embedding"),
    ],
)
def test_a_broken_fusion_is_named(broken, promise):
    with pytest.raises(AssertionError, match=promise):
        check_fusion(broken())


class WritesIntoCells(TabularModality):
    def fit(self, cells):
        cells.columns[0][0] = 0
        return super().fit(cells)


class LearnsTensors(TabularModality):
    def fit(self, cells):
        self.tensor_ = torch.zeros(1)
        return super().fit(cells)


class DrawsGlobally(TabularModality):
    def network(self, n_components, width, dropout):
        torch.rand(1)
        return super().network(n_components, width, dropout)


class BatchScale(TabularModality):
    def transform(self, cells):
        values = super().transform(cells)
        for array in values.tensors.values():
            array -= array.mean(0)
        return values


class ForgetsUnits(TabularModality):
    def inverse_transform(self, predictions):
        return list(predictions.T)


class Drowns(TabularModality):
    def network(self, n_components, width, dropout):
        network = super().network(n_components, width, dropout)
        network.weight /= 100
        return network


class RefusesHoles(TabularModality):
    def transform(self, cells):
        values = super().transform(cells)
        values.present[:] = True
        return values


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (WritesIntoCells, "the user's cells stay"),
        (LearnsTensors, "not in tensors"),
        (DrawsGlobally, "global random state"),
        (BatchScale, "the rows beside it"),
        (ForgetsUnits, "come back near"),
        (Drowns, "total variance 1, not 100"),
        (RefusesHoles, "None is missing"),
    ],
)
def test_a_broken_modality_is_named(broken, promise):
    with pytest.raises(AssertionError, match=promise):
        check_modality(broken(), NUMBERS.copy())


def test_a_leak_from_a_hole_is_named(monkeypatch):
    def leaks(network, outputs, tensors):
        return (outputs - network.numbers(tensors)).square().sum(-1) + outputs.mean()

    monkeypatch.setattr(TabularNetwork, "deviance", leaks)
    with pytest.raises(AssertionError, match="broken promise"):
        check_modality(TabularModality(), NUMBERS)
