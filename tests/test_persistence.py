"""What users of `save` and `load` rely on."""

import copy
import random
import time
import warnings
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import polars.testing
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.compose import make_column_selector
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from skorch.helper import SliceDict

from sklearn_mmae import (
    Fusion,
    ImageModality,
    ModelFileError,
    MultimodalAutoencoder,
    MultimodalVAE,
    TabularModality,
    TextModality,
    load,
)
from sklearn_mmae._core import archive
from sklearn_mmae.fusion import MeanFusion
from sklearn_mmae.objectives import MMVAE

KIND = "estimator"
N = 24
WORDS = ["red heart", "blue heart", "red car", "big blue car", None, "old cat"]


def random_numbers(*shape):
    return np.random.default_rng(0).normal(size=shape)


def table():
    """Return numbers, nullable and not, categories, bools, dates with a zone, holes."""
    days = pd.date_range("2024-01-31", periods=N, freq="D", tz="Europe/Paris")
    frame = pd.DataFrame(
        {
            "size": random_numbers(N),
            "count": pd.array(np.arange(N) % 5, dtype="Int64"),
            "small": (np.arange(N) % 3).astype(np.int8),
            "colour": pd.Categorical(
                np.array(["red", "blue", "sky"])[np.arange(N) % 3], ordered=True
            ),
            "kind": ["a", "b"] * (N // 2),
            "yes": np.arange(N) % 2 == 0,
            "day": days,
        }
    )
    frame.loc[3, ["size", "count", "colour", "kind", "day"]] = None
    return frame


def polars_table():
    return pl.DataFrame(
        {
            "size": random_numbers(N),
            "count": [None, *range(1, N)],
            "colour": pl.Series(["red", "blue"] * (N // 2), dtype=pl.Enum(["blue", "red"])),
            "day": pl.datetime_range(
                pl.datetime(2024, 1, 1),
                pl.datetime(2024, 1, N),
                interval="1d",
                time_zone="Europe/Paris",
                eager=True,
            ),
            "caption": [f"{word} {i}" for i, word in enumerate(WORDS * 4)],
        }
    )


def texts():
    return pd.DataFrame({"caption": WORDS * 4, "size": random_numbers(N)})


def whole_texts():
    return texts().fillna("nothing")


def pictures():
    pixels = np.random.default_rng(0).integers(0, 256, (N, 6, 7, 3)).astype(np.uint8)
    cells = [*pixels[:-1], None]
    return pd.DataFrame({"photo": pd.Series(cells, dtype=object), "size": random_numbers(N)})


def pixels():
    return np.abs(random_numbers(N, 14)).astype(np.float32)


CASES = {
    "table": (table, {}),
    "polars": (polars_table, {}),
    "array": (lambda: random_numbers(N, 5), {}),
    "key words": (texts, {}),
    "only words": (
        whole_texts,
        {
            "modalities": [
                ("table", "drop", ["size"]),
                ("text", TextModality(vectorizer=None), "caption"),
            ]
        },
    ),
    "sentences": (
        whole_texts,
        {"modalities": [("text", TextModality(decoder="sequence"), ["caption"])]},
    ),
    "pictures": (pictures, {"fusion": "concat"}),
    "cross-entropy": (
        pictures,
        {
            "modalities": [
                ("photo", ImageModality(loss="cross-entropy", mode="L"), "photo"),
                ("table", TabularModality(), slice("size", "size")),
            ]
        },
    ),
    "pixels": (
        pixels,
        {
            "modalities": [
                ("photo", ImageModality(shape=(3, 4)), slice(0, 12)),
                ("table", TabularModality(), [12, -1]),
            ]
        },
    ),
    "selected by a callable": (
        table,
        {"modalities": [("table", TabularModality(), make_column_selector("size|count|small"))]},
    ),
    "arrays by name": (
        lambda: SliceDict(photo=pixels().reshape(N, 7, 2), words=np.array(["a b", "c d"] * 12)),
        {
            "modalities": [
                ("photo", ImageModality(), "photo"),
                ("words", TextModality(), "words"),
            ]
        },
    ),
    "a block of numbers": (lambda: SliceDict(a=random_numbers(N, 3), b=np.arange(N)), {}),
    "other parts": (
        pictures,
        {"fusion": MeanFusion(), "optimizer": torch.optim.RMSprop, "init": "random"},
    ),
    "distributions": (table, {"kind": MultimodalVAE}),
    "distributions of pictures": (
        pictures,
        {"kind": MultimodalVAE, "objective": MMVAE("dreg", 3), "noise_scale": "modality"},
    ),
    "distributions of words": (texts, {"kind": MultimodalVAE, "objective": "mmvae+"}),
    "seven modalities": (
        lambda: random_numbers(N, 7),
        {"modalities": [(f"m{i}", TabularModality(), [i]) for i in range(7)]},
    ),
}


@cache
def fitted(case):
    make, options = CASES[case]
    options = {"n_components": 3, "width": 8, "max_epochs": 2, "random_state": 0} | options
    kind = options.pop("kind", MultimodalAutoencoder)
    return kind(**options).fit(make())


def saved(case, folder):
    path = folder / "model.mmae"
    fitted(case).save(path)
    return path


def changed(path, change):
    """Change the tree in a file, and give it the right checksum again."""
    tree = archive.read(path, kind=KIND)
    change(tree)
    archive.write(path, tree, kind=KIND)
    return path


def assert_same_rows(a, b):
    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b)
    elif isinstance(a, pl.DataFrame):
        pl.testing.assert_frame_equal(a, b)
    elif isinstance(a, SliceDict):
        assert list(a) == list(b)
        for name in a:
            for cell, other in zip(a[name], b[name], strict=True):
                assert_array_equal(cell, other)
    else:
        assert_array_equal(a, b)


@pytest.mark.parametrize("case", CASES)
def test_everything_is_the_same_after_loading(case, tmp_path):
    X, mmae = CASES[case][0](), fitted(case)
    again = load(saved(case, tmp_path))
    codes = mmae.transform(X)
    assert_array_equal(again.transform(X), codes)
    assert_same_rows(again.inverse_transform(codes), mmae.inverse_transform(codes))
    assert_same_rows(again.impute(X), mmae.impute(X))
    assert_array_equal(again.score_samples(X), mmae.score_samples(X))
    for name in ("history_", "n_iter_", "n_components_", "explained_deviance_", "n_features_in_"):
        assert getattr(again, name) == getattr(mmae, name)
    assert_array_equal(
        getattr(again, "feature_names_in_", None), getattr(mmae, "feature_names_in_", None)
    )
    assert str(again.modalities_) == str(mmae.modalities_)
    assert_array_equal(again.get_feature_names_out(), mmae.get_feature_names_out())


@pytest.mark.parametrize(
    "case",
    ["table", "key words", "sentences", "pictures", "other parts", "distributions"],
)
def test_learning_goes_on_after_loading(case, tmp_path):
    X = CASES[case][0]()
    again = load(saved(case, tmp_path))
    before, state = again.transform(X), torch.get_rng_state()
    for _ in range(8):
        again.partial_fit(X)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.isfinite(again.transform(X)).all()
    assert (again.transform(X) != before).any()
    assert again.n_iter_ == fitted(case).n_iter_ + 8


@pytest.mark.parametrize("case", ["table", "only words", "pixels", "pictures", "distributions"])
def test_a_loaded_estimator_can_be_saved_and_refitted(case, tmp_path):
    X = CASES[case][0]()
    again = load(saved(case, tmp_path))
    again.save(tmp_path / "again.mmae")
    assert_array_equal(load(tmp_path / "again.mmae").transform(X), fitted(case).transform(X))
    assert_array_equal(again.fit(X).transform(X), fitted(case).transform(X))


def test_columns_chosen_by_a_callable_are_written_out(tmp_path):
    again = load(saved("selected by a callable", tmp_path))
    assert again.modalities[0][2] == ["size", "count", "small"]


def test_what_belongs_to_this_machine_is_not_kept(tmp_path):
    mmae = copy.deepcopy(fitted("array"))
    mmae.set_params(
        device="meta", verbose=5, callbacks=[print], random_state=np.random.RandomState()
    )
    mmae.save(tmp_path / "model.mmae")
    params = load(tmp_path / "model.mmae").get_params()
    assert params["device"] == "auto"
    assert params["verbose"] == 0
    assert params["callbacks"] is params["random_state"] is None


def test_saving_before_fit_is_an_error(tmp_path):
    with pytest.raises(NotFittedError):
        MultimodalAutoencoder().save(tmp_path / "model.mmae")
    assert not any(tmp_path.iterdir())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load(tmp_path / "nowhere.mmae")


def with_vectorizer(vectorizer):
    modalities = [("words", TextModality(vectorizer=vectorizer), ["caption"])]
    mmae = MultimodalAutoencoder(modalities, 2, width=4, max_epochs=1, random_state=0)
    return mmae.fit(whole_texts())


@pytest.mark.parametrize("make", [lambda one: one, lambda one: ["subwords", one]])
def test_a_vectorizer_that_learns_something_cannot_be_saved(make, tmp_path):
    mmae = with_vectorizer(make(TfidfVectorizer()))
    message = r"'words': vectorizer.* holds a TfidfVectorizer.*requires_fit is False.*joblib.*trust"
    with pytest.raises(TypeError, match=message):
        mmae.save(tmp_path / "model.mmae")
    assert not any(tmp_path.iterdir())


HASHED = HashingVectorizer(n_features=16, ngram_range=(1, 2))


@pytest.mark.parametrize("vectorizer", [HASHED, [HASHED, "subwords", HashingVectorizer()]])
def test_vectorizers_that_learn_nothing_are_saved(vectorizer, tmp_path):
    if isinstance(vectorizer, list):
        vectorizer[2].n_features = 32
    mmae, path = with_vectorizer(vectorizer), tmp_path / "model.mmae"
    mmae.save(path)
    with pytest.raises(ModelFileError, match=r"HashingVectorizer.*trusted=\[HashingVectorizer\]"):
        load(path)
    with pytest.raises(ModelFileError, match="HashingVectorizer"):
        load(path, trusted=[Scaled])
    again = load(path, trusted=[HashingVectorizer])
    assert_array_equal(again.transform(whole_texts()), mmae.transform(whole_texts()))
    assert str(again.get_params()) == str(mmae.get_params())
    again.save(path)
    again = load(path, trusted=[HashingVectorizer]).fit(whole_texts())
    assert_array_equal(again.transform(whole_texts()), mmae.transform(whole_texts()))


def pool(encodings, present):
    return torch.where(present[..., None], encodings, 0).mean(-3)


def test_a_function_as_fusion_cannot_be_saved(tmp_path):
    mmae = MultimodalAutoencoder(
        n_components=2, width=4, max_epochs=1, random_state=0, fusion=pool
    ).fit(texts())
    with pytest.raises(TypeError, match=r"fusion=.*joblib.*trust"):
        mmae.save(tmp_path / "model.mmae")


def test_categories_that_are_objects_cannot_be_saved(tmp_path):
    frame = table().assign(size=pd.cut(random_numbers(N), 3))
    mmae = MultimodalAutoencoder(n_components=2, width=4, max_epochs=1, random_state=0).fit(frame)
    with pytest.raises(TypeError, match=r"categories.*Interval.*joblib"):
        mmae.save(tmp_path / "model.mmae")


class Scaled(TabularModality):
    """A modality of the user's own, with a parameter of its own."""

    def __init__(self, max_categories=100, factor=2.0):
        super().__init__(max_categories)
        self.factor = factor

    def fit(self, cells):
        super().fit(cells)
        self.scale_ = self.scale_ * self.factor
        return self


class First(Fusion):
    """A fusion of the user's own, with a parameter of its own."""

    def __init__(self, strength=1.0):
        super().__init__()
        self.strength = strength

    def build(self, n_modalities, width, n_components):
        self.head = torch.nn.Linear(width, n_components)

    def forward(self, encodings, present, start):
        first = torch.where(present[..., :1, :, None], encodings[:1], 0)[..., 0, :, :]
        return self.strength * self.head(first)


def test_classes_of_the_user_are_built_only_if_trusted(tmp_path):
    X, path = random_numbers(N, 4), tmp_path / "model.mmae"
    mmae = MultimodalAutoencoder(
        [("a", Scaled(factor=3.0), [0, 1]), ("b", TabularModality(), [2, 3])],
        n_components=2,
        fusion=First(0.5),
        width=4,
        max_epochs=1,
        random_state=0,
    ).fit(X)
    mmae.save(path)
    with pytest.raises(ModelFileError, match=r"class 'First'.*trusted=\[First\]"):
        load(path)
    with pytest.raises(ModelFileError, match=r"class 'Scaled'.*trusted=\[Scaled\]"):
        load(path, trusted=[First])
    again = load(path, trusted=[Scaled, First])
    assert again.fusion.strength == 0.5
    assert again.modalities_[0][1].factor == 3.0
    assert_array_equal(again.transform(X), mmae.transform(X))


@pytest.mark.parametrize("trusted", [[dict], ["First"], [First(1.0)]])
def test_only_classes_that_a_file_can_use_can_be_trusted(trusted, tmp_path):
    with pytest.raises(TypeError, match="trusted"):
        load(saved("array", tmp_path), trusted=trusted)


def test_a_trusted_class_cannot_take_the_name_of_ours(tmp_path):
    impostor = type("TabularModality", (Scaled,), {})
    with pytest.raises(ValueError, match="TabularModality already"):
        load(saved("array", tmp_path), trusted=[impostor])


# Files that lie ----------------------------------------------------------------------------------


def put(*keys, value):
    """Return a change that sets one value deep in the tree."""

    def change(tree):
        for key in keys[:-1]:
            tree = tree[key]
        tree[keys[-1]] = value

    return change


def drop(*keys):
    def change(tree):
        for key in keys[:-1]:
            tree = tree[key]
        del tree[keys[-1]]

    return change


def scale_of_zero(tree):
    tree["weights"]["scale"][0] = 0


def weights_with_nan(tree):
    tree["weights"]["projections.0.weight"][0, 0] = np.nan


def many_patterns(tree):
    rows = np.zeros((100_000, 1), bool)
    rows[-1] = True
    tree["weights"]["patterns"] = rows


def doubled(name):
    def change(tree):
        tree["weights"][name] = tree["weights"][name].astype(np.float64)

    return change


PARAMETERS, ATTRIBUTES = ("parameters",), ("attributes",)
STATE = (*ATTRIBUTES, "modalities", 0, "state")
FORM = (*ATTRIBUTES, "container", "forms", 0)
EVIL = {
    "a device": put(*PARAMETERS, "device", value="cuda:99"),
    "callbacks": put(*PARAMETERS, "callbacks", value=["os.system"]),
    "a missing parameter": drop(*PARAMETERS, "lr"),
    "epochs without end": put(*PARAMETERS, "max_epochs", value=10**18),
    "a learning rate of text": put(*PARAMETERS, "lr", value="1"),
    "an infinite learning rate": put(*PARAMETERS, "lr", value=float("inf")),
    "an unknown fusion": put(*PARAMETERS, "fusion", value="os"),
    "a fusion of another kind": put(
        *PARAMETERS, "fusion", value={"class": "TabularModality", "parameters": {}}
    ),
    "an optimizer by path": put(*PARAMETERS, "optimizer", value={"class": "os.system"}),
    "modalities of text": put(*PARAMETERS, "modalities", value="automatic"),
    "an unknown class": put(
        *ATTRIBUTES, "modalities", 0, "modality", "class", value="subprocess.Popen"
    ),
    "a parameter of no class": put(
        *ATTRIBUTES, "modalities", 0, "modality", "parameters", "extra", value=1
    ),
    "a parameter out of range": put(
        *ATTRIBUTES, "modalities", 0, "modality", "parameters", "max_categories", value=-1
    ),
    "epochs of text": put(*ATTRIBUTES, "n_iter", value="x"),
    "no components": put(*ATTRIBUTES, "n_components", value=0),
    "a true number of components": put(*ATTRIBUTES, "n_components", value=True),
    "a huge number of components": put(*ATTRIBUTES, "n_components", value=10**12),
    "a huge width": put(*ATTRIBUTES, "built", "width", value=10**9),
    "another width": put(*ATTRIBUTES, "built", "width", value=9),
    "an extra attribute": put(*ATTRIBUTES, "transform", value=1),
    "an extra key": put("extra", value=1),
    "no weights": put("weights", value={}),
    "weights of lists": put("weights", value=[]),
    "a method shadowed": put(*STATE, "transform", value=1),
    "a scale of 0": put(*STATE, "scale_", value=np.zeros(5)),
    "a mean of nan": put(*STATE, "mean_", value=np.full(5, np.nan)),
    "a mean too short": put(*STATE, "mean_", value=np.zeros(4)),
    "a missing state": drop(*STATE, "weight_"),
    "unknown kinds of columns": put(*STATE, "kinds_", value=["code"] * 5),
    "dtypes that are none": put(*STATE, "dtypes_", value=["__import__('os')"] * 5),
    "a column outside": put(*ATTRIBUTES, "places", value=[[0, 1, 2, 3, 99]]),
    "a column twice": put(*ATTRIBUTES, "places", value=[[0, 1, 2, 3, 3]]),
    "an unknown kind of rows": put(*ATTRIBUTES, "container", "kind", value="pickle"),
    "too few names": put(*ATTRIBUTES, "container", "names", value=[0]),
    "names that are lists": put(*ATTRIBUTES, "container", "names", value=[[]] * 5),
    "a dtype of no column": put(*FORM, "dtype", value=["numpy", "V9999999999"]),
    "a dtype that is none": put(*FORM, "dtype", value=["os", "system"]),
    "a time zone that is a file": put(
        *FORM, "dtype", value=["DatetimeTZDtype", "ns", "dateutil//etc/passwd"]
    ),
    "cells of an unknown type": put(*FORM, "cells", value="Popen"),
    "a block without end": put(*FORM, "width", value=10**18),
    "epochs that are not there": put(*ATTRIBUTES, "history", "n_epochs", value=10**9),
    "scale of the network 0": scale_of_zero,
    "weights that are nan": weights_with_nan,
    "patterns without end": many_patterns,
    "weights of another type": doubled("networks.0.encoder.0.weight"),
    "weights of another name": drop("weights", "networks.0.encoder.0.weight"),
    "another table of patterns": put("weights", "meet", value=np.full((2, 2), 99)),
}


@pytest.mark.parametrize("evil", EVIL)
def test_a_file_that_lies_is_refused_at_once(evil, tmp_path):
    path = changed(saved("array", tmp_path), EVIL[evil])
    start = time.perf_counter()
    with pytest.raises(ModelFileError, match=r"model\.mmae"):
        load(path)
    assert time.perf_counter() - start < 1


def not_symmetric(tree):
    tree["weights"]["precisions"][0, 0, 1] += 9


def negative(tree):
    tree["weights"]["precisions"][0] = -2 * np.eye(3)


@pytest.mark.parametrize(
    "lie",
    [
        not_symmetric,
        negative,
        put(*ATTRIBUTES, "information", value=np.zeros(2)),
        put(*ATTRIBUTES, "built", "objective", value="os"),
        put(*PARAMETERS, "beta", value=-1.0),
        put("class", value="MultimodalAutoencoder"),
        put("class", value="Popen"),
    ],
)
def test_distributions_that_lie_are_refused(lie, tmp_path):
    path = changed(saved("distributions", tmp_path), lie)
    with pytest.raises(ModelFileError, match=r"model\.mmae"):
        load(path)


def picture_of(**state):
    return lambda tree: tree["attributes"]["modalities"][0]["state"].update(state)


@pytest.mark.parametrize(
    ("case", "lie"),
    [
        ("pictures", picture_of(size_=(10**6, 10**6))),
        ("pictures", picture_of(mode_="CMYK")),
        ("pictures", picture_of(units_={"float": 0.0})),
        ("sentences", picture_of(n_tokens_=10**9)),
        ("sentences", picture_of(tokens_=["", 1])),
        ("only words", picture_of(vocabulary_=["a"])),
        ("only words", picture_of(null_deviance_=0.0)),
        ("only words", picture_of(block_scales_=np.zeros(1))),
    ],
)
def test_texts_and_pictures_that_lie_are_refused(case, lie, tmp_path):
    path = changed(saved(case, tmp_path), lie)
    if case == "pictures":  # the table comes first
        path = changed(saved(case, tmp_path), lambda tree: _lie_about(tree, "photo", lie))
    with pytest.raises(ModelFileError):
        load(path)


def _lie_about(tree, name, lie):
    modalities = tree["attributes"]["modalities"]
    modalities.sort(key=lambda entry: entry["name"] != name)
    lie(tree)
    modalities.sort(key=lambda entry: entry["name"] == name)


def vectorizer_of(value):
    return put(*ATTRIBUTES, "modalities", 0, "modality", "parameters", "vectorizer", value=value)


HASHING = {"class": "HashingVectorizer", "parameters": {}}


@pytest.mark.parametrize(
    "lie",
    [
        vectorizer_of({"class": "Popen", "parameters": {}}),
        vectorizer_of({"class": "Scaled", "parameters": {}}),
        vectorizer_of({"class": "HashingVectorizer", "parameters": {"extra": 1}}),
        vectorizer_of({"class": "HashingVectorizer", "parameters": []}),
        vectorizer_of({"class": "HashingVectorizer"}),
        vectorizer_of([HASHING]),
        vectorizer_of(["subwords", HASHING, HASHING]),
        vectorizer_of([]),
        put(*STATE, "vectorizers_", value=[]),
        put(*STATE, "vectorizers_", value=["subwords"]),
        put(*STATE, "vectorizers_", value=[HASHING, HASHING]),
        put(*STATE, "vectorizers_", value=HASHING),
        put(*STATE, "offsets_", value=[]),
        put(*STATE, "offsets_", value=[np.zeros(15)]),
        put(*STATE, "offsets_", value=[np.full(16, np.nan)]),
        put(*STATE, "offsets_", value=[[0.0] * 16]),
        put(*STATE, "offsets_", value=np.zeros((1, 16))),
        drop(*STATE, "offsets_"),
    ],
)
def test_vectorizers_that_lie_are_refused(lie, tmp_path):
    path = tmp_path / "model.mmae"
    with_vectorizer(["subwords", HASHED]).save(path)
    with pytest.raises(ModelFileError, match=r"model\.mmae"):
        load(changed(path, lie), trusted=[HashingVectorizer, Scaled])


def test_a_newer_version_says_so(tmp_path):
    path = saved("array", tmp_path)
    data = path.read_bytes().replace(b'"version":"2"', b'"version":"9"', 1)
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match="version 9, newer"):
        load(path)


def test_a_damaged_file_is_refused(tmp_path):
    path = saved("key words", tmp_path)
    whole, rng = path.read_bytes(), random.Random(0)
    for _ in range(300):
        data = bytearray(whole)
        place = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[place:]
        elif kind == 2:
            data[place:place] = rng.randbytes(rng.randrange(1, 9))
        else:
            del data[place : place + rng.randrange(1, 9)]
        path.write_bytes(data)
        with pytest.raises(ModelFileError):
            load(path)


def all_places(node, keys=()):
    yield keys
    if isinstance(node, dict | list):
        for key, item in node.items() if isinstance(node, dict) else enumerate(node):
            yield from all_places(item, (*keys, key))


@pytest.mark.parametrize("case", ["table", "polars", "sentences", "pictures", "distributions"])
def test_a_changed_tree_is_refused_or_makes_a_whole_estimator(case, tmp_path):
    path, rng = saved(case, tmp_path), random.Random(0)
    whole, X = archive.read(path, kind=KIND), CASES[case][0]()
    places = list(all_places(whole))[1:]
    others = [None, True, -1, 2**40, 0.0, "x", [], {}, (1, 2), np.zeros(3), np.zeros((2, 2), bool)]
    for _ in range(60):
        tree = copy.deepcopy(whole)
        put(*rng.choice(places), value=rng.choice(others))(tree)
        archive.write(path, tree, kind=KIND)
        try:
            again = load(path)
        except ModelFileError:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as of a category that is now another
            assert len(again.inverse_transform(np.zeros((1, again.n_components_)))) == 1
            assert again.transform(X).shape == (N, 3)


# Writing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), MemoryError()])
def test_a_failed_save_leaves_the_old_file(failure, tmp_path, monkeypatch):
    path = saved("array", tmp_path)
    before = path.read_bytes()

    def fail(*args):
        raise failure

    monkeypatch.setattr(archive.os, "fsync", fail)
    with pytest.raises(type(failure)):
        fitted("table").save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
