"""What `modalities="auto"` takes columns of real tables for, and how they come back."""

import copy
import pickle
import string
import warnings
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sklearn_mmae import (
    CellError,
    DataWarning,
    MultimodalAutoencoder,
    TabularModality,
    TextModality,
    load,
)
from sklearn_mmae.cells import Cells

N = 120
RNG = np.random.default_rng(0)
CODES = [a + b + c for a in "ABCDEFG" for b in "KLMNO" for c in "PQRST"]
FORMATS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%Y-%m", "%Y%m%d"),
    *("%b %d, %Y", "%B %d, %Y", "%d %B %Y", "%d-%b-%y", "%A, %d %b %Y", "%b %Y", "%Y-%b-%d"),
    *("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"),
    *("%Y-%m-%dT%H:%M:%S+02:00", "%Y-%m-%d %H:%M:%S -0330", "%Y-%m-%d %H:%M:%S UTC"),
    *("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%d %H:%M:%S,%f", "%m/%d/%Y %I:%M %p", "%d.%m.%Y %H:%M:%S"),
    *("%a, %d %b %Y %H:%M:%S GMT", "%d/%b/%Y:%H:%M:%S +0000", "%I:%M:%S %p %d.%m.%Y"),
)


def fitted(**columns):
    """Return a default fit of columns beside one of numbers, and its warnings."""
    frame = pd.DataFrame({"x": RNG.normal(size=len(next(iter(columns.values())))), **columns})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mmae = MultimodalAutoencoder(n_components=3, max_epochs=0, random_state=0).fit(frame)
    return mmae, [str(warning.message) for warning in caught]


def kinds_of(mmae):
    """Return the kind of each column that is used."""
    return {
        column: kind
        for _, modality, columns in mmae.modalities_
        for column, kind in zip(columns, getattr(modality, "kinds_", ["other"]), strict=True)
    }


def there_and_back(cells):
    """Return what a table makes of a column, and what comes back if nothing is lost."""
    column = np.array(cells, object)
    modality = TabularModality()
    values = modality.fit_transform(Cells(("c",), (column,)))
    if modality.kinds_[0] in ("number", "date"):
        numbers = values.tensors["numbers"].astype(np.float64)
        # In double precision, as single would lose seconds.
        exact = modality._numbers(Cells(("c",), (column,)))
        numbers = (exact - modality.mean_) / modality.scale_
        (back,) = modality.inverse_transform(numbers)
    else:
        n_values = len(modality.categories_[0])
        (back,) = modality.inverse_transform(np.eye(n_values)[values.tensors["codes"][:, 0]])
    return modality, back


# Categories --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_values", [60, 105, 175])
def test_codes_that_repeat_are_categories(n_values):
    codes = np.array(CODES[:n_values])[RNG.integers(0, n_values, 10 * n_values)]
    mmae, said = fitted(code=codes)
    assert kinds_of(mmae) == {"x": "number", "code": "category"}
    assert not said
    assert len(mmae.modalities_[0][1].categories_[0]) == n_values
    assert set(mmae.reconstruct(mmae_rows(codes))["code"]) <= set(codes)


def mmae_rows(codes):
    return pd.DataFrame({"x": np.zeros(len(codes)), "code": codes})


@settings(max_examples=10, deadline=None)
@given(
    st.lists(
        st.text(string.ascii_letters + string.digits + "-_äß中", min_size=1, max_size=12),
        min_size=41,
        max_size=60,
        unique=True,
    ),
    st.integers(2, 70),
    st.randoms(use_true_random=False),
)
def test_a_category_comes_back_as_a_value_in_its_own_case(values, most, random):
    cells = [f"v{value}" for value in values * 3]
    random.shuffle(cells)
    frame = pd.DataFrame({"x": range(len(cells)), "c": cells})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        mmae = MultimodalAutoencoder(
            [("t", TabularModality(most), ["x", "c"])], n_components=2, max_epochs=0
        ).fit(frame)
        found = MultimodalAutoencoder(n_components=2, max_epochs=0).fit(frame)
    assert kinds_of(found)["c"] == "category"
    assert len(mmae.modalities_[0][1].categories_[0]) == min(most, len(values))
    for back in (mmae.reconstruct(frame), mmae.inverse_transform(np.zeros((2, 2)))):
        assert set(back["c"]) <= set(cells)


