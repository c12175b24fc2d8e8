"""What users of rows drawn from `MultimodalAutoencoder` rely on."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from sklearn_mmae import ModelFileError, MultimodalAutoencoder, TabularModality, load
from sklearn_mmae._core import archive
from sklearn_mmae.statistics._mixture import fit_mixture
from sklearn_mmae.statistics._samples import SampledRows

TWO = [("left", TabularModality(), ["a", "b"]), ("right", TabularModality(), ["c", "d", "kind"])]


def clusters(n, seed=0):
    """Return rows of two groups: b and c are the group, d says more of a than of the group."""
    rng = np.random.default_rng(seed)
    group, a = rng.integers(0, 2, n), rng.normal(size=n)
    columns = {
        "a": a,
        "b": 8.0 * group + rng.normal(size=n) / 2,
        "c": 4.0 * group + rng.normal(size=n) / 4,
        "d": 2 * a + rng.normal(size=n) / 2,
        "kind": np.where(group, "high", "low"),
    }
    return pd.DataFrame(columns)


@cache
def fitted():
    return MultimodalAutoencoder(TWO, n_components=3, max_epochs=0, random_state=0).fit(
        clusters(800)
    )


def test_samples_are_rows_like_those_of_fit():
    rows, drawn = clusters(800), fitted().sample(2000)
    assert drawn.columns.equals(rows.columns)
    assert drawn.dtypes.equals(rows.dtypes)
    numbers = ["a", "b", "c", "d"]
    np.testing.assert_allclose(drawn[numbers].mean(), rows[numbers].mean(), atol=0.25)
    np.testing.assert_allclose(drawn[numbers].cov(), rows[numbers].cov(), atol=0.8)


def test_groups_stay_apart_and_columns_agree_about_them():
    drawn = fitted().sample(1000)
    between = drawn["c"].between(1.5, 2.5).mean()  # a single Gaussian would have a fifth there
    assert between < 0.05
    assert ((drawn["c"] > 2) == (drawn["kind"] == "high")).mean() > 0.95
    assert ((drawn["c"] > 2) == (drawn["b"] > 4)).mean() > 0.95


def test_samples_given_a_modality_follow_the_conditional_distribution():
    given = pd.DataFrame({"a": [1.0, -1.0], "b": [8.0, 0.0]})
    drawn = fitted().sample(500, given=given)
    high, low = drawn[:500], drawn[500:]
    assert (high["a"] == 1).all()
    assert (low["b"] == 0).all()
    assert (high["kind"] == "high").mean() > 0.95
    assert (low["kind"] == "low").mean() > 0.95
    assert abs(high["d"].mean() - 2) < 0.3
    assert abs(low["d"].mean() + 2) < 0.3
    assert 0.3 < high["d"].std() < 1


def test_where_what_is_given_leaves_two_answers_both_are_drawn():
    rows = clusters(800)[["a", "c", "d"]]
    tables = [("left", TabularModality(), ["a", "d"]), ("right", TabularModality(), ["c"])]
    mmae = MultimodalAutoencoder(tables, n_components=2, max_epochs=0, random_state=0).fit(rows)
    drawn = mmae.sample(400, given=pd.DataFrame({"a": [0.0], "d": [0.0]}))["c"]
    assert 0.3 < (drawn > 2).mean() < 0.7
    assert drawn.between(1.3, 2.7).mean() < 0.2


def test_cells_are_drawn_the_wider_the_less_is_given():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(1000, 1))
    rows = pd.DataFrame(common + rng.normal(size=(1000, 6)) / 2, columns=list("abcdef"))
    mmae = MultimodalAutoencoder(n_components=2, max_epochs=0, random_state=0).fit(rows)
    spread = []
    for hidden in (["f"], ["b", "c", "d", "e", "f"]):
        given = pd.DataFrame(np.ones((1, 6)), columns=list("abcdef")).assign(
            **dict.fromkeys(hidden)
        )
        drawn = mmae.sample(400, given=given.astype(float))
        assert (drawn["a"] == 1).all()
        assert abs(drawn["f"].mean() - 0.85) < 0.25
        spread.append(drawn["f"].std())
    # Of the noise and of what is common, given five cells and given one.
    assert abs(spread[0] - (0.25 + 1 / 21) ** 0.5) < 0.1
    assert abs(spread[1] - (0.25 + 1 / 5) ** 0.5) < 0.15


def test_a_whole_row_is_itself():
    rows = clusters(5, seed=1)
    pd.testing.assert_frame_equal(fitted().sample(1, given=rows), rows)


def test_draws_come_again_and_rows_keep_theirs(tmp_path):
    rows = clusters(20, seed=1)[["a", "b"]]
    fitted().save(tmp_path / "model.mmae")
    again = load(tmp_path / "model.mmae")
    for given in (None, rows):
        pd.testing.assert_frame_equal(
            fitted().sample(7, given=given), again.sample(7, given=given), check_exact=True
        )


def test_a_mixture_is_as_large_as_rows_ask_for():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(600, 3))
    four = one + 8 * rng.integers(0, 2, (600, 2)) @ np.eye(2, 3)
    sizes = [len(fit_mixture(SampledRows(rows, np.ones(len(rows)))).shares) for rows in (one, four)]
    assert sizes[0] == 1
    assert sizes[1] > 1


@pytest.mark.parametrize("n_rows", [3, 10])
def test_few_rows_have_a_density(n_rows):
    mmae = MultimodalAutoencoder(TWO, n_components=3, max_epochs=0).fit(clusters(n_rows))
    assert np.isfinite(mmae.sample(20)["a"]).all()
    assert np.isfinite(mmae.sample(3, given=clusters(4)[["a", "b"]])["d"]).all()


# Bad input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["few rows", "partial_fit"])
def test_without_a_density_it_names_the_remedy(how, tmp_path):
    mmae = MultimodalAutoencoder(TWO, n_components=1, max_epochs=0)
    mmae.fit(clusters(2 if how == "few rows" else 20))
    if how == "partial_fit":
        mmae.partial_fit(clusters(20))
    mmae.save(tmp_path / "model.mmae")
    for one in (mmae, load(tmp_path / "model.mmae")):
        with pytest.raises(ValueError, match=r"sample: .*call fit on all rows"):
            one.sample(3)


@pytest.mark.parametrize("n", [0, -1, 1.5, True, None])
def test_a_count_that_is_none_is_refused(n):
    with pytest.raises(ValueError, match="whole number of at least 1"):
        fitted().sample(n)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("patterns", lambda a: a[:, 1:]),
        ("bins", lambda a: a.astype(float)),
        ("maps", lambda a: a * np.nan),
        ("offsets", lambda a: a[:, 1:]),
        ("roots", lambda a: -a),
        ("roots", lambda a: a.tolist()),
        ("noise", lambda a: a[1:]),
        ("noise", lambda a: [one[1:] for one in a]),
        ("mixture", lambda a: a | {"shares": -a["shares"]}),
        ("mixture", lambda a: a | {"means": a["means"].astype(int)}),
        ("mixture", lambda a: a | {"roots": a["roots"] * 0}),
        ("mixture", lambda a: {"shares": a["shares"]}),
    ],
)
def test_a_file_with_a_wrong_density_is_refused(key, change, tmp_path):
    path = tmp_path / "model.mmae"
    fitted().save(path)
    tree = archive.read(path, kind="estimator")
    tree["density"][key] = change(tree["density"][key])
    archive.write(path, tree, kind="estimator")
    with pytest.raises(ModelFileError):
        load(path)
