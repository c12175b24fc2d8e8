"""What users of tables of numbers, categories and dates rely on."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from sklearn_mmae import (
    CellError,
    DataWarning,
    MultimodalAutoencoder,
    TabularModality,
)
from sklearn_mmae.nn._blocks import initialise
from sklearn_mmae.tables._cells import Cells

N = 60


def cells_of(frame):
    declared = {
        name: column.cat.categories.tolist()
        for name, column in frame.items()
        if isinstance(column.dtype, pd.CategoricalDtype)
    }
    columns = [
        column.astype(object).to_numpy() if name in declared else column.to_numpy()
        for name, column in frame.items()
    ]
    return Cells(tuple(frame.columns), tuple(columns), categories=declared)


def matrix_of(X):
    return Cells.of_matrix(range(X.shape[1]), X)


def tensors_of(values):
    return {name: torch.from_numpy(array) for name, array in values.tensors.items()}


def built(modality, n_components=3):
    network = modality.network(n_components, 8, 0.0)
    initialise(network, torch.Generator().manual_seed(0))
    return network.eval()


def mixed(holes=True):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": 1e6 + 1e3 * rng.normal(size=N),
            "count": rng.integers(0, 9, N),
            "same": np.full(N, 7.5),
            "colour": pd.Categorical(rng.choice(["red", "blue", "sky"], N, p=[0.7, 0.2, 0.1])),
            "kind": rng.choice(["a", "b"], N),
            "only": "x",
            "yes": rng.random(N) < 0.1,
            "day": pd.date_range("2024-01-01", periods=N),
        }
    ).astype({"kind": object, "only": object})
    if holes:
        for name in ("size", "colour", "kind", "day"):
            frame.loc[rng.random(N) < 0.3, name] = None
    return frame


def of_one_unit(n_columns=20, others=0):
    """Return columns from 0 to 16 that vary more or less, and others of their own units."""
    rng = np.random.default_rng(0)
    X = 16 * rng.beta(*np.linspace([0.2, 0.2], [9, 9], n_columns).T, size=(200, n_columns))
    X[0], X[1] = 0, 16
    return np.c_[X, 1000 * rng.normal(size=(200, others))]


def one_hot(codes, n):
    return np.where(np.arange(n) == codes[:, None], 9.0, 0.0)


def predictions_of(modality, values):
    """Return what a perfect network would predict for rows without holes."""
    tensors = values.tensors
    numbers = tensors.get("numbers")
    if numbers is None:
        numbers = (tensors["raw"] - modality.mean_) / modality.scale_ if "raw" in tensors else None
    parts = [] if numbers is None else [numbers]
    for i, known in enumerate(modality.categories_):
        parts.append(one_hot(tensors["codes"][:, i], len(known)))
    return np.concatenate(parts, 1).astype(np.float64)


# Closed forms ------------------------------------------------------------------------------------

TABLES = {
    "whole": lambda: cells_of(mixed(holes=False)),
    "with holes": lambda: cells_of(mixed()),
    "only categories": lambda: cells_of(mixed()[["colour", "kind", "yes"]]),
    "only numbers": lambda: matrix_of(np.random.default_rng(0).normal(5, 3, (N, 4))),
    "one unit": lambda: matrix_of(of_one_unit()),
    "one unit, with holes": lambda: matrix_of(
        np.where(np.random.default_rng(1).random((200, 20)) < 0.3, np.nan, of_one_unit())
    ),
    "one unit, and categories": lambda: cells_of(
        pd.DataFrame(of_one_unit(others=2)).assign(kind=["a", "b", "b", None] * 50)
    ),
}


@pytest.mark.parametrize("table", TABLES)
def test_the_best_constant_has_a_deviance_of_one(table):
    modality = TabularModality()
    tensors = tensors_of(modality.fit_transform(TABLES[table]()))
    network = built(modality)
    n_rows = len(next(iter(tensors.values())))
    deviance = network.deviance(network.null_outputs.expand(n_rows, -1), tensors)
    assert float(deviance.mean()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("table", [name for name in TABLES if "holes" not in name])
def test_the_view_has_a_total_variance_of_one(table):
    cells = TABLES[table]()
    modality = TabularModality()
    tensors = tensors_of(modality.fit_transform(cells))
    network = built(modality)
    view, observed = network.view(tensors).double(), network.observed(tensors)
    if observed is not None:
        view = torch.where(observed, view, 0)
    assert_allclose(view.mean(0), 0, atol=1e-5)
    assert float(view.square().sum(1).mean()) == pytest.approx(1, abs=1e-5)


def test_numbers_cost_squared_errors_in_units_of_the_variance():
    X = np.random.default_rng(0).normal(5, [1, 10, 100], (N, 3))
    modality = TabularModality()
    tensors = tensors_of(modality.fit_transform(matrix_of(X)))
    guess = np.random.default_rng(1).normal(size=(N, 3))
    deviance = built(modality).deviance(torch.tensor(guess, dtype=torch.float32), tensors)
    expected = ((guess - StandardScaler().fit_transform(X)) ** 2).mean(1)
    assert_allclose(deviance, expected, rtol=1e-4)


def test_categories_cost_their_cross_entropy_in_units_of_the_entropy():
    colour = np.array(["red", "blue", "sky", "red", "red"] * 12, object)
    modality = TabularModality()
    tensors = tensors_of(modality.fit_transform(Cells(("colour",), (colour,))))
    logits = torch.randn(N, 3, generator=torch.Generator().manual_seed(0))
    deviance = built(modality).deviance(logits, tensors)
    entropy = -(modality.shares_[0] * np.log(modality.shares_[0])).sum()
    probabilities = logits.double().softmax(1).numpy()
    expected = log_loss(colour, probabilities, labels=modality.categories_[0]) / entropy
    assert float(deviance.mean()) == pytest.approx(expected, rel=1e-5)


def test_only_observed_cells_count():
    frame = mixed()
    modality = TabularModality().fit(cells_of(frame))
    network, outputs = built(modality), torch.randn(N, built(modality).n_outputs)
    tensors = tensors_of(modality.transform(cells_of(frame)))
    deviance = network.deviance(outputs, tensors)
    row = int(np.flatnonzero(frame["size"].isna() & frame["colour"].isna())[0])
    outputs[row, 0] += 100  # the size
    outputs[row, 4:7] += torch.tensor([100.0, 0, -100])  # the colour
    assert_array_equal(network.deviance(outputs, tensors), deviance)
    outputs.requires_grad_(True)
    network.deviance(outputs, tensors).sum().backward()
    assert outputs.grad.isfinite().all()
    assert outputs.grad[row, 0] == 0


@pytest.mark.parametrize(("scale", "scaler"), [("column", True), ("common", False)])
def test_the_linear_start_explains_as_much_as_pca(scale, scaler):
    X = of_one_unit()
    mmae = MultimodalAutoencoder(
        [("table", TabularModality(scale=scale), slice(None))], 5, max_epochs=0, random_state=0
    ).fit(X)
    pixels = StandardScaler().fit_transform(X) if scaler else X
    expected = PCA(5).fit(pixels).explained_variance_ratio_.sum()
    assert mmae.score(X) == pytest.approx(expected, abs=1e-4)


# One scale or many -------------------------------------------------------------------------------


def learned(X, **options):
    return TabularModality(**options).fit(
        matrix_of(X) if isinstance(X, np.ndarray) else cells_of(X)
    )


@pytest.mark.parametrize(
    ("X", "scaling"),
    [
        (load_digits().data, "common"),
        (load_digits().data.astype(np.float32), "common"),
        (load_digits().data.astype(np.uint8), "common"),
        (np.where(np.eye(1797, 64) > 0, np.nan, load_digits().data), "common"),
        (StandardScaler().fit_transform(load_digits().data), "column"),
        (load_wine().data, "column"),
        (of_one_unit(16), "common"),
        (of_one_unit(15), "column"),
        (np.c_[of_one_unit(15), np.full((200, 9), 16.0)], "column"),
        (of_one_unit(20, others=19), "common"),
        (of_one_unit(20, others=20), "column"),
    ],
    ids=[
        *("digits", "float32", "uint8", "with holes", "standardised", "wine", "16 columns"),
        *("15 columns", "constants do not count", "most", "half"),
    ],
)
def test_auto_knows_columns_of_one_unit(X, scaling):
    assert learned(X).scaling_ == scaling


def test_a_common_scale_is_the_root_mean_variance_of_what_varies():
    X = np.c_[of_one_unit(), np.full(200, 3.0)]
    modality = learned(X, scale="common")
    variance = X.var(0)[:-1]
    assert_allclose(modality.scale_, np.sqrt(variance.mean()))
    assert modality.weight_ == pytest.approx(20)


def test_each_number_of_a_common_scale_weighs_as_much_as_it_varies():
    X = of_one_unit()
    modality = learned(X)
    tensors = tensors_of(modality.transform(matrix_of(X)))
    view = built(modality).view(tensors)
    assert_allclose(view.var(0, correction=0), X.var(0) / X.var(0).sum(), rtol=1e-4)


def test_dates_and_categories_keep_their_own_weight_beside_a_common_scale():
    frame = pd.DataFrame(of_one_unit()).assign(
        day=pd.date_range("2024-01-01", periods=200), kind=["a", "b"] * 100
    )
    modality = TabularModality()
    tensors = tensors_of(modality.fit_transform(cells_of(frame)))
    assert modality.scaling_ == "common"
    assert modality.weight_ == pytest.approx(22)
    view = built(modality).view(tensors).double()
    shares = view.square().mean(0) * 22
    assert float(shares[:20].sum()) == pytest.approx(20, rel=1e-4)  # the numbers together
    assert float(shares[20]) == pytest.approx(1, rel=1e-4)  # the day
    assert float(shares[21:].sum()) == pytest.approx(1, rel=1e-4)  # the kind


@pytest.mark.parametrize("kind", ["category", "bool"])
def test_no_single_row_owns_a_component(kind):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(500, 3)), columns=list("abc"))
    frame["flag"] = rng.random(500) < 0.3
    odd = np.full(500, False if kind == "bool" else "usual", dtype=object)
    odd[7] = True if kind == "bool" else "odd"
    if kind == "category":
        odd[100:200] = "other"
    frame["odd"] = odd
    mmae = MultimodalAutoencoder(n_components=5, max_epochs=0, random_state=0).fit(frame)
    codes = mmae.transform(frame)
    spread = codes.std(0)
    codes = codes[:, spread > 1e-6 * spread.max()] / spread[spread > 1e-6 * spread.max()]
    assert np.abs(codes).max() < 6


def test_the_scale_can_be_chosen():
    assert learned(of_one_unit(), scale="column").scaling_ == "column"
    assert learned(load_wine().data, scale="common").scaling_ == "common"
    assert learned(np.ones((5, 2)), scale="common").scale_.tolist() == [1, 1]
    with pytest.raises(ValueError, match=r"scale='comon'.*Did you mean 'common'"):
        learned(of_one_unit(), scale="comon")


# There and back ----------------------------------------------------------------------------------

COLUMNS = {
    "float64": np.linspace(-1e9, 1e9, N),
    "float32": np.linspace(0, 1, N).astype(np.float32),
    "float16": np.linspace(0, 1, N).astype(np.float16),
    "int64": np.arange(N) * 10**6,
    "int8": np.linspace(-128, 127, N).astype(np.int8),
    "uint8": np.linspace(0, 255, N).astype(np.uint8),
    "bool": np.arange(N) % 3 == 0,
    "days": np.arange("2024-01-01", N, dtype="M8[D]"),
    "seconds": np.datetime64("2024-01-01", "s") + 86_461 * np.arange(N),
    "whole days in ns": pd.date_range("1999-01-01", periods=N, unit="ns").to_numpy(),
    "far dates": np.array(["0001-01-01", "9999-12-31"] * (N // 2), "M8[D]"),
    "months": np.arange("2024-01", N, dtype="M8[M]"),
    "strings": np.array(["a", "b", "c"] * (N // 3), object),
    "mixed bools": np.array([True, False, True] * (N // 3), object),
}


@pytest.mark.parametrize("column", COLUMNS)
def test_columns_come_back_with_their_dtypes(column):
    given = COLUMNS[column]
    modality = TabularModality()
    values = modality.fit_transform(Cells((column,), (given,)))
    (back,) = modality.inverse_transform(predictions_of(modality, values))
    assert back.dtype == given.dtype
    if given.dtype.kind == "f":
        assert_allclose(back, given, rtol=1e-3, atol=1e-3 * np.abs(given).max())
    elif column in ("int64", "seconds"):  # a float32 on the way has 24 bits
        assert (np.abs(back - given) <= (given[1] - given[0]) / 100).all()
    else:
        assert_array_equal(back, given)


def test_whole_numbers_stay_within_their_dtype():
    """A prediction beyond the largest number of a dtype must not wrap round to the smallest."""
    for dtype in ("int8", "uint8", "int32", "int64", "uint64"):
        limits = np.iinfo(dtype)
        given = np.array([limits.min, limits.max] * 5, dtype)
        modality = TabularModality().fit(Cells(("a",), (given,)))
        (back,) = modality.inverse_transform(np.array([[-9.0], [9.0]]))
        assert back[0] == limits.min
        assert back[1] == pytest.approx(limits.max)
        assert back[1] > 0


def test_frames_come_back_with_their_dtypes():
    days = pd.date_range("2024-01-01", periods=N)
    frame = pd.DataFrame(
        {
            "Int64": pd.array([None, *range(1, N)], "Int64"),
            "Float32": pd.array([None, *range(1, N)], "Float32"),
            "boolean": pd.array([None, *(i % 2 == 0 for i in range(1, N))], "boolean"),
            "string": pd.array(["a", None, "b"] * (N // 3), "string"),
            "category": pd.Categorical(["low", "high", None] * (N // 3), ["low", "high"], True),
            "int8": np.arange(N, dtype=np.int8),
            "bool": [True, False] * (N // 2),
            "date": days,
            "zoned": days.tz_localize("Asia/Tokyo"),
            "object": np.array(["x", None] * (N // 2), object),
            "arrow": pd.array([None, *range(1, N)], "int32[pyarrow]"),
        },
        index=np.arange(N) + 100,
    )
    mmae = MultimodalAutoencoder(n_components=4, max_epochs=1, width=8, random_state=0).fit(frame)
    assert [name for name, _, _ in mmae.modalities_] == ["tabular"]
    for back in (mmae.reconstruct(frame), mmae.impute(frame)):
        assert back.dtypes.to_dict() == frame.dtypes.to_dict()
        assert_array_equal(back.index, frame.index)
        assert back.notna().all(axis=None)
        assert back["category"].cat.categories.tolist() == ["low", "high"]
    known = frame["Int64"].notna()
    assert_array_equal(mmae.impute(frame)["Int64"][known], frame["Int64"][known])


def test_dates_are_the_same_whatever_their_unit():
    days = pd.Series(pd.date_range("2024-01-01", periods=N))
    mmae = MultimodalAutoencoder(n_components=2, max_epochs=0, random_state=0)
    codes = mmae.fit_transform(pd.DataFrame({"day": days, "size": np.arange(N) % 7.0}))
    for same in (
        days.astype("datetime64[s]"),
        days.astype("datetime64[ns]"),
        days.dt.date.astype(object),
        days.astype(object),
        days.dt.strftime("%Y-%m-%d"),
    ):
        frame = pd.DataFrame({"day": same, "size": np.arange(N) % 7.0})
        assert_allclose(mmae.transform(frame), codes, atol=1e-5)


def test_dates_that_the_dtype_of_fit_cannot_hold_are_refused():
    near = pd.date_range("2024-01-01", periods=N, unit="ns").to_numpy()
    modality = TabularModality().fit(Cells(("day",), (near,)))
    far = np.array(["2024-01-01", "9999-01-01"], "M8[s]")
    with pytest.raises(CellError, match=r"column 'day', row 1: .*datetime64\[ns\]"):
        modality.transform(Cells(("day",), (far,)))


def test_constant_columns_come_back_as_they_are():
    frame = mixed(holes=False)
    mmae = MultimodalAutoencoder(n_components=3, max_epochs=2, width=8, random_state=0)
    back = mmae.fit(frame).reconstruct(frame)
    assert_allclose(back["same"], 7.5, rtol=1e-2)
    assert (back["only"] == "x").all()


def test_nearly_constant_columns_are_constant():
    modality = learned(np.full((100, 2), 0.1))
    assert modality.scale_.tolist() == [1, 1]
    assert modality.weight_ == 1


# Reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [slice(None), slice(10, 30), slice(None, None, 2)])
def test_float32_is_used_where_it_is(part):
    X = np.random.default_rng(0).normal(size=(N, 4)).astype(np.float32)[part]
    values = TabularModality().fit_transform(matrix_of(X))
    assert np.shares_memory(values.tensors["raw"], X)
    assert values.tensors.keys() == {"raw"}


@pytest.mark.parametrize("change", ["float64", "hole", "read-only"])
def test_other_numbers_are_standardised_once(change):
    X = np.random.default_rng(0).normal(5, 3, (N, 4)).astype(np.float32)
    if change == "float64":
        X = X.astype(np.float64)
    elif change == "hole":
        X[3, 1] = np.nan
    else:
        X.flags.writeable = False
    values = TabularModality().fit_transform(matrix_of(X))
    numbers = values.tensors["numbers"]
    assert numbers.dtype == np.float32
    observed = values.tensors.get("observed", np.ones(X.shape, bool))
    assert_allclose(np.where(observed, numbers, 0).mean(0), 0, atol=1e-4)
    if change == "hole":
        assert not values.tensors["observed"][3, 1]
        assert values.tensors["observed"].sum() == X.size - 1


def related(n_rows, seed):
    """Three columns of numbers and one of categories, that all tell of one thing."""
    rng = np.random.default_rng(seed)
    size = rng.normal(size=n_rows)
    return pd.DataFrame(
        {
            "height": 170 + 9 * size + rng.normal(size=n_rows),
            "weight": 70 + 12 * size + 2 * rng.normal(size=n_rows),
            "shoe": 42 + 2 * size + 0.3 * rng.normal(size=n_rows),
            "shirt": np.where(size < -0.4, "S", np.where(size < 0.4, "M", "L")),
        }
    )


def test_in_a_hole_the_encoder_sees_what_the_rest_of_the_row_makes_likely():
    modality = TabularModality().fit(cells_of(related(300, seed=0)))
    whole = related(200, seed=1)
    network = built(modality)
    known = network.view(tensors_of(modality.transform(cells_of(whole))))
    first = 0
    for column, width in (("height", 1), ("weight", 1), ("shoe", 1), ("shirt", 3)):
        holed = whole.assign(**{column: None if column == "shirt" else np.nan})
        seen = network.view(tensors_of(modality.transform(cells_of(holed))))
        hidden = slice(first, first + width)
        error = (seen - known)[:, hidden].square().mean()
        # A middle category is no straight line.
        share = 0.7 if column == "shirt" else 0.35
        assert error < share * known[:, hidden].square().mean(), column
        others = [i for i in range(6) if not first <= i < first + width]
        torch.testing.assert_close(seen[:, others], known[:, others])
        first += width


def test_what_is_expected_in_a_hole_does_not_depend_on_other_rows():
    table = related(300, seed=0)
    table.loc[::3, "weight"], table.loc[::7, "shirt"] = np.nan, None
    modality = TabularModality()
    together = modality.fit_transform(cells_of(table)).tensors
    for row in (0, 21, 150, 299):
        alone = modality.transform(cells_of(table.iloc[[row]])).tensors
        assert np.array_equal(alone["numbers"][0], together["numbers"][row])
        if "expected" in alone:
            assert np.array_equal(alone["expected"][0], together["expected"][row])


def test_raw_and_standardised_numbers_have_one_view():
    X = np.random.default_rng(0).normal(5, 3, (N, 4)).astype(np.float32)
    modality = TabularModality().fit(matrix_of(X))
    network = built(modality)
    views = [
        network.view(tensors_of(modality.transform(matrix_of(x)))) for x in (X, X.astype(float))
    ]
    assert_allclose(views[0], views[1], atol=1e-6)


def test_a_row_is_present_if_anything_of_it_is():
    frame = pd.DataFrame({"size": [1.0, np.nan, np.nan], "kind": ["a", "b", None]})
    frame["kind"] = frame["kind"].astype(object)
    values = TabularModality().fit_transform(cells_of(frame))
    assert values.present.tolist() == [True, True, False]
    assert values.tensors["codes"][:, 0].tolist() == [0, 1, -1]


def test_many_categories_keep_the_most_frequent_with_a_warning():
    names = np.array([f"name{i % 30 if i < 90 else i}" for i in range(200)], object)
    cells = Cells(("name",), (names,))
    with pytest.warns(DataWarning, match=r"'name': 140 categories.*29 most.*max_categories"):
        modality = TabularModality(max_categories=30).fit(cells)
    assert set(modality.categories_[0]) == {f"name{i}" for i in range(30)}
    (shared,) = modality.shared_
    codes = modality.transform(cells).tensors["codes"][:, 0]  # without another warning
    rare = ~np.isin(names, [v for i, v in enumerate(modality.categories_[0]) if i != shared])
    assert_array_equal(codes == shared, rare)
    assert modality.counts_[0][shared] == rare.sum() == 113
    assert modality.labels()[0][shared] == "other"
    (back,) = modality.inverse_transform(np.eye(30)[codes])
    assert_array_equal(back[~rare], names[~rare])
    assert set(back[rare]) == {modality.categories_[0][shared]}


def test_categories_that_the_input_declares_are_known_before_they_are_seen():
    colour = pd.DataFrame(
        {"colour": pd.Categorical(["red"] * 9 + ["blue"], ["sky", "red", "blue"])}
    )
    modality = TabularModality().fit(cells_of(colour))
    assert modality.categories_ == [["sky", "red", "blue"]]
    unseen = pd.DataFrame({"colour": pd.Categorical(["sky"])})
    assert modality.transform(cells_of(unseen)).tensors["codes"].tolist() == [[0]]


def test_a_column_without_any_cell_comes_back_empty():
    frame = pd.DataFrame(
        {
            "size": [1.0, 2.0, 3.0],
            "no number": np.nan,
            "no date": np.array(["NaT"] * 3, "M8[s]"),
            "nothing": pd.Series([None] * 3, dtype=object),
        }
    )
    with pytest.warns(DataWarning, match="'no number', 'no date', 'nothing': no cell is observed"):
        modality = TabularModality().fit(cells_of(frame))
    size, *others = modality.inverse_transform(np.zeros((2, len(modality.mean_))))
    assert size.tolist() == [2, 2]
    assert all(pd.isna(column).all() for column in others)


def test_bools_are_numbers_where_numbers_are_expected():
    modality = TabularModality().fit(Cells(("a",), (np.array([0, 1, 2, 3]),)))
    as_bool = modality.transform(Cells(("a",), (np.array([False, True]),)))
    as_int = modality.transform(Cells(("a",), (np.array([0, 1]),)))
    assert_array_equal(as_bool.tensors["numbers"], as_int.tensors["numbers"])


@pytest.mark.parametrize("most", [1, 2.5, "9", True, None])
def test_max_categories_is_a_whole_number(most):
    with pytest.raises(ValueError, match=r"max_categories=.*at least 2"):
        TabularModality(max_categories=most).fit(matrix_of(np.ones((3, 2))))


@pytest.mark.parametrize(
    ("dates", "form"),
    [
        (["2016-09-22", "2015-01-31"], "%Y-%m-%d"),
        (["09/22/2016", "01/31/2015"], "%m/%d/%Y"),
        (["22/09/2016", "31/01/2015"], "%d/%m/%Y"),
        (["2016-09-22 10:30", "2015-01-31 23:59"], "%Y-%m-%d %H:%M"),
    ],
)
def test_dates_written_as_strings_are_dates(dates, form):
    column = np.array([*dates, None] * 10, dtype=object)
    modality = TabularModality().fit(Cells(("day",), (column,)))
    assert modality.kinds_ == ["date"]
    assert modality.dtypes_ == [f"datetime64[s]|{form}"]
    standardised = modality.transform(Cells(("day",), (column,))).tensors["numbers"]
    (back,) = modality.inverse_transform(standardised[:2])
    assert back.tolist() == dates


def test_a_date_that_breaks_the_format_is_named():
    column = np.array(["2016-09-22", "2015-01-31"] * 5, dtype=object)
    modality = TabularModality().fit(Cells(("day",), (column,)))
    with pytest.raises(CellError, match=r"column 'day', row 1: .*%Y-%m-%d"):
        modality.transform(Cells(("day",), (np.array(["2016-09-22", "22/09/2016"], object),)))


def test_codes_that_look_like_numbers_are_no_dates():
    column = np.array(["10-20", "30-40", "10-20"] * 5, dtype=object)
    assert TabularModality().fit(Cells(("code",), (column,))).kinds_ == ["category"]