def test_rare_and_unseen_values_share_one(tmp_path):
    codes = np.repeat(CODES[:6], [40, 30, 20, 10, 8, 4])
    frame = pd.DataFrame({"x": np.arange(len(codes)) % 7.0, "code": codes})
    listed = [("t", TabularModality(4), ["x", "code"])]
    mmae = MultimodalAutoencoder(listed, n_components=4, max_epochs=3, random_state=0)
    with pytest.warns(DataWarning, match=r"'code': 6 categories, of which the 3 most"):
        mmae.fit(frame)
    modality = mmae.modalities_[0][1]
    assert modality.categories_ == [CODES[:4]]
    assert modality.shared_ == [3]
    assert modality.counts_[0].tolist() == [40, 30, 20, 22]
    unseen = frame.assign(code="never seen")
    assert_allclose(mmae.transform(unseen[-5:]), mmae.transform(frame[-5:]))  # without a warning
    assert (mmae.reconstruct(unseen)["code"] == CODES[3]).mean() > 0.9
    assert list(mmae.category_probabilities(frame)["code"]) == [*CODES[:3], "other"]
    mmae.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert_array_equal(again.transform(unseen), mmae.transform(unseen))
    assert repr(again.modalities_) == repr(mmae.modalities_)


def test_texts_and_words_are_no_codes():
    adjectives = ["red", "blue", "old", "new", "small", "large", "cold", "warm"]
    nouns = ["house", "car", "tree", "river", "dog", "bird", "road", "lamp"]
    texts = [f"{a} {n}" for a in adjectives for n in nouns]
    words = [f"{a}{b}{c}ing" for a in "bcdf" for b in "aeiou" for c in "lmnr"]
    mmae, said = fitted(text=[*texts, *texts], word=[*words, *words][: 2 * len(texts)])
    assert kinds_of(mmae)["text"] == "other"
    mmae, said = fitted(word=words)  # never twice, but their parts may tell something
    assert [type(m) for _, m, _ in mmae.modalities_] == [TabularModality, TextModality]
    chinese = [f"我今天买了一件很漂亮的衣服{chr(0x4E00 + i)}非常喜欢穿" for i in range(50)]
    mmae, said = fitted(text=chinese + chinese[:25])
    assert kinds_of(mmae)["text"] == "other"
    assert not said


# Identifiers -------------------------------------------------------------------------------------

NAMES_OF_ROWS = {
    "hashes": [f"{int(n):016x}" for n in RNG.integers(0, 2**60, N)],
    "codes": CODES[:N],
    "numbered": [f"C-{i}" for i in range(N)],
    "digits": [str(10_000_000 + 7919 * i) for i in range(N)],
    "mails": [f"a{i}@example.org" for i in range(N)],
}


@pytest.mark.parametrize("name", NAMES_OF_ROWS)
def test_strings_that_name_rows_are_left_out(name):
    mmae, said = fitted(id=NAMES_OF_ROWS[name])
    assert kinds_of(mmae) == {"x": "number"}
    assert len(said) == 1
    assert said[0].startswith("column 'id': strings of one word that hardly repeat")
    assert "('id', TextModality(), ['id'])" in said[0]
    assert "left out: 'id'" in repr(mmae.modalities_)


def test_no_column_but_names_of_rows_is_an_error():
    frame = pd.DataFrame({"id": NAMES_OF_ROWS["hashes"]})
    with pytest.raises(ValueError, match=r"'id'.*no other column.*TextModality\(\)"):
        MultimodalAutoencoder(max_epochs=0).fit(frame)


IDS = {
    "consecutive": (np.arange(N) + 5, True),
    "shuffled": (RNG.permutation(N), True),
    "with gaps": (np.sort(RNG.choice(5 * N, N, replace=False)), True),
    "of ten digits": (RNG.choice(9 * 10**9, N, replace=False) + 10**9, True),
    "counts": (RNG.poisson(300, N), False),
    "people": (np.exp(RNG.normal(14, 3, N)).astype(int), False),
    "pounds": (RNG.integers(10_000, 99_999, N), False),
    "years": (np.arange(1950, 2020), False),
    "of one value": (np.ones(N, int), False),
}


@pytest.mark.parametrize("case", IDS)
def test_whole_numbers_that_name_rows_are_told(case):
    numbers, are_ids = IDS[case]
    mmae, said = fitted(n=numbers)
    assert kinds_of(mmae)["n"] == "number"
    assert [text.startswith("column 'n': its whole numbers all differ") for text in said] == (
        [True] * are_ids
    )


NOT_READ_AS_NUMBERS = {
    "decimal comma": lambda x: f"{x:.2f}".replace(".", ","),
    "groups and decimal comma": lambda x: f"{x:,.2f}".translate({44: ".", 46: ","}),
    "groups by spaces": lambda x: f"{x:,.2f}".translate({44: "\u00a0", 46: ","}),
    "groups by apostrophes": lambda x: f"{x:,.2f}".replace(",", "'"),
    "in brackets": lambda x: f"({x:,.2f})",
    "dollars": lambda x: f"-${x:,.2f}",
    "euros": lambda x: f"{x:.2f} €",
    "per cent": lambda x: f"{x:.1f}%",
    "kilograms": lambda x: f"{x:.1f} kg",
    "a mark where it is missing": lambda x: "?" if x < 100 else f"{x:.1f}",
}
NO_NUMBERS = {
    "addresses": [f"10.0.{i}.{i + 3}" for i in range(N)],
    "telephones": [f"555-{i:04d}" for i in range(N)],
    "postcodes": [f"{i:05d}" for i in range(N)],
    "seats": [f"{i}{'ABC'[i % 3]}" for i in range(N)],
    "rooms": [f"Room {i}" for i in range(N)],
    "versions": [f"1.{i}.0" for i in range(N)],
    "ranges": [f"{i}-{i + 10}" for i in range(N)],
    "answers": ["1", "2", "3", "4", "5", "6", "none"] * 20,
}


