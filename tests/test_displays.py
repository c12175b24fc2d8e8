"""Figures say what the estimators say, with names, units and legible text."""

import sys
from itertools import combinations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from conftest import fit_once, make_frame
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.helper import SliceDict

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
from sklearn_mmae.cells import Pictures
from sklearn_mmae.displays import (
    ComponentDisplay,
    ExplainedDevianceDisplay,
    LatentDisplay,
    LearningCurveDisplay,
    ReconstructionDisplay,
    TranslationDisplay,
)

RATE = 8000


@pytest.fixture(autouse=True)
def figures():
    """Draw into memory, and throw away what was drawn."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def fitted(frame, kind=MultimodalAutoencoder, **parameters):
    defaults = {"n_components": 4, "width": 16, "max_epochs": 2, "random_state": 0}
    return fit_once(kind(**{**defaults, **parameters}), frame)


def make_timed(n=24, seed=0):
    """Return rows of a tone, a clip and two signals, all of which follow one number."""
    rng = np.random.default_rng(seed)
    pitch = rng.uniform(200, 2000, n)
    sound, clip, wave, timed, times = np.empty((5, n), object)
    for i in range(n):
        length = int(rng.integers(1500, 2500))
        tone = np.sin(2 * np.pi * pitch[i] * np.arange(length) / RATE)
        sound[i] = (RATE, tone.astype(np.float32) / 2)
        clip[i] = np.full((int(rng.integers(4, 9)), 8, 12, 3), int(pitch[i] / 10), np.uint8)
        wave[i] = np.sin(pitch[i] / 400 + np.arange(20 + i % 5) / 3)
        times[i] = np.cumsum(rng.uniform(0.05, 0.15, 30))
        timed[i] = np.column_stack([np.sin(pitch[i] * times[i] / 300 + c) for c in range(4)])
    wave[0] = None
    return pd.DataFrame(
        {"sound": sound, "clip": clip, "wave": wave, "when": times, "ecg": timed, "pitch": pitch}
    )


TIMED = [
    ("sound", AudioModality(), ["sound"]),
    ("clip", VideoModality(rate=10), ["clip"]),
    ("wave", SequenceModality(), ["wave"]),
    ("ecg", SequenceModality(time="when"), ["when", "ecg"]),
]


@pytest.fixture(scope="module")
def timed():
    frame = make_timed()
    return fitted(frame, modalities=TIMED), frame


@pytest.fixture(scope="module")
def of_kinds():
    frame = make_frame(60, holes=True)
    return fitted(frame), frame


def texts_of(figure):
    """Return all that is written in a figure."""
    for ax in figure.axes:
        yield from [ax.title, *ax.texts]
        if ax.get_legend():
            yield from [ax.get_legend().get_title(), *ax.get_legend().get_texts()]
        if not ax.axison:
            continue
        for axis in (ax.xaxis, ax.yaxis):
            yield axis.label
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if low <= tick.get_loc() <= high and tick.label1.get_visible():
                    yield tick.label1


def assert_legible(figure):
    """No two texts overlap or leave the figure, and none is small."""
    figure.canvas.draw()
    texts = [text for text in texts_of(figure) if text.get_text() and text.get_visible()]
    boxes = [text.get_window_extent() for text in texts]
    assert all(text.get_fontsize() >= 10 for text in texts)
    for text, box in zip(texts, boxes, strict=True):
        assert figure.bbox.containsx(box.x0), text.get_text()
        assert figure.bbox.containsx(box.x1), text.get_text()
        assert figure.bbox.containsy(box.y0), text.get_text()
        assert figure.bbox.containsy(box.y1), text.get_text()
    for (one, box), (other, its) in combinations(zip(texts, boxes, strict=True), 2):
        assert not box.overlaps(its), (one.get_text(), other.get_text())


def titles(axes):
    return [
        ax.get_legend().get_title().get_text() if ax.get_legend() else ax.get_title()
        for ax in axes[0]
    ]


# Reconstructions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalVAE])
def test_each_kind_of_cell_is_drawn_in_its_own_way(kind):
    frame = make_frame()
    display = ReconstructionDisplay.from_estimator(fitted(frame, kind), frame, n_rows=3)
    assert display.axes_.shape == (3, 4)
    assert titles(display.axes_) == ["tabular", "note", "photo\nobserved", "photo\nreconstructed"]
    assert display.axes_[-1, 0].get_xlabel() == "standard deviations from the mean"
    assert display.axes_[-1, 1].get_xlabel() == "share of the words"
    assert all(len(ax.images) == 1 for ax in display.axes_[:, 2:].flat)
    assert_legible(display.figure_)


def test_pictures_are_those_that_come_back():
    frame = make_frame()
    estimator = fitted(frame)
    axes = ReconstructionDisplay.from_estimator(estimator, frame, modalities="photo").axes_
    again = estimator.reconstruct(frame[:4])
    for row in range(4):
        for column, source in enumerate([frame, again]):
            drawn = axes[row, column].images[0].get_array()
            np.testing.assert_allclose(drawn * 255, source["photo"][row], atol=0.51)


def test_bars_are_the_shares_of_words():
    frame = make_frame()
    estimator = fitted(frame)
    display = ReconstructionDisplay.from_estimator(estimator, frame, modalities="note", n_rows=2)
    shares = estimator.word_shares(frame)["note"]
    for row, ax in enumerate(display.axes_[:, 0]):
        words = [label.get_text() for label in ax.get_yticklabels()]
        observed, again = ([bar.get_width() for bar in bars] for bars in ax.containers)
        np.testing.assert_allclose(again, shares.loc[row, words], rtol=1e-5)
        said = frame["note"][row].split()
        assert [word in said for word in words] == [length > 0 for length in observed]


def test_dots_are_standardised_numbers():
    frame = make_frame()[["size", "count", "colour"]]
    estimator = fitted(frame)
    (ax,) = ReconstructionDisplay.from_estimator(estimator, frame, n_rows=1).axes_.flat
    observed, again = (line.get_xdata() for line in ax.lines[:2])
    numbers = frame[["size", "count"]]
    standardised = StandardScaler().fit(numbers)
    np.testing.assert_allclose(observed, standardised.transform(numbers)[0], rtol=1e-4)
    back = estimator.reconstruct(frame[:1])
    size = (back["size"][0] - numbers["size"].mean()) / numbers["size"].std(ddof=0)
    assert again[0] == pytest.approx(size, rel=1e-4)
    assert [text.get_text() for text in ax.texts] == [frame["colour"][0], back["colour"][0]]


def test_what_goes_on_in_time_has_seconds_where_they_are_known(timed):
    estimator, frame = timed
    display = ReconstructionDisplay.from_estimator(estimator, frame, n_rows=2)
    assert [ax.get_xlabel() for ax in display.axes_[-1]] == [
        *("time (s)", "time (s)"),  # sound, twice
        *("time (s)", "step", "time (s)"),
    ]
    assert display.axes_[0, 0].get_ylabel() == "frequency (Hz)"
    assert titles(display.axes_)[4] == "ecg (3 of 4 channels)"
    assert_legible(display.figure_)


def test_a_tone_is_drawn_at_its_pitch(timed):
    estimator, frame = timed
    axes = ReconstructionDisplay.from_estimator(estimator, frame, modalities="sound").axes_
    bands = estimator.modalities_[0][1].frequencies_
    for row in range(4):
        drawn = np.asarray(axes[row, 0].images[0].get_array())
        loudest = bands[drawn[:, 2:-2].mean(1).argmax()]
        assert loudest == pytest.approx(frame["pitch"][row], rel=0.15)
        assert axes[row, 0].images[0].get_extent()[1] == pytest.approx(
            len(frame["sound"][row][1]) / RATE, abs=0.011
        )


def test_signals_are_drawn_at_their_own_times(timed):
    estimator, frame = timed
    axes = ReconstructionDisplay.from_estimator(estimator, frame, modalities="ecg").axes_
    drawn = [line for line in axes[1, 0].lines if len(line.get_xdata())]
    for channel in range(3):
        for line in (drawn[channel], drawn[3 + channel]):  # observed, then reconstructed
            np.testing.assert_allclose(line.get_xdata(), frame["when"][1])
        np.testing.assert_allclose(drawn[channel].get_ydata(), frame["ecg"][1][:, channel])


def test_holes_are_named(of_kinds):
    estimator, frame = of_kinds
    row = frame.index[frame["photo"].isna() & frame["note"].isna()][0]
    display = ReconstructionDisplay.from_estimator(estimator, frame.loc[[row]], n_rows=1)
    table, words, observed, again = display.axes_[0]
    assert [text.get_text() for text in observed.texts] == ["missing"]
    assert again.images
    assert len(words.containers) == 1  # those that are expected
    holes = frame.loc[row, ["ripe", "colour", "grade"]].isna().sum()
    assert [text.get_text() for text in table.texts].count("missing") == holes
    assert_legible(display.figure_)


def test_a_text_may_be_empty_or_of_unknown_words_only():
    frame = make_frame()
    estimator = fitted(frame)
    frame.loc[0, "note"], frame.loc[1, "note"] = "", "zzz"
    display = ReconstructionDisplay.from_estimator(estimator, frame, modalities="note", n_rows=2)
    assert [len(ax.containers) for ax in display.axes_.flat] == [2, 2]


def test_sentences_are_written_out():
    frame = make_frame()[["size", "note"]]
    modalities = [("note", TextModality(decoder="sequence"), ["note"])]
    estimator = fitted(frame, modalities=modalities, max_epochs=1)
    (ax,) = ReconstructionDisplay.from_estimator(estimator, frame, n_rows=1).axes_.flat
    observed, again = (text.get_text() for text in ax.texts)
    assert observed.replace("\n", " ").startswith("observed: " + frame["note"][0][:20])
    assert again.startswith("reconstructed:")


def test_a_table_of_many_columns_is_a_row_of_dots():
    X = np.random.default_rng(0).normal(size=(50, 30))
    display = ReconstructionDisplay.from_estimator(fitted(X), X, n_rows=2)
    assert display.axes_[-1, 0].get_xlabel() == "number of the column"
    assert len(display.axes_[0, 0].lines[0].get_xdata()) == 30
    assert_legible(display.figure_)


def test_long_names_of_categories_are_told_apart():
    letters = [f"a long name of letter {i % 5:02d}" for i in range(40)]
    frame = pd.DataFrame({"letter": letters, "size": range(40)})
    axes = ReconstructionDisplay.from_estimator(fitted(frame), frame, n_rows=2).axes_[:, 0]
    observed = [ax.texts[0].get_text() for ax in axes]
    assert [text.partition("\N{HORIZONTAL ELLIPSIS}")[2] for text in observed] == [
        "ter 00",
        "ter 01",
    ]
    assert_legible(axes[0].figure)


def test_columns_of_pixels_are_a_picture():
    X = np.random.default_rng(0).integers(0, 17, (40, 12)).astype(float)
    X[0, 3] = np.nan
    modalities = [("digit", ImageModality(shape=(3, 4)), slice(None))]
    axes = ReconstructionDisplay.from_estimator(fitted(X, modalities=modalities), X).axes_
    assert axes[0, 0].images[0].get_array().shape == (3, 4)
    assert np.ma.masked_invalid(axes[0, 0].images[0].get_array()).mask.sum() == 1


@pytest.mark.parametrize("container", ["pandas", "polars", "array", "slicedict"])
def test_rows_come_in_any_container(container):
    frame = make_frame()
    numbers = frame[["size", "count"]]
    X, labels = {
        "pandas": (numbers.set_axis([f"r{i}" for i in range(40)]), ["row r0", "row r1"]),
        "polars": (pl.DataFrame(numbers), ["row 0", "row 1"]),
        "array": (numbers.to_numpy(), ["row 0", "row 1"]),
        "slicedict": (
            SliceDict(photo=np.stack(frame["photo"]), note=frame["note"].to_numpy(object)),
            ["row 0", "row 1"],
        ),
    }[container]
    estimator = fitted(X)
    display = ReconstructionDisplay.from_estimator(estimator, X, n_rows=2)
    assert display.labels == labels
    if container == "slicedict":
        TranslationDisplay.from_estimator(estimator, X, to="photo")


def test_a_place_of_a_figure_is_divided(figures):
    frame = make_frame()
    figure, (left, right) = figures.subplots(1, 2, figsize=(14, 6), layout="constrained")
    estimator = fitted(frame)
    display = ReconstructionDisplay.from_estimator(estimator, frame, modalities="photo", ax=right)
    assert display.figure_ is figure
    assert LearningCurveDisplay.from_estimator(estimator, ax=left).ax_ is left
    figure.canvas.draw()
    assert all(ax.get_position().x0 > 0.49 for ax in display.axes_.flat)
    by_hand = figure.add_axes([0, 0, 1, 1])
    with pytest.raises(ValueError, match=r"placed by hand.*plt\.subplots"):
        display.plot(ax=by_hand)


def test_plotting_again_draws_the_same_data(figures):
    frame = make_frame()
    display = LearningCurveDisplay.from_estimator(fitted(frame))
    first = display.figure_
    assert display.plot() is display
    assert display.figure_ is not first
    assert len(display.ax_.lines) == len(first.axes[0].lines)


# Components --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalVAE])
def test_a_component_is_drawn_low_and_high_beside_its_loadings(kind):
    frame = make_frame(60, holes=True)
    estimator = fitted(frame, kind)
    display = ComponentDisplay.from_estimator(estimator, frame, component=1)
    loaded = "largest loadings"
    assert titles(display.axes_) == [
        *("tabular", f"tabular\n{loaded}", "note", f"note\n{loaded}"),
        *("photo\nlow", "photo\nhigh", f"photo\n{loaded}"),
    ]
    bars = [bar.get_width() for bar in display.axes_[0, 3].containers[0]]
    words = [label.get_text() for label in display.axes_[0, 3].get_yticklabels()]
    loadings = estimator.components_["note"].iloc[1]
    np.testing.assert_allclose(bars, loadings[words], rtol=1e-6)
    assert abs(loadings).nlargest(len(bars)).to_numpy() == pytest.approx(np.abs(bars))
    assert_legible(display.figure_)


def test_low_and_high_are_two_standard_deviations_from_the_mean():
    frame = make_frame()
    estimator = fitted(frame)
    axes = ComponentDisplay.from_estimator(estimator, frame, modalities="photo").axes_
    codes = estimator.transform(frame)
    for place, sign in enumerate([-1, 1]):
        code = codes.mean(0)
        code[0] += sign * 2 * codes[:, 0].std()
        photo = estimator.inverse_transform(code[None])["photo"][0]
        drawn = axes[0, place].images[0].get_array()
        np.testing.assert_allclose(drawn * 255, photo, atol=0.51)


def test_components_of_what_goes_on_in_time_are_drawn(timed):
    estimator, frame = timed
    display = ComponentDisplay.from_estimator(estimator, frame)
    assert display.axes_.shape == (1, 9)
    assert_legible(display.figure_)


@pytest.mark.parametrize("component", [4, -1, 1.0, True, "first"])
def test_a_component_that_there_is_not_is_refused(of_kinds, component):
    with pytest.raises(ValueError, match="give one of the 4 there are"):
        ComponentDisplay.from_estimator(*of_kinds, component=component)


# Translations ------------------------------------------------------------------------------------


def test_a_translation_shows_given_translated_and_true():
    frame = make_frame()
    estimator = fitted(frame)
    display = TranslationDisplay.from_estimator(estimator, frame, to="photo", given="note")
    assert titles(display.axes_) == ["note: given", "photo\ntranslated", "photo\ntrue"]
    drawn = display.axes_[2, 1].images[0].get_array() * 255
    expected = estimator.translate(frame[["note"]], to="photo")["photo"][2]
    np.testing.assert_allclose(drawn, expected, atol=0.51)
    assert_legible(display.figure_)


def test_what_is_not_known_is_not_drawn():
    frame = make_frame()
    estimator = fitted(frame)
    display = TranslationDisplay.from_estimator(
        estimator, frame.drop(columns=["photo"]), to=["photo"]
    )
    assert titles(display.axes_) == ["tabular: given", "note: given", "photo\ntranslated"]


def test_words_are_translated_without_looking_at_them():
    frame = make_frame()
    estimator = fitted(frame)
    display = TranslationDisplay.from_estimator(estimator, frame, to="note", given="photo")
    other = frame.assign(note=frame["note"][::-1].to_numpy())
    again = TranslationDisplay.from_estimator(estimator, other, to="note", given="photo")
    assert (
        display.drawings[1].versions["translated"][0] == again.drawings[1].versions["translated"][0]
    )


def test_columns_of_arrays_are_found_by_their_places():
    X = load_wine(return_X_y=True)[0]
    columns = {"left": [2, 0, 1], "right": [9, 5], "middle": [7, 3]}
    modalities = [(name, TabularModality(), places) for name, places in columns.items()]
    estimator = fitted(X, modalities=modalities)
    standardised, again = StandardScaler().fit(X), np.full(X.shape, np.nan)
    again[:, [0, 1, 2, 3, 5, 7, 9]] = estimator.reconstruct(X)  # others belong to nothing
    shown = ReconstructionDisplay.from_estimator(estimator, X, n_rows=2)
    for drawing in shown.drawings:
        assert drawing.numbers == list(map(str, columns[drawing.name]))
        for version, source in (("observed", X), ("reconstructed", again)):
            expected = standardised.transform(source)[1, columns[drawing.name]]
            np.testing.assert_allclose(drawing.versions[version][1][0], expected, rtol=1e-4)
    shown = TranslationDisplay.from_estimator(estimator, X, to=["right", "middle"], n_rows=2)
    again[:, [3, 5, 7, 9]] = estimator.translate(X, to=["right", "middle"])
    for drawing in shown.drawings[1:]:
        for version, source in (("true", X), ("translated", again)):
            expected = standardised.transform(source)[1, columns[drawing.name]]
            np.testing.assert_allclose(drawing.versions[version][1][0], expected, rtol=1e-4)


def test_blocks_of_numbers_are_tables():
    rng = np.random.default_rng(0)
    X = SliceDict(left=rng.normal(size=(40, 3)), right=rng.normal(size=(40, 20)))
    modalities = [(name, TabularModality(), [name]) for name in X]
    display = TranslationDisplay.from_estimator(fitted(X, modalities=modalities), X, to="left")
    assert titles(display.axes_) == ["right: given", "left"]
    names = [label.get_text() for label in display.axes_[0, 1].get_yticklabels()]
    assert names == ["left[0]", "left[1]", "left[2]"]


# Modalities of outsiders -------------------------------------------------------------------------


class Plain(TabularModality):
    """A modality that displays know nothing of: it says neither how it looks nor its numbers."""

    shown = Modality.shown
    as_numbers = Modality.as_numbers


class Swatch(Plain):
    """One that is drawn as a picture of one pixel."""

    def shown(self, cells, predicted=False):
        (column,) = cells.columns
        return Pictures([np.full((1, 1), cell) for cell in column], low=0, high=1)


def test_a_modality_says_how_it_is_drawn():
    frame = make_frame()[["size", "count"]].rename(columns={"size": "grey"})
    modalities = [("grey", Swatch(), ["grey"]), ("count", Plain(), ["count"])]
    estimator = fitted(frame, modalities=modalities)
    axes = ReconstructionDisplay.from_estimator(estimator, frame, n_rows=2).axes_
    assert titles(axes) == ["grey\nobserved", "grey\nreconstructed", "count"]
    shades = [[ax.images[0].get_array().item() for ax in row[:2]] for row in axes]
    again = estimator.reconstruct(frame[:2])["grey"]
    np.testing.assert_allclose(shades, np.clip(np.column_stack([frame["grey"][:2], again]), 0, 1))
    assert [text.get_text().partition(":")[0] for text in axes[0, 2].texts] == [
        "observed",
        "reconstructed",
    ]


def test_a_modality_that_shows_what_cannot_be_drawn_is_told_what_to_return():
    frame = make_frame()[["size"]]
    modalities = [("size", TabularModality(), ["size"])]
    estimator = MultimodalAutoencoder(modalities, n_components=1, max_epochs=0).fit(frame)
    estimator.modalities_[0][1].shown = lambda cells, predicted: [1, 2]
    with pytest.raises(TypeError, match=r"'size' shows a list.*records of sklearn_mmae\.cells"):
        ReconstructionDisplay.from_estimator(estimator, frame)


def test_pca_sees_the_view_of_a_modality_that_says_nothing_else():
    frame = make_frame(60)[["size", "count"]]
    modalities = [("numbers", Plain(), ["size", "count"])]
    display = ExplainedDevianceDisplay.from_estimator(
        MultimodalAutoencoder(modalities, max_epochs=0, random_state=0), frame, n_components=[1]
    )
    pca = PCA(1).fit(StandardScaler().fit_transform(frame))
    expected = pca.explained_variance_ratio_.sum()
    assert display.pca["numbers"] == pytest.approx([expected], rel=1e-5)


# Codes -------------------------------------------------------------------------------------------


def test_a_map_is_of_the_components():
    frame = make_frame()
    estimator = fitted(frame)
    display = LatentDisplay.from_estimator(estimator, frame, components=(1, 3))
    np.testing.assert_array_equal(display.codes, estimator.transform(frame)[:, [1, 3]])
    assert display.ax_.get_xlabel() == "component 1"
    pca = LatentDisplay.from_estimator(estimator, frame, method="pca")
    expected = PCA(2).fit_transform(estimator.transform(frame))
    np.testing.assert_allclose(np.abs(pca.codes), np.abs(expected), atol=1e-4)


def test_numbers_are_a_colour_bar_and_categories_a_legend():
    frame = make_frame(60, holes=True)
    estimator = fitted(frame)
    numbers = LatentDisplay.from_estimator(estimator, frame, color="size")
    assert numbers.figure_.axes[1].get_ylabel() == "size"
    assert_legible(numbers.figure_)
    display = LatentDisplay.from_estimator(estimator, frame, color="colour")
    legend = display.ax_.get_legend()
    assert legend.get_title().get_text() == "colour"
    entries = {text.get_text() for text in legend.get_texts()}
    assert entries == {"red", "green", "blue", "missing"}
    n_drawn = sum(len(dots.get_offsets()) for dots in display.ax_.collections)
    assert n_drawn == 60
    assert_legible(display.figure_)


def test_many_categories_differ_in_colour_or_marker_and_the_rarest_are_one():
    frame = make_frame(90)
    labels = np.arange(90) % 30
    display = LatentDisplay.from_estimator(fitted(frame), frame, color=pd.Series(labels % 12))
    looks = {
        (tuple(dots.get_facecolor()[0]), dots.get_paths()[0].vertices.tobytes())
        for dots in display.ax_.collections
    }
    assert len(looks) == 12
    entries = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert entries == [str(label) for label in range(12)]
    many = LatentDisplay.from_estimator(fitted(frame), frame, color=labels.astype(str))
    assert "other" in {text.get_text() for text in many.ax_.get_legend().get_texts()}


# Losses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalVAE])
def test_a_learning_curve_is_the_history(kind):
    estimator = fitted(make_frame(), kind, max_epochs=4)
    display = LearningCurveDisplay.from_estimator(estimator)
    history = estimator.history_
    assert display.losses["photo"]["valid"] == [epoch["valid_loss_photo"] for epoch in history]
    assert display.losses["sum"]["train"] == [epoch["train_loss"] for epoch in history]
    assert ("divergence" in display.losses) == (kind is MultimodalVAE)
    assert display.ax_.get_xlabel() == "epoch"
    assert display.ax_.get_ylabel().startswith("loss (")
    assert_legible(display.figure_)


def test_a_learning_curve_without_held_out_rows_has_one_kind_of_line():
    estimator = fitted(make_frame(), early_stopping=False, extra_terms="agreement")
    display = LearningCurveDisplay.from_estimator(estimator)
    assert set(display.losses) == {"sum", "tabular", "note", "photo", "agreement"}
    assert {*map(tuple, display.losses.values())} == {("train",)}


# Explained deviance ------------------------------------------------------------------------------


def test_explained_deviance_is_that_of_each_modality():
    frame = make_frame(60)
    display = ExplainedDevianceDisplay.from_estimator(
        MultimodalAutoencoder(width=16, max_epochs=1, random_state=0),
        *(frame[:40], frame[40:]),
        n_components=(3, 2),
    )
    assert display.n_components == [2, 3]
    estimator = fitted(frame[:40], max_epochs=1, n_components=3)
    explained = estimator.explained_deviance(frame[40:])
    assert {name: shares[1] for name, shares in display.explained.items()} == explained
    assert np.mean(list(explained.values())) == pytest.approx(estimator.score(frame[40:]))
    assert display.ax_.get_ylabel() == "deviance explained"
    assert_legible(display.figure_)


def test_pca_of_one_table_is_scikit_learns():
    X = load_wine(return_X_y=True)[0]
    table = [("table", TabularModality(scale="column"), slice(None))]
    display = ExplainedDevianceDisplay.from_estimator(
        MultimodalAutoencoder(table, max_epochs=0, random_state=0), X, n_components=(2, 5, 64)
    )
    pca = PCA().fit(StandardScaler().fit_transform(X))
    expected = pca.explained_variance_ratio_.cumsum()[[1, 4]]
    np.testing.assert_allclose(display.pca["table"][:2], expected, rtol=1e-5)
    assert np.isnan(display.pca["table"][2])  # there are 13 components at most
    np.testing.assert_allclose(display.explained["table"][:2], expected, atol=2e-3)


def test_pca_sees_every_kind_of_column(timed):
    frame = timed[1].fillna({"pitch": 0})
    display = ExplainedDevianceDisplay.from_estimator(
        MultimodalAutoencoder(TIMED, width=16, max_epochs=0, random_state=0),
        frame,
        n_components=(2, 8),
    )
    assert set(display.pca) == {"sound", "clip", "wave", "ecg"}
    for few, many in display.pca.values():
        assert 0 < few < many < 1.0001
    display = ExplainedDevianceDisplay.from_estimator(
        MultimodalAutoencoder(width=16, max_epochs=0, random_state=0),
        make_frame(60, holes=True),
        n_components=[2],
    )
    assert set(display.pca) == {"tabular", "note", "photo"}


def test_what_the_rows_to_explain_lack_is_left_out():
    frame = make_frame(60)
    display = ExplainedDevianceDisplay.from_estimator(
        MultimodalAutoencoder(width=16, max_epochs=0, random_state=0),
        *(frame[:40], frame[40:].drop(columns="photo")),
        n_components=[2],
    )
    assert set(display.pca) == {"tabular", "note"}
    assert np.isnan(display.explained["photo"]).all()


# Bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda e, X: ReconstructionDisplay.from_estimator(e, X, n_rows=50), "40 rows.*n_rows=40"),
        (lambda e, X: TranslationDisplay.from_estimator(e, X[:1], to="note"), "has 1 row. "),
        (lambda e, X: ReconstructionDisplay.from_estimator(e, X, n_rows=0), "whole number"),
        (
            lambda e, X: ReconstructionDisplay.from_estimator(e, X, modalities="foto"),
            "no modality.*Did you mean 'photo'",
        ),
        (lambda e, X: ReconstructionDisplay.from_estimator(e, X, modalities=[]), "is empty"),
        (lambda e, X: TranslationDisplay.from_estimator(e, X, to="nota"), "Did you mean 'note'"),
        (
            lambda e, X: TranslationDisplay.from_estimator(e, X, to="note", given=["note"]),
            "'note' is both",
        ),
        (
            lambda e, X: TranslationDisplay.from_estimator(
                e, X.drop(columns="note"), to="photo", given="note"
            ),
            "X has no column 'note'",
        ),
        (lambda e, X: LatentDisplay.from_estimator(e, X, color="sice"), "Did you mean 'size'"),
        (lambda e, X: LatentDisplay.from_estimator(e, X, color=[1, 2]), "2 entries.*40 rows"),
        (lambda e, X: LatentDisplay.from_estimator(e, X, components=(0, 4)), "two of the 4"),
        (lambda e, X: LatentDisplay.from_estimator(e, X, method="tsne"), "'components' or 'pca'"),
        (
            lambda e, X: ExplainedDevianceDisplay.from_estimator(e, X, n_components=()),
            "n_components is empty",
        ),
    ],
)
def test_an_error_says_what_to_write(draw, message):
    frame = make_frame()
    with pytest.raises(ValueError, match=message):
        draw(fitted(frame, max_epochs=0), frame)


DISPLAYS = [
    lambda e, X: ReconstructionDisplay.from_estimator(e, X),
    lambda e, X: TranslationDisplay.from_estimator(e, X, to="note"),
    lambda e, X: LatentDisplay.from_estimator(e, X),
    lambda e, X: LearningCurveDisplay.from_estimator(e),
]


@pytest.mark.parametrize("draw", DISPLAYS)
def test_an_unfitted_estimator_cannot_be_drawn(draw, frame):
    with pytest.raises(NotFittedError):
        draw(MultimodalAutoencoder(), frame)


@pytest.mark.parametrize("draw", [*DISPLAYS, lambda e, X: ExplainedDevianceDisplay([2], {}).plot()])
def test_without_matplotlib_the_extra_is_named(draw, frame, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"Display needs matplotlib: pip install .*\[plot\]"):
        draw(MultimodalAutoencoder(), frame)


@pytest.mark.parametrize("draw", [DISPLAYS[i] for i in (0, 1, 3)])
def test_a_pipeline_is_told_to_give_the_estimator_in_it(draw, frame):
    pipeline = make_pipeline(fitted(frame, max_epochs=0))
    with pytest.raises(TypeError, match=r"a Pipeline has no modalities.*pipeline\[-1\]"):
        draw(pipeline, frame)


def test_a_map_is_drawn_of_any_transformer(frame):
    mmae = MultimodalAutoencoder(n_components=4, max_epochs=0, random_state=0)
    pipeline = make_pipeline(mmae, StandardScaler()).fit(frame)
    assert LatentDisplay.from_estimator(pipeline, frame).codes.shape == (40, 2)


def test_without_an_epoch_there_is_no_learning_curve(frame):
    with pytest.raises(ValueError, match=r"no epoch was run.*max_epochs"):
        LearningCurveDisplay.from_estimator(fitted(frame, max_epochs=0))


def test_a_cell_that_needs_an_extra_names_it(timed, monkeypatch, tmp_path):
    estimator, frame = timed
    path = tmp_path / "tone.flac"
    path.write_bytes(b"fLaC")
    monkeypatch.setitem(sys.modules, "soundfile", None)
    frame = frame.assign(sound=[str(path)] * len(frame))
    with pytest.raises(ImportError, match=r"\[audio\]"):
        ReconstructionDisplay.from_estimator(estimator, frame)
