"""What may go wrong around a fit: signals, forks, exceptions, forged files, rows of any pattern."""

import itertools
import os
import pickle
import signal
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make_frame
from skorch.callbacks import Callback

from sklearn_mmae import (
    CellError,
    ImageModality,
    ModelFileError,
    MultimodalAutoencoder,
    MultimodalVAE,
    TabularModality,
    TextModality,
    load,
)
from sklearn_mmae._core import archive
from sklearn_mmae._core.errors import ConvergenceError
from sklearn_mmae.model import _learn
from sklearn_mmae.training import _lesson

HOOKS = ["on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end"]
ROWS = np.random.default_rng(0).normal(size=(120, 4)) @ np.ones((4, 6))


def make_estimator(**parameters):
    defaults = {"n_components": 2, "width": 8, "max_epochs": 3, "random_state": 0, "dropout": 0.5}
    return MultimodalAutoencoder(**{**defaults, **parameters})


# Exceptions and signals --------------------------------------------------------------------------


class Raises(Callback):
    """Raise an error at a hook, once it is armed."""

    def __init__(self, hook, error):
        self.armed = False
        setattr(self, hook, lambda net, **kwargs: self._raise(error))

    def _raise(self, error):
        if self.armed:
            raise error


@pytest.fixture(scope="module")
def codes_later():
    """Codes after a fit and an epoch that nothing interrupts."""
    return make_estimator().fit(ROWS).partial_fit(ROWS).transform(ROWS)


@pytest.mark.parametrize(
    ("hook", "error"),
    [
        *itertools.product(HOOKS, [RuntimeError, KeyboardInterrupt]),
        *itertools.product(HOOKS[:1], [MemoryError, SystemExit]),
    ],
)
def test_partial_fit_leaves_what_there_was_whatever_is_raised(hook, error, codes_later):
    callback = Raises(hook, error)
    estimator = make_estimator(callbacks=[callback]).fit(ROWS)
    before, n_epochs = estimator.transform(ROWS), len(estimator.history_)
    callback.armed = True
    with pytest.raises(error):
        estimator.partial_fit(ROWS)
    for _ in range(2):  # with dropout, a network that still trains says something else each time
        np.testing.assert_array_equal(estimator.transform(ROWS), before)
    assert (estimator.n_iter_, len(estimator.history_)) == (n_epochs, n_epochs)
    callback.armed = False
    after = estimator.partial_fit(ROWS).transform(ROWS)
    np.testing.assert_array_equal(after, codes_later)


