"""Every parameter changes something, and an unknown one is an error.

A parameter added later is found by itself: without an entry in the tables below its test fails.
"""

import functools
import inspect
import itertools
import os
import pkgutil
import re
import sys
import warnings

import av
import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from conftest import make_frame
from PIL import Image
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from skorch.callbacks import Callback

from sklearn_mmae import (
    AudioModality,
    CellError,
    DataWarning,
    ImageModality,
    MultimodalAutoencoder,
    MultimodalImputer,
    MultimodalVAE,
    Privacy,
    SequenceModality,
    TabularModality,
    TextModality,
    VideoModality,
)
from sklearn_mmae.modalities import BUILTIN


class CountEpochs(Callback):
    def initialize(self):
        self.n_epochs = 0
        return self

    def on_epoch_end(self, net, **kwargs):
        self.n_epochs += 1


def parameters_of(kind):
    return list(inspect.signature(kind).parameters)


def missing_entry(kind, name):
    return (
        f"{kind.__name__} has a parameter {name!r} of which no test knows what it does: give it an"
        " alternative value in the table of tests/test_parameters.py, or a test of its own effect."
    )


# The estimator's own ----------------------------------------------------------------------------

EXPLICIT = [("numbers", TabularModality(), ["size", "count"]), ("note", TextModality(), ["note"])]

# Per parameter a value other than the default, and what else must be set for it to matter.
ALTERNATIVES = {
    "modalities": (EXPLICIT, {}),
    "n_components": (2, {}),
    "fusion": ("mean", {}),
    "init": ("linear", {}),
    "rotation": (None, {"init": "linear"}),
    "extra_terms": ({"agreement": 1.0}, {}),
    "modality_dropout": (0.1, {}),
    "modality_weights": ({"note": 5.0}, {}),
    "noise": (0.0, {}),
    "dropout": (0.5, {}),
    "width": (9, {}),
    "max_epochs": (1, {}),
    "batch_size": (8, {}),
    "lr": (0.1, {}),
    "optimizer": ("sgd", {}),
    "weight_decay": (2.0, {}),
    "early_stopping": (False, {}),
    "validation_fraction": (0.6, {}),
    "n_iter_no_change": (1, {"lr": 0.5, "max_epochs": 12}),
    "tol": (0.9, {"n_iter_no_change": 1, "max_epochs": 6}),
    "random_state": (1, {}),
    # Of `MultimodalVAE`.
    "objective": ("elbo", {}),
    "beta": (3.0, {}),
    "free_bits": (5.0, {}),
    "noise_scale": ("modality", {}),
}

# These cannot change a number of a first fit on a CPU; each has a test of its own effect below.
OTHER_EFFECTS = {
    "device": "test_device_decides_where_the_network_is",
    "memory": "test_memory_is_that_of_modalities_without_one",
    "callbacks": "test_callbacks_are_called",
    "max_time": "test_max_time_ends_a_fit",
    "verbose": "test_verbose_shows_a_bar_of_epochs_loss_and_time_left",
    "warm_start": "test_warm_start_goes_on_from_the_last_fit",
    "max_lag": "test_max_lag_moves_what_comes_late",
    "target_weight": "test_target_weight_and_cv_change_what_labels_do",
    "target_cv": "test_target_weight_and_cv_change_what_labels_do",
    "privacy": "test_privacy_adds_noise",
}


def make_estimator(kind=MultimodalAutoencoder, **parameters):
    defaults = {"n_components": 3, "width": 8, "init": "random", "max_epochs": 3}
    return kind(**{**defaults, "random_state": 0, **parameters})


def make_small():
    """Return rows of two modalities."""
    return make_frame()[["size", "count", "colour", "note"]]


