"""What users of `search` rely on: rows of one modality found by others."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from sklearn_mmae import MultimodalAutoencoder, MultimodalVAE, TabularModality, load
from sklearn_mmae.metrics import recall_at_k

LEFT, RIGHT = list("abcd"), list("efgh")
THREE = [
    ("left", TabularModality(), LEFT),
    ("right", TabularModality(), RIGHT),
    ("more", TabularModality(), ["m"]),
]


def pairs(n, seed=0):
    """Return two sides of what they share, which is small in each beside what is its own."""
    rng, way = np.random.default_rng(seed), np.random.default_rng(7)
    shared, own = rng.normal(size=(n, 3)), rng.normal(size=(2, n, 1))
    sides = [
        shared @ way.normal(size=(3, 4))
        + 6 * one * way.normal(size=4)
        + rng.normal(size=(n, 4)) / 9
        for one in own
    ]
    frame = pd.DataFrame(np.concatenate(sides, 1), columns=[*LEFT, *RIGHT])
    return frame.assign(m=shared[:, 0] + rng.normal(size=n) / 9)


@cache
def fitted(kind=MultimodalAutoencoder):
    return kind(THREE, n_components=6, max_epochs=0, random_state=0).fit(pairs(500))


def recall(found):
    return np.mean([i in row for i, row in enumerate(found.rows)])


@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalVAE])
def test_rows_find_their_own_better_than_by_cosine(kind):
    mmae, new = fitted(kind), pairs(200, seed=1)
    codes = [mmae.transform(new[side]) for side in (LEFT, RIGHT)]
    for x, among, to in ((LEFT, RIGHT, "right"), (RIGHT, LEFT, "left")):
        found = recall(mmae.search(new[x], new[among], to=to))
        assert found > 0.6
        assert found > recall_at_k(*codes, k=10) + 0.05


def test_more_that_is_known_finds_more():
    mmae, new = fitted(), pairs(200, seed=1)
    by_little = recall(mmae.search(new[["m"]], new, to="right"))
    by_left = recall(mmae.search(new[LEFT], new, to="right"))
    assert 10 / 200 < by_little < by_left <= recall(mmae.search(new, new, to="right"))
    by_left, by_two = (
        recall(mmae.search(new[LEFT], new, to=to)) for to in ("more", ["right", "more"])
    )
    assert by_left < by_two


def test_it_looks_only_where_it_is_told_to():
    mmae, new = fitted(), pairs(60, seed=1)
    expected = mmae.search(new[LEFT], new[RIGHT], to="right")
    found = mmae.search(new, new, to="right")  # `more` of X is looked at, that of `among` is not
    with_more = mmae.search(new[[*LEFT, "m"]], new[RIGHT], to="right")
    np.testing.assert_array_equal(found.rows, with_more.rows)
    other = new.assign(**dict.fromkeys(RIGHT, 0.0))
    again = mmae.search(other[[*LEFT, *RIGHT]], new.assign(a=9.0), to="right")
    np.testing.assert_array_equal(again.rows, expected.rows)
    np.testing.assert_array_equal(again.scores, expected.scores)


def test_the_best_come_first_and_rows_do_not_depend_on_others():
    mmae, new = fitted(), pairs(60, seed=1)
    rows, scores = mmae.search(new[LEFT], new[RIGHT], to="right", n=7)
    assert rows.shape == scores.shape == (60, 7)
    assert (np.diff(scores, axis=1) <= 0).all()
    assert scores.max() <= 1
    alone = mmae.search(new[LEFT][5:6], new[RIGHT], to="right", n=7)
    np.testing.assert_array_equal(alone.rows[0], rows[5])
    np.testing.assert_array_equal(alone.scores[0], scores[5])


def test_copies_are_found_in_order():
    mmae, new = fitted(), pairs(30, seed=1)
    twice = pd.concat([new, new])
    rows = mmae.search(new[LEFT], twice[RIGHT], to="right", n=60).rows
    where = rows.argsort(1)
    assert (where[:, :30] < where[:, 30:]).all()


def test_rows_without_the_modality_are_not_found():
    mmae, new = fitted(), pairs(40, seed=1)
    among = new[RIGHT].copy()
    among.iloc[::2] = np.nan
    rows = mmae.search(new[LEFT], among, to="right", n=20).rows
    assert set(rows.ravel()) == set(range(1, 40, 2))
    with pytest.raises(ValueError, match=r"n=21, but 20 rows of `among` have anything of 'right'"):
        mmae.search(new[LEFT], among, to="right", n=21)


def test_a_loaded_model_finds_the_same(tmp_path):
    new = pairs(20, seed=1)
    for kind in (MultimodalAutoencoder, MultimodalVAE):
        fitted(kind).save(tmp_path / "model.mmae")
        again = load(tmp_path / "model.mmae").search(new[LEFT], new, to="right")
        for one, other in zip(fitted(kind).search(new[LEFT], new, to="right"), again, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"to": "photo"}, "'photo'"),
        ({"to": ["left", "right", "more"]}, "leave at least one"),
        ({"n": 0}, "whole number of at least 1"),
    ],
)
def test_a_search_that_makes_no_sense_says_what_to_write(call, message):
    new = pairs(20, seed=1)
    with pytest.raises(ValueError, match=message):
        fitted().search(new, new, **{"to": "right"} | call)


def test_after_partial_fit_it_names_the_remedy():
    mmae = MultimodalAutoencoder(THREE, n_components=3, max_epochs=0).fit(pairs(30))
    with pytest.raises(ValueError, match=r"search: .*call fit on all rows"):
        mmae.partial_fit(pairs(30)).search(pairs(20), pairs(20), to="right")