@pytest.mark.parametrize(
    ("module", "phase"),
    [(_lesson, "finishing"), (_learn, "learn_cells"), (_learn, "learn_density")],
)
def test_ctrl_c_after_the_epochs_keeps_the_best_of_them(module, phase, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    estimator = make_estimator(max_epochs=8, init="random")
    monkeypatch.setattr(module, phase, interrupt)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(ROWS)
    assert estimator.n_iter_ >= 8
    assert estimator.score(ROWS) > 0
    before = estimator.transform(ROWS)
    with pytest.raises(KeyboardInterrupt):  # what is fitted stays as it was
        estimator.fit(-ROWS)
    np.testing.assert_array_equal(estimator.transform(ROWS), before)


def test_ctrl_c_at_any_line_leaves_an_estimator_of_before_or_after():
    estimator, other = make_estimator(max_epochs=0).fit(ROWS), make_estimator(max_epochs=1)
    model = other.fit(ROWS[:, :4])._model
    names = [set(vars(fitted)) for fitted in (estimator, other)]
    for n_lines in itertools.count():  # Python 3.12 has more of them: comprehensions are inlined
        lines = iter(range(n_lines))

        def trace(frame, event, argument, lines=lines):
            if frame.f_code.co_name == "_keep" and event == "line" and next(lines, None) is None:
                raise KeyboardInterrupt
            return trace

        sys.settrace(trace)
        try:
            estimator._keep(model)
        except KeyboardInterrupt:
            assert set(vars(estimator)) in names
            assert estimator.n_features_in_ == len(estimator._model.columns.names)
        else:
            break
        finally:
            sys.settrace(None)
    assert n_lines > 2
    assert estimator.n_features_in_ == 4


# Forks -------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_forked_beside_threads_inherits_no_lock():
    estimator, over = make_estimator(max_epochs=0).fit(ROWS), threading.Event()

    def serve():
        while not over.is_set():
            estimator.transform(ROWS[:3])

    n_threads, servers = torch.get_num_threads(), [threading.Thread(target=serve) for _ in "123"]
    torch.set_num_threads(2)
    for server in servers:
        server.start()
    try:
        ends = [_end_of_child(lambda: estimator.transform(ROWS[:3])) for _ in range(20)]
    finally:
        over.set()
        for server in servers:
            server.join()
        torch.set_num_threads(n_threads)
    assert ends == [0] * 20


def _end_of_child(work, seconds=60):
    """Return how a forked child ends; None for one that does not."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(0 if sys.exc_info()[0] is None else 1)
    for _ in range(seconds * 100):
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


# Forged files ------------------------------------------------------------------------------------


def forge(path, change):
    tree = archive.read(path, kind="estimator")
    change(tree)
    archive.write(path, tree, kind="estimator")


def learned(tree, m=0):
    return tree["attributes"]["modalities"][m]["state"]


@pytest.fixture(scope="module")
def of_sentences():
    texts = pd.DataFrame({"text": ["red heart", "blue car", "old red car"] * 10})
    sentence = TextModality(decoder="sequence", max_length=8)
    return make_estimator(modalities=[("text", sentence, ["text"])], max_epochs=1).fit(texts)


@pytest.mark.parametrize("length", [20_000, 10**8])
def test_a_file_does_not_say_how_long_sentences_are(length, of_sentences, tmp_path):
    def lie(tree):
        learned(tree)["n_tokens_"] = length
        for name in ("max_length", "n_tokens_"):
            tree["attributes"]["modalities"][0]["modality"].get("parameters", {})[name] = length

    path = tmp_path / "a.mmae"
    of_sentences.save(path)
    forge(path, lie)
    with pytest.raises(ModelFileError):
        load(path)


@pytest.mark.parametrize(
    "dtype",
    [
        *("(100000000,)f8", "S500000000", "V100000000", "U99999999", "f8,f8", "O"),
        *("datetime64[us, dateutil//etc/passwd]", "datetime64[ns, /etc/passwd]"),
        *("datetime64[ns, ../../etc/passwd]", "datetime64[ns, tzlocal()]"),
    ],
)
def test_a_file_names_no_dtypes_but_those_of_columns(dtype, tmp_path):
    opened, path = [], tmp_path / "a.mmae"
    sys.addaudithook(lambda event, args: event == "open" and opened.append(str(args[0])))
    estimator = make_estimator(max_epochs=0).fit(make_frame(40)[["size", "day"]])
    for change in (
        lambda tree: learned(tree)["dtypes_"].__setitem__(0, dtype),
        lambda tree: tree["attributes"]["columns"]["forms"][0].update(dtype=dtype),
    ):
        estimator.save(path)
        try:
            forge(path, change)
        except (KeyError, TypeError, AttributeError):
            continue  # of a place that files do not have
        opened.clear()
        with pytest.raises(ModelFileError):
            load(path)
        assert not [name for name in opened if "passwd" in name]


def test_a_file_does_not_widen_what_its_reader_allows(tmp_path):
    pictures = pd.DataFrame({"p": list(np.random.default_rng(0).integers(0, 255, (30, 6, 6, 3)))})
    modality = ImageModality(root=tmp_path, max_pixels=2**40)
    estimator = make_estimator(modalities=[("p", modality, ["p"])], max_epochs=0).fit(pictures)
    estimator.save(tmp_path / "a.mmae")
    mmae = load(tmp_path / "a.mmae", root=tmp_path / "mine")
    for found in (mmae.modalities[0][1], mmae.modalities_[0][1]):
        assert found.max_pixels == 50_000_000
        assert found.root == tmp_path / "mine"
    assert load(tmp_path / "a.mmae", max_pixels=100).modalities_[0][1].max_pixels == 100


# Rows of any pattern -----------------------------------------------------------------------------


def test_many_patterns_are_solved_within_bounded_memory(monkeypatch):
    from sklearn_mmae.training import _patterns, _predict

    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(200, 10)) + rng.normal(size=(200, 1))).add_prefix("c")
    modalities = [(name, TabularModality(), [name]) for name in X]
    estimator = make_estimator(modalities=modalities, max_epochs=0).fit(X)
    rows = X.mask(rng.random(X.shape) < 0.4)
    codes, filled = estimator.transform(rows), estimator.impute(rows)
    for row in range(5):  # and a row's bits are its own
        np.testing.assert_array_equal(estimator.transform(rows[row : row + 1])[0], codes[row])
    estimator.net_.module_._forget_solved()
    monkeypatch.setattr(_patterns, "MOST_REMEMBERED", 100)
    monkeypatch.setattr(_predict, "MOST_NUMBERS", 100)
    np.testing.assert_array_equal(estimator.transform(rows), codes)
    np.testing.assert_array_equal(estimator.impute(rows), filled)
    assert estimator.net_.module_.solved._size < 200


@pytest.mark.parametrize("init", ["linear", "random"])
@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalVAE])
def test_patterns_are_solved_alike_after_save_and_load(kind, init, tmp_path):
    X = pd.DataFrame(ROWS[:, :5]).add_prefix("c")
    modalities = [(name, TabularModality(), [name]) for name in X]
    estimator = kind(modalities, n_components=4, width=8, max_epochs=1, init=init, random_state=0)
    estimator.fit(X.head(60)).save(tmp_path / "a.mmae")
    rows = X.head(60).mask(np.random.default_rng(0).random((60, X.shape[1])) < 0.3)
    for other in (load(tmp_path / "a.mmae"), pickle.loads(pickle.dumps(estimator))):
        np.testing.assert_array_equal(other.transform(rows), estimator.transform(rows))
    network = estimator.net_.module_
    assert bool(network.own_paths[1].any()) == (init == "linear")


def test_patterns_solved_while_predicting_can_be_trained_with(tmp_path):
    X = pd.DataFrame(ROWS).add_prefix("c")
    modalities = [(name, TabularModality(), [name]) for name in X]
    estimator = make_estimator(modalities=modalities, early_stopping=False).fit(X)
    estimator.save(tmp_path / "a.mmae")
    loaded = load(tmp_path / "a.mmae")
    np.testing.assert_array_equal(loaded.transform(X), estimator.transform(X))
    assert np.isfinite(loaded.partial_fit(X).transform(X)).all()


@pytest.mark.parametrize("widths", [(30, 30), (30, 8, 8), (5,) * 12, (2, 40)])
def test_views_are_reduced_as_far_as_all_of_them_ask(widths, monkeypatch):
    from sklearn_mmae.training.start import _moments

    monkeypatch.setattr(_moments, "MOST_TOGETHER", 48)
    sizes = _moments.reduced_sizes(widths, 2)
    assert all(size <= width for size, width in zip(sizes, widths, strict=True))
    assert sum(sizes) <= max(48, 4 * len(widths))
    X = np.random.default_rng(0).normal(size=(60, sum(widths)))
    first = np.cumsum([0, *widths])
    modalities = [
        (f"m{i}", TabularModality(), slice(int(a), int(b)))
        for i, (a, b) in enumerate(itertools.pairwise(first))
    ]
    estimator = make_estimator(modalities=modalities, max_epochs=1).fit(X)
    X[:10, : widths[0]] = np.nan
    assert np.isfinite(estimator.impute(X)).all()
    assert torch.isfinite(estimator.net_.module_.direct.covariance).all()


# Columns and messages ----------------------------------------------------------------------------


def test_cells_of_arrays_are_what_the_remedy_says():
    panel = np.random.default_rng(0).normal(size=(40, 2, 12))
    with pytest.raises(ValueError, match=r"list\(X\)\}.*list\(X\.swapaxes\(1, 2\)\)"):
        make_estimator().fit(panel)
    estimator = make_estimator().fit(pd.DataFrame({"signal": list(panel.swapaxes(1, 2))}))
    assert [type(modality).__name__ for _, modality, _ in estimator.modalities_] == [
        "SequenceModality"
    ]


def test_a_call_warns_once_of_unseen_categories():
    X = pd.DataFrame({"x": np.arange(60.0), "a": ["u", "v", "w"] * 20, "b": ["u", "v", "w"] * 20})
    estimator = make_estimator(max_epochs=0).fit(X)
    with pytest.warns(match="column 'a'.*'new'; column 'b'.*'new' not seen") as warned:
        estimator.transform(X.assign(a="new", b="new"))
    assert len(warned) == 1


# Numbers beyond those of fit ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalVAE])
@pytest.mark.parametrize("size", [1e15, 1e19, 1e100])
def test_no_answer_is_infinite_in_silence(kind, size):
    X = pd.DataFrame(ROWS[:40], columns=list("abcdef"))
    X["word"] = np.where(X["a"] > 0, "red car", "blue sea")
    table, text = ("table", TabularModality(), [*"abcdef"]), ("text", TextModality(), ["word"])
    estimator = kind([table, text], n_components=2, width=8, max_epochs=0, random_state=0).fit(X)
    wild = X.head(3).copy()
    wild.loc[1, "b"] = size
    for method in ("transform", "score_samples", "score", "impute", "reconstruct"):
        try:
            answer = pd.DataFrame(np.atleast_1d(getattr(estimator, method)(wild)))
            finite = np.isfinite(answer.select_dtypes("number").to_numpy()).all()
        except (CellError, ConvergenceError) as error:
            finite = "row 1" in str(error)
        assert finite