@functools.cache
def usual_codes(kind, others):
    """Return the codes with all parameters but some as usual."""
    return make_estimator(kind, **dict(others)).fit_transform(make_frame())


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in (MultimodalAutoencoder, MultimodalVAE)
        for name in parameters_of(kind)
    ],
)
def test_every_parameter_changes_the_result(kind, name):
    if name in OTHER_EFFECTS:
        assert callable(globals()[OTHER_EFFECTS[name]])
        return
    assert name in ALTERNATIVES, missing_entry(kind, name)
    value, others = ALTERNATIVES[name]
    usual = make_estimator(kind, **others)
    other = make_estimator(kind, **{**others, name: value})
    assert repr(getattr(usual, name)) != repr(value), "the table's value is the usual one"
    codes = usual_codes(kind, tuple(others.items()))
    changed = other.fit_transform(make_frame())
    assert codes.shape != changed.shape or not np.array_equal(codes, changed)


@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalVAE])
def test_target_weight_and_cv_change_what_labels_do(kind):
    frame = make_small()
    y = np.arange(len(frame)) % 7 + 0.5
    codes = [
        make_estimator(kind, target_weight=weight, target_cv=cv).fit_transform(frame, y)
        for weight, cv in ((0.0, None), (1.0, None), (9.0, None), (9.0, 2))
    ]
    for one, other in itertools.pairwise(codes):
        assert not np.array_equal(one, other)


@pytest.mark.filterwarnings("ignore:random_state=:sklearn_mmae.DataWarning")
@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalVAE])
def test_privacy_adds_noise(kind):
    X = np.random.default_rng(0).uniform(size=(100, 3))
    table = [("table", TabularModality(bounds=(0, 1)), slice(0, 3))]
    codes = [
        make_estimator(kind, modalities=table, init="linear", max_epochs=0, privacy=privacy)
        for privacy in (None, Privacy(9.0), Privacy(0.5), Privacy(0.5, delta=1e-9))
    ]
    for one, other in itertools.pairwise(estimator.fit_transform(X) for estimator in codes):
        assert not np.array_equal(one, other)


@pytest.mark.parametrize("kind", BUILTIN)
def test_a_modality_refuses_what_no_parameter_can_be(kind):
    for name in kind().get_params(deep=False):
        with pytest.raises((TypeError, ValueError), match=name):
            kind(**{name: object()}).check_parameters()


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        ({"nota": 2.0}, "Did you mean 'note'"),
        ({"note": 0}, "give a number above 0"),
        ({"note": float("nan")}, "give a number above 0"),
        ({"note": True}, "give a number above 0"),
        ([1.0, 2.0], "modality_weights"),
    ],
)
def test_weights_of_modalities_are_checked(weights, problem):
    with pytest.raises(ValueError, match=problem):
        make_estimator(modality_weights=weights).fit(make_frame())


def test_a_modality_of_more_weight_comes_back_better():
    X = np.random.default_rng(0).normal(size=(200, 8))
    halves = [(name, TabularModality(), at) for name, at in (("a", slice(4)), ("b", slice(4, 8)))]
    explained = [
        MultimodalAutoencoder(halves, 3, max_epochs=0, modality_weights=weights, random_state=0)
        .fit(X)
        .explained_deviance_["b"]
        for weights in (None, {"b": 20.0})
    ]
    assert explained[0] < 0.6
    assert explained[1] > 0.7


@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalVAE])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_max_time_ends_a_fit(kind, early_stopping):
    frame, parameters = make_small(), {"init": "linear", "early_stopping": early_stopping}
    with pytest.warns(DataWarning, match="max_time was over before an epoch"):
        ended = make_estimator(kind, max_time=1e-9, **parameters).fit(frame)
    linear = make_estimator(kind, **parameters | {"max_epochs": 0}).fit(frame)
    assert ended.n_iter_ == 0
    assert ended.history_ == []
    np.testing.assert_array_equal(ended.transform(frame), linear.transform(frame))
    for name, values in ended.reconstruct(frame).items():
        pd.testing.assert_series_equal(values, linear.reconstruct(frame)[name])


def test_max_time_that_is_not_over_changes_nothing():
    frame = make_small()
    usual = make_estimator(max_epochs=3).fit(frame)
    limited = make_estimator(max_epochs=3, max_time=3600).fit(frame)
    assert limited.n_iter_ == usual.n_iter_
    np.testing.assert_array_equal(limited.transform(frame), usual.transform(frame))


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), True])
def test_max_time_is_some_seconds(seconds):
    with pytest.raises(ValueError, match=r"max_time.*(in the range \(0|give seconds)"):
        make_estimator(max_time=seconds).fit(make_small())