@pytest.mark.parametrize("case", NOT_READ_AS_NUMBERS)
def test_strings_that_look_like_numbers_are_told(case):
    numbers = np.abs(RNG.normal(0, 1e5, N))
    numbers[::7] = 9
    _, said = fitted(n=[NOT_READ_AS_NUMBERS[case](x) for x in numbers])
    assert said[0].startswith("column 'n': its strings")
    assert "not read as such" in said[0]


@pytest.mark.parametrize("case", NO_NUMBERS)
def test_other_strings_of_digits_are_not(case):
    _, said = fitted(n=NO_NUMBERS[case])
    assert not [text for text in said if "like numbers" in text or "are numbers" in text]


def test_categories_of_another_type_are_told_from_those_of_fit():
    mmae, _ = fitted(n=["1", "2", "3"] * 40)
    for cells, known in (([1.0, None], True), (["4", None], False)):
        new = pd.DataFrame({"x": [0.0, 0.0], "n": pd.Series(cells, dtype=object)})
        with pytest.warns(DataWarning, match="not seen in training") as said:
            mmae.transform(new)
        assert ("in fit: '1', '2', '3'" in str(said[0].message)) is known


def test_days_as_whole_numbers_are_told():
    days = pd.date_range("2024-01-01", periods=N).strftime("%Y%m%d")
    _, said = fitted(n=days.astype(int).to_numpy())
    assert len(said) == 1
    assert "pd.to_datetime(column, format='%Y%m%d')" in said[0]
    mmae, said = fitted(n=days)
    assert kinds_of(mmae)["n"] == "date"
    assert len(said) == 1
    assert "eight digits are read as days" in said[0]


# Dates -------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(FORMATS),
    st.lists(
        st.datetimes(datetime(1970, 1, 1), datetime(2068, 12, 31)).map(
            lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000)
        ),
        min_size=3,
        max_size=50,
    ),
)
def test_dates_come_back_in_their_format(form, times):
    # So that day and month, hours and their half of the day cannot be mistaken for one another.
    times = [datetime(1999, 12, 31, 23, 59, 58, 120_000), datetime(1999, 1, 13), *times]
    texts = [time.strftime(form) for time in times]
    modality, back = there_and_back(texts)
    assert modality.kinds_ == ["date"]
    if "%f" in form:  # numbers hold no more digits than these
        texts = [text[: text.index(":") + 6] for text in texts]
        back = [text[: text.index(":") + 6] for text in back]
    assert list(back) == texts


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1/2/2024", "12/25/2024", "3/14/2023"], None),
        (["05-JAN-24", "17-FEB-23", "31-DEC-22"], None),
        (["9:05 pm, 5 jan 2024", "11:30 am, 17 feb 2023", "10:00 am, 1 may 2023"], None),
        (["2024-01-01T10:00:00.25", "2024-01-02T11:00:00"], [".25", ".00"]),
        (
            ["2024-03-30T10:00:00+01:00", "2024-03-31T10:00:00+02:00"],
            ["2024-03-30T09:00:00+00:00", "2024-03-31T08:00:00+00:00"],
        ),
        (["", "2024-01-05", "2024-02-29"], [None, "2024-01-05", "2024-02-29"]),
    ],
)
def test_dates_of_less_usual_formats_come_back(texts, expected):
    modality, back = there_and_back(texts * 3)
    assert modality.kinds_ == ["date"]
    for found, wanted in zip(back, expected or texts, strict=False):
        assert found == wanted or found.endswith(wanted)


@pytest.mark.parametrize(
    "texts",
    [
        ["10-20", "30-40"],
        ["1.2.3", "1.10.22"],
        ["192.168.1.1", "10.0.0.1"],
        ["555-12-3456", "555-11-1234"],
        ["Jan 05", "Feb 06"],
        ["May", "June"],
        ["12:30", "10:00"],
        ["2023-24", "2022-23"],
        ["2024-02-30", "2024-01-01"],
        ["2024-01-01T10:00:00Z", "2024-01-01T10:00:00"],
        ["2024-01-01T10:00:00+99:00", "2024-01-02T10:00:00+99:00"],
    ],
)
def test_what_only_looks_like_dates_is_none(texts):
    assert there_and_back(texts * 5)[0].kinds_ == ["category"]


