"""Inside scikit-learn's tools and skorch's, with every container that their splitters can cut."""

import copy
import io
import pickle
import sys
from html.parser import HTMLParser

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from conftest import fit_once
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.helper import SliceDict

from sklearn_mmae import (
    ImageModality,
    MultimodalAutoencoder,
    MultimodalVAE,
    TabularModality,
    TextModality,
)
from sklearn_mmae._core.progress import progress_bar


def make_estimator(**parameters):
    defaults = {"n_components": 3, "width": 8, "max_epochs": 2, "random_state": 0}
    return MultimodalAutoencoder(**{**defaults, **parameters})


def explicit():
    return [
        ("numbers", TabularModality(), ["size", "count", "colour"]),
        ("note", TextModality(), ["note"]),
        ("photo", ImageModality(), ["photo"]),
    ]


# scikit-learn's tools ---------------------------------------------------------------------------


def test_pipeline_and_cross_validation(frame):
    target = frame["size"] > 5
    model = make_pipeline(make_estimator(), StandardScaler(), LogisticRegression())
    assert model.fit(frame, target).score(frame, target) > 0.6
    assert np.isfinite(cross_val_score(model, frame, target, cv=2)).all()
    # Without a target the estimator's own score is what is compared.
    assert np.isfinite(cross_val_score(make_estimator(), frame, cv=2)).all()


@pytest.mark.slow
def test_grid_search_in_two_processes_reaches_into_the_modalities(frame):
    model = Pipeline([("mmae", make_estimator(modalities=explicit()))])
    grid = {
        "mmae__photo__size": [4, 8],
        "mmae__fusion": ["joint", "mean"],
    }
    in_two = GridSearchCV(model, grid, cv=2, n_jobs=2, error_score="raise").fit(frame)
    scores = in_two.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert len(set(scores)) >= 2  # where the networks do not help, fusions tie
    in_one = clone(in_two).set_params(n_jobs=1).fit(frame)
    np.testing.assert_array_equal(in_one.cv_results_["mean_test_score"], scores)
    assert in_two.best_estimator_["mmae"].transform(frame).shape[1] == 3


def test_feature_union_and_column_transformer(frame):
    union = FeatureUnion([("few", make_estimator(n_components=1)), ("more", make_estimator())])
    assert union.fit_transform(frame).shape == (40, 4)
    table = ColumnTransformer(
        [("all", make_estimator(), ["size", "note", "photo"]), ("count", "passthrough", ["count"])]
    )
    assert table.fit_transform(frame).shape == (40, 4)
    names = table.get_feature_names_out().tolist()
    assert names == [*(f"all__multimodalautoencoder{i}" for i in range(3)), "count__count"]


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_set_output(frame, container):
    estimator = make_estimator().set_output(transform=container)
    found = estimator.fit_transform(frame)
    assert isinstance(found, pd.DataFrame if container == "pandas" else pl.DataFrame)
    assert list(found.columns) == estimator.get_feature_names_out().tolist()
    if container == "pandas":
        part = frame.iloc[[7, 3]]
        assert estimator.transform(part).index.tolist() == [7, 3]
        assert estimator.inverse_transform(estimator.transform(part)).index.tolist() == [7, 3]


def test_train_test_split_of_pandas_and_polars(frame):
    for whole in (frame, to_polars(frame)):
        train, test = train_test_split(whole, test_size=10, random_state=0)
        estimator = make_estimator().fit(train)
        assert estimator.transform(test).shape == (10, 3)
        back = estimator.inverse_transform(estimator.transform(test))
        assert type(back) is type(whole)
        assert list(back.columns) == list(whole.columns)


def to_polars(frame):
    columns = {}
    for name in frame:
        if name == "photo":
            columns[name] = pl.Series(name, list(frame[name]), dtype=pl.Object)
        else:
            whole = frame[name].dtype != object  # where polars 1.0 takes NaN for no text
            column = frame[name] if whole else frame[name].where(frame[name].notna(), None)
            columns[name] = pl.from_pandas(column)
    return pl.DataFrame(columns)