def test_max_lag_moves_what_comes_late():
    push = np.random.default_rng(0).normal(size=(40, 63))
    frame = pd.DataFrame({"early": list(push[:, 3:]), "late": list(push[:, :60])})
    parts = [(name, SequenceModality(), [name]) for name in frame]
    usual = make_estimator(modalities=parts)
    other = make_estimator(modalities=parts, max_lag=10)
    assert not np.array_equal(usual.fit_transform(frame), other.fit_transform(frame))
    assert round(other.lags_["late"]) == 3


def test_device_decides_where_the_network_is():
    frame = make_small()
    assert make_estimator(device="cpu").fit(frame).net_.module_.table.device.type == "cpu"
    with pytest.raises(ValueError, match=r"device='gpu' cannot be used.* Give one of auto, cpu"):
        make_estimator(device="gpu").fit(frame)
    if torch.cuda.is_available():
        assert make_estimator().fit(frame).net_.module_.table.device.type == "cuda"
    else:
        with pytest.raises(ValueError, match="device='cuda' cannot be used"):
            make_estimator(device="cuda").fit(frame)


def test_a_device_that_holds_no_numbers_is_refused():
    with pytest.raises(ValueError, match="device='meta' cannot be used"):
        make_estimator(device="meta").fit(make_small())


def test_memory_is_that_of_modalities_without_one(tmp_path):
    frame = make_frame()
    parts = [
        ("note", TextModality(), ["note"]),
        ("photo", ImageModality(memory=tmp_path / "own"), ["photo"]),
        ("size", TabularModality(), ["size"]),
    ]
    estimator = make_estimator(modalities=parts, memory=tmp_path / "shared").fit(frame)
    fitted = {name: modality for name, modality, _ in estimator.modalities_}
    assert fitted["note"].memory == tmp_path / "shared"
    assert fitted["photo"].memory == tmp_path / "own"
    assert list((tmp_path / "shared").rglob("*.pkl"))
    assert parts[0][1].memory is None, "what the user gave stays as it was"
    found = make_estimator(memory=tmp_path / "third").fit(frame)
    assert list((tmp_path / "third").rglob("*.pkl"))
    np.testing.assert_array_equal(found.transform(frame), make_estimator().fit_transform(frame))


def test_callbacks_are_called():
    counting = CountEpochs()
    estimator = make_estimator(callbacks=[counting]).fit(make_small())
    assert counting.n_epochs == estimator.n_iter_ == 3