def test_a_guess_of_month_and_day_is_told():
    mmae, said = fitted(day=[f"{i % 12 + 1:02}-{i % 11 + 1:02}-2024" for i in range(N)])
    assert kinds_of(mmae)["day"] == "date"
    assert len(said) == 1
    assert "'day': month and day could be either way round, and are read as %m-%d-%Y" in said[0]


def test_instants_written_as_strings_are_the_same_as_real_ones():
    times = pd.date_range("2024-03-01", periods=N, freq="7h13min", tz="UTC")
    texts = times.strftime("%Y-%m-%dT%H:%M:%SZ")
    mmae, said = fitted(t=texts)
    frame = pd.DataFrame({"x": RNG.normal(size=N), "t": texts})
    tokyo = frame.assign(t=times.tz_convert("Asia/Tokyo"))
    written = frame.assign(t=[time.isoformat() for time in times.tz_convert("Europe/Paris")])
    for same in (tokyo, written):
        assert_allclose(mmae.transform(same), mmae.transform(frame), atol=1e-5)
    with pytest.raises(CellError, match=r"column 't'.*no time zone.*\(UTC\)"):
        mmae.transform(frame.assign(t=times.tz_localize(None)))
    with pytest.raises(CellError, match=r"column 't', rows? 0.*do not follow"):
        mmae.transform(frame.assign(t=times.strftime("%Y-%m-%d")))
    assert not said


# Numbers as strings ------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["z.2f", "z.0f", "+z.3f", "z,.1f", ".4e", "z,.0f"]),
    st.lists(st.floats(-1e7, 1e7), min_size=50, max_size=80),
)
def test_numbers_written_as_strings_come_back_alike(form, numbers):
    numbers = [*numbers, *(1000.5 + 7 * i for i in range(50)), -3.0]
    texts = [format(number, form) for number in numbers]
    modality, back = there_and_back(["", *texts, None])
    assert modality.kinds_ == ["number"]
    assert back[0] is None
    assert back[-1] is None
    assert_allclose(
        [float(text.replace(",", "")) for text in back[1:-1]],
        [float(text.replace(",", "")) for text in texts],
        rtol=1e-4,
        atol=2e-3,
    )
    if form[-1] == "f":
        assert [len(text) for text in back[1:-1]] == [len(text) for text in texts]


def test_numbers_as_strings_in_a_frame():
    texts = np.array([f"{n:.2f}" for n in RNG.normal(size=N)], object)
    texts[3] = None
    mmae, said = fitted(n=texts)
    assert kinds_of(mmae)["n"] == "number"
    frame = pd.DataFrame({"x": 0.0, "n": texts})
    filled = mmae.impute(frame)["n"]
    assert filled.drop(3).tolist() == frame["n"].drop(3).tolist()
    assert float(filled[3]) == pytest.approx(0, abs=3)
    with pytest.raises(CellError, match=r"column 'n', row 5: holds strings that are no numbers"):
        mmae.transform(frame.assign(n=[*texts[:5], "many", *texts[6:]]))
    assert not said


@pytest.mark.parametrize(
    "texts", [["02134", "10001", "94103"], ["1", "2", "3"], ["1-2", "3-4"], ["1e", "2e"], ["."]]
)
def test_codes_of_digits_are_categories(texts):
    assert there_and_back(texts * 5)[0].kinds_ == ["category"]


# What is printed ---------------------------------------------------------------------------------


def test_modalities_say_what_each_column_is_and_can_be_pasted_back():
    texts = [f"{a} {b} {i}" for i, (a, b) in enumerate(pairwise(CODES[: N + 1]))]
    mmae, _ = fitted(
        code=(CODES[:45] * 3)[:N],
        day=[str((datetime(2024, 1, 1) + timedelta(i)).date()) for i in range(N)],
        text=texts,
        id=NAMES_OF_ROWS["hashes"],
    )
    printed = repr(mmae.modalities_)
    first, second, last = printed.split("\n")
    assert first.endswith("# numbers: x; categories: code (45 values); dates: day (like %Y-%m-%d)")
    assert "# text: " in second
    assert last == " # left out: 'id'"
    names = {"TabularModality": TabularModality, "TextModality": TextModality}
    pasted = eval(printed, names)
    assert repr(pasted) == repr(list(mmae.modalities_))
    for same in (pickle.loads(pickle.dumps(mmae.modalities_)), copy.deepcopy(mmae.modalities_)):
        assert repr(same) == printed
    listed = clone(MultimodalAutoencoder(modalities=mmae.modalities_))
    assert not hasattr(listed.modalities[0][1], "kinds_")