def test_a_dict_of_arrays_that_can_be_cut(frame):
    X = SliceDict(
        photo=np.stack(frame["photo"]),
        note=frame["note"].to_numpy(object),
        numbers=frame[["size", "count"]].to_numpy(float),
    )
    estimator = make_estimator()
    assert np.isfinite(cross_val_score(estimator, X, cv=2)).all()
    back = estimator.fit(X).reconstruct(X)
    assert isinstance(back, SliceDict)
    assert {name: len(values) for name, values in back.items()} == dict.fromkeys(X, 40)
    assert back["numbers"].shape == (40, 2)
    assert estimator.translate(X, to="photo")["photo"][0].shape == (8, 8, 3)
    numbers = estimator.translate(SliceDict(note=X["note"]), to="numbers")["numbers"]
    assert numbers.shape == (40, 2)
    X["numbers"][3, 1] = np.nan
    filled = estimator.impute(X)["numbers"]
    assert np.isfinite(filled).all()
    assert (filled != X["numbers"]).sum() == 1


@pytest.mark.parametrize("make", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
def test_sparse_is_what_dense_is(make):
    X = np.random.default_rng(0).poisson(0.4, (50, 12)).astype(float)
    dense, sparse = make_estimator().fit(X), make_estimator().fit(make(X))
    np.testing.assert_array_equal(sparse.transform(make(X)), dense.transform(X))
    assert sparse.inverse_transform(sparse.transform(X)).shape == (50, 12)


# Copies -----------------------------------------------------------------------------------------


def test_clone_is_unfitted_and_learns_the_same(frame):
    estimator = make_estimator(modalities=explicit()).fit(frame)
    again = clone(estimator)
    with pytest.raises(NotFittedError):
        again.transform(frame)
    np.testing.assert_array_equal(again.fit_transform(frame), estimator.transform(frame))


@pytest.mark.parametrize(
    "copied",
    [
        lambda estimator: pickle.loads(pickle.dumps(estimator)),
        copy.deepcopy,
        copy.copy,
    ],
    ids=["pickle", "deepcopy", "copy"],
)
def test_copies_work_like_the_original(frame, copied):
    estimator = fit_once(make_estimator(), frame)
    codes = estimator.transform(frame)
    again = copied(estimator)
    np.testing.assert_array_equal(again.transform(frame), codes)
    assert again.translate(frame, to="note").equals(estimator.translate(frame, to="note"))
    again.partial_fit(frame)
    assert not np.array_equal(again.transform(frame), codes)
    np.testing.assert_array_equal(estimator.transform(frame), codes)


def test_joblib_reads_the_weights_from_a_mapped_file(frame, tmp_path):
    estimator = make_estimator().fit(frame)
    joblib.dump(estimator, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    np.testing.assert_array_equal(mapped.transform(frame), estimator.transform(frame))
    mapped.partial_fit(frame)


def test_a_pickle_holds_no_network(frame):
    estimator = make_estimator(verbose=1).fit(frame)
    modules = set()

    class Watching(pickle.Unpickler):
        def find_class(self, module, name):
            modules.add(module.split(".")[0])
            return super().find_class(module, name)

    Watching(io.BytesIO(pickle.dumps(estimator))).load()
    assert modules <= {"sklearn_mmae", "numpy", "builtins", "copyreg", "_codecs"}


# scikit-learn's callbacks ------------------------------------------------------------------------


class Recorder:
    """Writes down every task that scikit-learn's protocol tells of."""

    def __init__(self, stop_after=None):
        self.begun, self.ended, self.stop_after = [], [], stop_after
        self.set_up = self.torn_down = 0

    def setup(self, estimator, context):
        self.set_up += 1

    def teardown(self, estimator, context):
        self.torn_down += 1

    def on_fit_task_begin(self, estimator, context, **kwargs):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context, **kwargs):
        self.ended.append(context.task_name)
        return self.ended.count("epoch") == self.stop_after


@pytest.fixture
def sklearn_callback():
    return pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9")


@pytest.mark.parametrize("early_stopping", [True, False])
def test_epochs_are_tasks_of_scikit_learn(frame, sklearn_callback, early_stopping):
    recorder = Recorder()
    estimator = make_estimator(max_epochs=30, n_iter_no_change=2, early_stopping=early_stopping)
    estimator.set_callbacks(recorder).fit(frame)
    assert recorder.begun == ["fit"] + ["epoch"] * estimator.n_iter_
    assert sorted(recorder.ended) == sorted(recorder.begun)
    assert (recorder.set_up, recorder.torn_down) == (1, 1)


def test_a_callback_of_scikit_learn_can_stop(frame, sklearn_callback):
    estimator = make_estimator(max_epochs=30).set_callbacks(Recorder(stop_after=2)).fit(frame)
    assert estimator.n_iter_ == 2
    assert np.isfinite(estimator.transform(frame)).all()


def test_an_error_leaves_scikit_learns_callbacks_torn_down(frame, sklearn_callback):
    recorder = Recorder()
    with pytest.raises(RuntimeError, match="broken"):
        make_estimator(callbacks=[Broken()]).set_callbacks(recorder).fit(frame)
    assert recorder.torn_down == 1


class Totals(Recorder):
    """Writes down how many subtasks each task says it has."""

    def on_fit_task_begin(self, estimator, context, **kwargs):
        super().on_fit_task_begin(estimator, context)
        self.totals = {**getattr(self, "totals", {}), context.task_name: context.max_subtasks}


def test_a_progress_bar_is_told_how_many_epochs_there_are(frame, sklearn_callback):
    recorder = Totals()
    make_estimator(max_epochs=7).set_callbacks(recorder).fit(frame)
    assert recorder.totals == {"fit": 7, "epoch": 0}
    make_estimator(max_epochs=0).set_callbacks(recorder).fit(frame)
    assert recorder.totals["fit"] == 0


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bars_nest_down_to_the_epochs(frame, sklearn_callback, capsys, n_jobs):
    pytest.importorskip("rich")
    model = Pipeline([("mmae", make_estimator(verbose=2))])
    grid = {"mmae__n_components": [2]}
    search = GridSearchCV(model, grid, cv=2, n_jobs=n_jobs, error_score="raise")
    search.set_callbacks(sklearn_callback.ProgressBar(max_propagation_depth=None)).fit(frame)
    out, err = capsys.readouterr()
    assert "GridSearchCV" in out
    assert "MultimodalAutoencoder" in out
    assert out.count("100%") >= 4
    assert "epoch" not in err  # no second bar writes over it


def bar_in_a_worker():
    sys.stderr.isatty = lambda: True
    return progress_bar(3, "", "", verbose=1) is None, progress_bar(3, "", "", verbose=2) is None


def test_workers_of_a_search_are_quiet():
    (found,) = joblib.Parallel(n_jobs=2)([joblib.delayed(bar_in_a_worker)()])
    assert found == (True, False)


# In a notebook -----------------------------------------------------------------------------------


class Blocks(HTMLParser):
    """Reads the diagram: what is written, and that every tag is closed in its turn."""

    def __init__(self, html):
        super().__init__()
        self.open, self.words, self.columns = [], [], 0
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.columns += ("class", "sk-parallel-item") in attrs
        if tag not in ("br", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass  # closes itself

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and not {"style", "script"} & set(self.open):
            self.words.append(data.strip())


@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalVAE])
def test_a_notebook_shows_columns_modalities_and_networks(frame, kind):
    estimator = kind(n_components=3, width=8, max_epochs=1, random_state=0).fit(frame)
    blocks = Blocks(estimator_html_repr(make_pipeline(estimator)))
    assert blocks.columns == 6  # three modalities, encoders above and decoders below
    expected = ["tabular", "size, count, ripe and 4 more", "TabularModality", "encoder"]
    expected += ["note", "TextModality", "photo", "ImageModality", "fusion: joint", "embedding"]
    places = [blocks.words.index(word) for word in expected]
    assert places == sorted(places)
    assert "3 components" in blocks.words
    network = estimator.net_.module_
    n_fusion = sum(weight.numel() for weight in network.fusion.parameters())
    assert f"{n_fusion:,} weights" in blocks.words
    shown = [int(w.split()[0].replace(",", "")) for w in blocks.words if w.endswith(" weights")]
    beside = network.log_scales.parameters() if kind is MultimodalVAE else ()  # noise, no network
    n_beside = sum(weight.numel() for weight in beside)
    assert sum(shown) == sum(weight.numel() for weight in network.parameters()) - n_beside