@pytest.mark.parametrize(("verbose", "terminal"), [(1, True), (2, False)])
def test_verbose_shows_a_bar_of_epochs_loss_and_time_left(verbose, terminal, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    estimator = make_estimator(verbose=verbose, max_epochs=20).fit(make_small())
    out, err = capsys.readouterr()
    assert out == ""
    *_, last = err.strip().splitlines()[-1].split("\r")
    n_epochs = int(re.search(r"(\d+)/\1 \[\d\d:\d\d<\d\d:\d\d, .*train=\d.*valid=\d", last)[1])
    assert n_epochs > estimator.n_iter_  # with those on all rows
    assert last.startswith("MultimodalAutoencoder, on all rows: 100%")


def test_a_notebook_is_somebody_who_looks(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    make_estimator(verbose=1).fit(make_small())
    assert "100%" in capsys.readouterr().err


def test_a_bar_ends_where_training_stops_early(capsys):
    make_estimator(verbose=2, max_epochs=50, n_iter_no_change=1, lr=1e-9, tol=0.5).fit(make_small())
    assert "100%" in capsys.readouterr().err.strip().split("\r")[-1]
    assert make_estimator(verbose=2, max_epochs=0).fit(make_small()).n_iter_ == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("verbose", [0, 1])
def test_a_log_has_a_bar_if_it_is_asked_for(verbose, capsys):
    make_estimator(verbose=verbose).fit(make_small())
    assert ("100%" in capsys.readouterr().err) == bool(verbose)


def test_warm_start_goes_on_from_the_last_fit():
    frame = make_frame()
    afresh = make_estimator().fit(frame)
    first = afresh.transform(frame)
    np.testing.assert_array_equal(afresh.fit(frame).transform(frame), first)
    going_on = make_estimator(warm_start=True).fit(frame)
    np.testing.assert_array_equal(going_on.transform(frame), first)
    before = going_on.explained_deviance_
    going_on.fit(frame)
    assert not np.array_equal(going_on.transform(frame), first)
    assert sum(going_on.explained_deviance_.values()) > sum(before.values())


def test_an_optimizer_class_and_a_fusion_function_are_accepted():
    frame = make_small()
    usual = make_estimator().fit_transform(frame)
    own = make_estimator(optimizer=torch.optim.NAdam).fit_transform(frame)
    assert not np.array_equal(own, usual)

    def largest(encodings, present):
        present = present[..., None]
        return torch.where(present, encodings, -1e6).amax(-3).clamp_min(-1e3)

    pooled = make_estimator(fusion=largest).fit_transform(frame)
    assert np.isfinite(pooled).all()
    assert not np.array_equal(pooled, usual)


# Values that are no values ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_components", 0),
        ("n_components", 2.5),
        ("n_components", "8"),
        ("n_components", True),
        ("n_components", 10**9),
        ("fusion", "attentive"),
        ("init", "pca"),
        ("modality_dropout", 1.0),
        ("noise", -0.1),
        ("dropout", 1.0),
        ("width", 0),
        ("max_epochs", -1),
        ("batch_size", 0),
        ("lr", -1.0),
        ("lr", float("nan")),
        ("lr", float("inf")),
        ("optimizer", "adagrad2"),
        ("optimizer", dict),
        ("weight_decay", -1.0),
        ("weight_decay", float("nan")),
        ("noise", float("inf")),
        ("early_stopping", "yes"),
        ("validation_fraction", 1.0),
        ("n_iter_no_change", 0),
        ("random_state", -1),
        ("device", "tpu"),
        ("memory", 3),
        ("callbacks", "EarlyStopping"),
        ("callbacks", [3]),
        ("modalities", "all"),
        ("modalities", []),
        ("modalities", None),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(name, value):
    estimator = make_estimator(**{name: value})
    with pytest.raises((ValueError, TypeError), match=name):
        estimator.fit(np.ones((20, 2)))
    assert not hasattr(estimator, "net_")


@pytest.mark.parametrize(
    ("estimator", "public"),
    [
        (MultimodalAutoencoder(fusion=3), ["sklearn_mmae.fusion.Fusion"]),
        (MultimodalVAE(objective=3), ["sklearn_mmae.objectives.Objective"]),
        (MultimodalAutoencoder(privacy=3), ["sklearn_mmae.privacy.Privacy"]),
        (
            MultimodalImputer(estimator=3),
            [
                "sklearn_mmae.estimators.MultimodalAutoencoder",
                "sklearn_mmae.estimators.MultimodalVAE",
            ],
        ),
    ],
)
def test_a_refusal_names_classes_as_they_are_imported(estimator, public):
    with pytest.raises(ValueError, match="must be") as refusal:
        estimator.fit(np.ones((20, 2)))
    assert re.findall(r"'(sklearn_mmae\.[^']*)'", str(refusal.value)) == public
    for path in public:
        assert pkgutil.resolve_name(path)


# Those of the modalities ------------------------------------------------------------------------


def pictures(tmp_path):
    frame = make_frame()
    rng = np.random.default_rng(0)
    noisy = [p // 2 + rng.integers(0, 9, p.shape).astype(np.uint8) for p in frame["photo"]]
    return frame.assign(photo=noisy)


def grades(tmp_path):
    """A column of eight categories, some rare."""
    rng = np.random.default_rng(0)
    letters = rng.choice(list("abcdefgh"), 60, p=[0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05])
    return pd.DataFrame({"x": np.arange(60.0), "letter": pd.Categorical(letters)})


def numbers(tmp_path):
    return make_frame()[["size", "count"]]


def notes(tmp_path):
    return make_frame()[["size", "note"]]


def pixels(tmp_path):
    return pd.DataFrame(np.random.default_rng(0).uniform(0, 1, (40, 1024))).rename(columns=str)


def sounds(tmp_path):
    rng = np.random.default_rng(0)
    noises = [np.convolve(rng.normal(0, 0.1, 800 + 80 * i), np.ones(1 + i % 4)) for i in range(12)]
    return pd.DataFrame({"sound": noises})


def clips(tmp_path):
    rng = np.random.default_rng(0)
    films = [rng.integers(0, 256, (4 + i % 5, 8, 6, 3)).astype(np.uint8) for i in range(12)]
    return pd.DataFrame({"clip": films})


def light_clips(tmp_path):
    return pd.DataFrame({"clip": [film / 255 for film in clips(tmp_path)["clip"]]})


def signals(tmp_path):
    """Two columns of numbers that increase, so that each may be the times of the other."""
    rng = np.random.default_rng(0)
    columns = {
        name: [np.cumsum(rng.uniform(0.5, 1.5, 20 + i)) for i in range(12)]
        for name in ("clock", "level")
    }
    return pd.DataFrame(columns)


def rises(tmp_path):
    return signals(tmp_path)[["level"]]


# Class: {parameter: (data, columns, the other parameters, the alternative)}.
OF_MODALITIES = {
    TabularModality: {
        "scale": (numbers, ["size", "count"], {}, "common"),
        "max_categories": (grades, ["x", "letter"], {}, 3),
        "bounds": (numbers, ["size", "count"], {}, (0, 1)),
        "categories": (grades, ["x", "letter"], {}, {"letter": ["a", "b"]}),
        "mask": (numbers, ["size", "count"], {}, 0.3),
    },
    TextModality: {
        "vocabulary": (notes, ["note"], {}, ["warm"]),
        "decoder": (notes, ["note"], {}, "sequence"),
        "max_features": (notes, ["note"], {}, 5),
        "stop_words": (notes, ["note"], {}, ["ocean", "tomato"]),
        "vectorizer": (notes, ["note"], {}, None),
        "n_words": (notes, ["note"], {}, 2),
        "max_length": (notes, ["note"], {"decoder": "sequence"}, 2),
    },
    ImageModality: {
        "size": (pictures, ["photo"], {}, 4),
        "mode": (pictures, ["photo"], {}, "L"),
        "shape": (pixels, [str(i) for i in range(1024)], {"shape": (32, 32)}, (16, 64)),
        "loss": (pictures, ["photo"], {}, "cross-entropy"),
        "augment": (pixels, [str(i) for i in range(1024)], {"shape": (32, 32)}, None),
    },
    AudioModality: {
        "sampling_rate": (sounds, ["sound"], {"rate": 8000}, 4000),
        "rate": (sounds, ["sound"], {"sampling_rate": 8000}, 16_000),
        "max_seconds": (sounds, ["sound"], {"rate": 8000}, 0.05),
        "n_mels": (sounds, ["sound"], {"rate": 8000}, 30),
        "n_fft": (sounds, ["sound"], {"rate": 8000}, 256),
        "hop_length": (sounds, ["sound"], {"rate": 8000}, 160),
        "f_min": (sounds, ["sound"], {"rate": 8000}, 200.0),
        "f_max": (sounds, ["sound"], {"rate": 8000}, 3000.0),
        "mask": (sounds, ["sound"], {"rate": 8000}, 0.3),
    },
    VideoModality: {
        "size": (clips, ["clip"], {}, 4),
        "mode": (clips, ["clip"], {}, "L"),
        "fps": (clips, ["clip"], {}, 0.5),
        "max_seconds": (clips, ["clip"], {}, 3.0),
        "rate": (clips, ["clip"], {"fps": 0.5}, 2.0),
        "max_value": (light_clips, ["clip"], {}, 4.0),
        "mask": (clips, ["clip"], {}, 0.3),
    },
    SequenceModality: {
        "time": (signals, ["clock", "level"], {"time": "clock"}, "level"),
        "sampling_rate": (signals, ["clock", "level"], {"time": "clock"}, 0.5),
        "max_steps": (rises, ["level"], {}, 8),
        "bounds": (rises, ["level"], {}, [(0, 1)]),
        "mask": (rises, ["level"], {}, 0.3),
    },
}

# These change no number of what is read from good files; each has a test of its own effect below.
OWN_EFFECTS = {
    ImageModality: {
        "max_value": "test_max_value_is_white",
        "root": "test_root_is_where_paths_begin",
        "max_pixels": "test_max_pixels_refuses_large_files",
        "on_error": "test_on_error_makes_a_hole_of_what_cannot_be_read",
        "memory": "test_memory_keeps_what_was_read",
    },
    TextModality: {"memory": "test_memory_keeps_what_was_made_of_texts"},
    AudioModality: {
        "root": "test_root_is_where_paths_begin",
        "on_error": "test_on_error_makes_a_hole_of_what_cannot_be_read",
        "memory": "test_memory_keeps_what_was_read",
    },
    VideoModality: {
        "root": "test_root_is_where_paths_begin",
        "max_pixels": "test_max_pixels_refuses_large_files",
        "on_error": "test_on_error_makes_a_hole_of_what_cannot_be_read",
        "memory": "test_memory_keeps_what_was_read",
        "verbose": "test_verbose_shows_how_far_reading_is",
    },
}


def results(modality, X, columns):
    """Return vectors and cells that come back."""
    estimator = make_estimator(
        modalities=[("part", modality, columns)], init="linear", early_stopping=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that rare categories are dropped is the point here
        codes = estimator.fit_transform(X)
        back = estimator.inverse_transform(codes)
    return codes, back


@functools.cache
def usual_results(kind, others, make, columns):
    return results(kind(**dict(others)), make(None), [*columns])


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in BUILTIN for name in parameters_of(kind)],
)
def test_every_parameter_of_a_modality_changes_the_result(kind, name, tmp_path):
    if name in OWN_EFFECTS.get(kind, {}):
        assert callable(globals()[OWN_EFFECTS[kind][name]])
        return
    assert name in OF_MODALITIES.get(kind, {}), missing_entry(kind, name)
    make, columns, others, value = OF_MODALITIES[kind][name]
    codes, back = usual_results(kind, tuple(others.items()), make, tuple(columns))
    other_codes, other_back = results(kind(**{**others, name: value}), make(tmp_path), columns)
    assert not np.array_equal(codes, other_codes) or repr(back.to_dict()) != repr(
        other_back.to_dict()
    )


def write_picture(path, row):
    Image.fromarray(np.full((8, 8, 3), 20 * row, np.uint8)).save(path, "PNG")


def write_sound(path, row):
    samples = np.sin(np.arange(800) * (1 + row) / 10)
    soundfile.write(path, samples, 8000, format="WAV")


def write_clip(path, row):
    with av.open(path, "w", format="mov") as container:
        stream = container.add_stream("png", rate=5)
        stream.width, stream.height, stream.pix_fmt = 8, 8, "rgb24"
        for level in range(3 + row % 3):
            frame = np.full((8, 8, 3), 20 * (row + level), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())


WRITERS = {ImageModality: write_picture, AudioModality: write_sound, VideoModality: write_clip}


def files(kind, folder):
    """Return the names of ten files in a folder, that a kind of modality reads."""
    for row in range(10):
        WRITERS[kind](folder / f"{row}.bin", row)
    return pd.DataFrame({"file": [f"{row}.bin" for row in range(10)]})


def owners(name):
    """Return the modalities whose own effect of a parameter is tested."""
    return [kind for kind in BUILTIN if name in OWN_EFFECTS.get(kind, {})]


@pytest.mark.parametrize("kind", owners("root"))
def test_root_is_where_paths_begin(kind, tmp_path):
    X = files(kind, tmp_path)
    codes, _ = results(kind(root=tmp_path), X, ["file"])
    assert np.isfinite(codes).all()
    with pytest.raises(CellError, match=r"column 'file', row 0: no such file '0\.bin'"):
        results(kind(root=tmp_path / "elsewhere"), X, ["file"])


def test_max_value_is_white(tmp_path):
    X = pictures(tmp_path)
    X["photo"] = [photo.astype(np.uint16) for photo in X["photo"]]
    _, dark = results(ImageModality(max_value=4095), X, ["photo"])
    _, usual = results(ImageModality(), X, ["photo"])
    assert max(photo.max() for photo in dark["photo"]) < 30  # of 255
    assert max(photo.max() for photo in usual["photo"]) > 90


@pytest.mark.parametrize("kind", owners("max_pixels"))
def test_max_pixels_refuses_large_files(kind, tmp_path):
    X = files(kind, tmp_path)
    with pytest.raises(CellError, match=r"'file', row 0: .*max_pixels"):
        results(kind(root=tmp_path, max_pixels=63), X, ["file"])


@pytest.mark.parametrize("kind", owners("on_error"))
def test_on_error_makes_a_hole_of_what_cannot_be_read(kind, tmp_path):
    X = files(kind, tmp_path)
    for row in (3, 7):
        (tmp_path / f"{row}.bin").write_text("nothing of the kind")
    estimator = make_estimator(modalities=[("part", kind(root=tmp_path), ["file"])])
    with pytest.raises(CellError, match="modality 'part', column 'file', row 3"):
        estimator.fit(X)
    estimator.set_params(part__on_error="missing")
    counted = r"modality 'part', column 'file', rows 3, 7: 2 cells cannot be read"
    with pytest.warns(DataWarning, match=counted):
        estimator.fit(X)
    with pytest.warns(DataWarning) as caught:
        codes = estimator.transform(X)
    assert any("2 cells cannot be read" in str(warning.message) for warning in caught)
    holes = X.assign(file=[None if row in (3, 7) else f"{row}.bin" for row in range(10)])
    with pytest.warns(DataWarning, match="nothing is observed"):
        np.testing.assert_array_equal(codes, estimator.transform(holes))


@pytest.mark.parametrize("kind", [kind for kind in owners("memory") if kind in WRITERS])
def test_memory_keeps_what_was_read(kind, tmp_path):
    X = files(kind, tmp_path)
    keeping = kind(root=tmp_path, memory=tmp_path / "cache")
    codes, _ = results(keeping, X, ["file"])
    for path in tmp_path.glob("*.bin"):  # which are not looked into again
        stat = path.stat()
        path.write_bytes(bytes(stat.st_size))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    np.testing.assert_array_equal(results(keeping, X, ["file"])[0], codes)
    with pytest.raises(CellError, match="row 0"):
        results(kind(root=tmp_path), X, ["file"])


HASHED = HashingVectorizer(n_features=16)


@pytest.mark.parametrize("vectorizer", [None, "subwords", HASHED, ["subwords", HASHED]])
def test_memory_keeps_what_was_made_of_texts(vectorizer, tmp_path, monkeypatch):
    X = notes(tmp_path)
    keeping = TextModality(memory=tmp_path / "cache", vectorizer=vectorizer)
    codes, back = results(keeping, X, ["note"])
    expected, expected_back = results(TextModality(vectorizer=vectorizer), X, ["note"])
    np.testing.assert_array_equal(codes, expected)
    pd.testing.assert_frame_equal(back, expected_back)
    monkeypatch.setattr(CountVectorizer, "_count_vocab", lambda *args: pytest.fail("counted again"))
    np.testing.assert_array_equal(results(keeping, X, ["note"])[0], codes)
    keeping.set_params(n_words=2)  # which only what comes back depends on
    np.testing.assert_array_equal(results(keeping, X, ["note"])[0], codes)


@pytest.mark.parametrize("kind", owners("verbose"))
def test_verbose_shows_how_far_reading_is(kind, tmp_path, capsys):
    X = files(kind, tmp_path)
    results(kind(root=tmp_path), X, ["file"])
    assert capsys.readouterr() == ("", "")
    results(kind(root=tmp_path, verbose=2), X, ["file"])
    out, err = capsys.readouterr()
    assert out == ""
    assert "10/10" in err


# Nested parameters ------------------------------------------------------------------------------


def make_nested():
    return make_estimator(
        modalities=[
            ("numbers", TabularModality(), ["size", "count"]),
            ("note", TextModality(), ["note"]),
            ("photo", ImageModality(), ["photo"]),
        ]
    )


def test_nested_parameters_are_read_and_set():
    estimator = make_nested().set_params(photo__size=4, note__n_words=2)
    parameters = estimator.get_params()
    assert parameters["photo__size"] == 4
    assert parameters["note"].n_words == 2
    back = estimator.fit(make_frame()).reconstruct(make_frame())
    assert back["photo"][0].shape == (4, 4, 3)
    assert all(len(note.split()) <= 2 for note in back["note"])


def test_a_modality_is_replaced_by_name():
    estimator = make_nested().set_params(numbers=TabularModality(max_categories=7))
    assert estimator.modalities[0][1].max_categories == 7
    assert estimator.modalities[0][2] == ["size", "count"]


def test_drop_leaves_a_modality_out():
    frame = make_frame()
    estimator = make_nested().set_params(photo="drop").fit(frame)
    assert [name for name, _, _ in estimator.modalities_] == ["numbers", "note"]
    assert list(estimator.reconstruct(frame).columns) == ["size", "count", "note"]
    with pytest.raises(ValueError, match="every modality is 'drop'"):
        make_nested().set_params(photo="drop", note="drop", numbers="drop").fit(frame)


def test_a_misspelt_parameter_lists_the_valid_ones():
    with pytest.raises(ValueError, match=r"sizes.*'size'"):
        make_nested().set_params(photo__sizes=4)
    with pytest.raises(ValueError, match=r"(?s)foto.*n_components.*photo"):
        make_nested().set_params(foto__size=4)
    with pytest.raises(TypeError, match="latent_dim"):
        MultimodalAutoencoder(latent_dim=3)


def test_with_auto_the_error_says_to_paste_what_was_found():
    with pytest.raises(ValueError, match=r"(?s)photo.*modalities=mmae\.modalities_"):
        make_estimator().set_params(photo__size=4)


def test_what_auto_found_can_be_pasted_back():
    frame = make_frame()
    found = make_estimator().fit(frame)
    pasted = make_estimator(modalities=found.modalities_).fit(frame)
    np.testing.assert_array_equal(pasted.transform(frame), found.transform(frame))
    pasted.set_params(photo__size=4).fit(frame)
    assert pasted.reconstruct(frame)["photo"][0].shape == (4, 4, 3)


def test_parameters_given_are_not_written_to():
    frame = make_frame()
    modality = TextModality()
    modalities = [("note", modality, ["note"])]
    make_estimator(modalities=modalities).fit(frame)
    assert modalities == [("note", modality, ["note"])]
    assert not [name for name in vars(modality) if name.endswith("_")]


@pytest.mark.parametrize(
    ("name", "problem"),
    [("noise", "noise"), ("a__b", "__"), ("note", "unique")],
)
def test_names_that_clash_are_refused(name, problem):
    modalities = [("note", TextModality(), ["note"]), (name, TabularModality(), ["size"])]
    with pytest.raises(ValueError, match=problem):
        make_estimator(modalities=modalities).fit(make_frame())


def test_auto_renames_columns_whose_names_clash():
    frame = make_frame().rename(columns={"note": "noise", "photo": "a__b"})
    estimator = make_estimator().fit(frame)
    names = [name for name, _, _ in estimator.modalities_]
    assert "noise" not in names
    assert not any("__" in name for name in names)
    pasted = make_estimator(modalities=estimator.modalities_).fit(frame)
    np.testing.assert_array_equal(pasted.transform(frame), estimator.transform(frame))