@pytest.mark.parametrize(
    ("modalities", "expected"),
    [
        ("auto", ["auto", "every column", "found by fit", "built by fit"]),
        (
            [
                ("<b>&", ImageModality(size=4), ["<i>"]),
                ("left", "drop", [0, 1]),
                ("text", TextModality(), make_column_selector(pattern="x")),
            ],
            ["<b>&", "ImageModality", "<i>", "drop", "0, 1", "TextModality"],
        ),
        ([("no", "columns")], ["MultimodalAutoencoder"]),
        ([], ["MultimodalAutoencoder", "embedding"]),
    ],
)
def test_a_notebook_shows_an_estimator_before_fit(modalities, expected):
    blocks = Blocks(estimator_html_repr(MultimodalAutoencoder(modalities)))
    assert set(expected) <= set(blocks.words)


# skorch's callbacks -----------------------------------------------------------------------------


class Broken(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise RuntimeError("broken")


class Listener(Callback):
    def __init__(self):
        self.heard = []

    def on_epoch_begin(self, net, **kwargs):
        self.heard.append("epoch begin")

    def on_epoch_end(self, net, **kwargs):
        self.heard.append("epoch end")

    def on_batch_end(self, net, batch, training, loss, **kwargs):
        assert np.isfinite(loss.item())
        self.heard.append("training batch" if training else "validation batch")

    def on_grad_computed(self, net, named_parameters, **kwargs):
        assert any(p.grad.abs().sum() > 0 for _, p in named_parameters)
        self.heard.append("gradient")


def test_skorchs_callbacks_hear_of_epochs_batches_and_gradients(frame):
    listener = Listener()
    estimator = make_estimator(max_epochs=3, batch_size=14, callbacks=[listener]).fit(frame)
    counts = {what: listener.heard.count(what) for what in listener.heard}
    assert counts["epoch begin"] == counts["epoch end"] == estimator.n_iter_
    assert counts["training batch"] == counts["gradient"] == 2 * estimator.n_iter_  # 28 rows
    assert counts["validation batch"] == estimator.n_iter_


def test_the_last_epoch_is_heard_of_when_training_stops_early(frame):
    listener = Listener()
    estimator = make_estimator(max_epochs=60, lr=0.3, n_iter_no_change=1, callbacks=[listener]).fit(
        frame
    )
    assert estimator.n_iter_ < 60
    assert listener.heard.count("epoch end") == estimator.n_iter_


def test_listening_does_not_change_what_is_learned(frame):
    estimator = make_estimator(init="random")
    codes = clone(estimator).fit_transform(frame)
    listened = estimator.set_params(callbacks=[Listener()]).fit_transform(frame)
    np.testing.assert_allclose(listened, codes, rtol=1e-4, atol=1e-5)


def test_skorchs_early_stopping_and_schedules(frame):
    stopping = EarlyStopping(monitor="train_loss", patience=2, threshold=0.9, sink=lambda _: None)
    estimator = make_estimator(
        max_epochs=30, early_stopping=False, callbacks=[stopping, LRScheduler()]
    )
    estimator.fit(frame)
    assert estimator.n_iter_ == 3
    assert np.isfinite(estimator.transform(frame)).all()


def test_an_error_in_a_callback_leaves_the_estimator_as_it_was(frame):
    estimator = make_estimator(callbacks=[Broken()])
    with pytest.raises(RuntimeError, match="broken"):
        estimator.fit(frame)
    assert not hasattr(estimator, "net_")
    estimator.set_params(callbacks=None).fit(frame)
    codes = estimator.transform(frame)
    estimator.set_params(callbacks=[Broken()])
    with pytest.raises(RuntimeError, match="broken"):
        estimator.fit(frame.iloc[:20])
    np.testing.assert_array_equal(estimator.transform(frame), codes)
