"""What few ask for is learned when it is first asked for, and no rows are kept but in memory."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from sklearn_mmae import MultimodalAutoencoder, TabularModality, load
from sklearn_mmae.nn._sparse import as_tensors
from sklearn_mmae.training import _batches

RNG = np.random.default_rng(0)
ROWS = pd.DataFrame(RNG.normal(size=(90, 4)), columns=list("abcd")).assign(
    kind=RNG.choice(["red", "green"], 90), size=lambda rows: rows["a"] + rows["b"]
)
MODALITIES = [
    ("one", TabularModality(), ["a", "b", "kind"]),
    ("other", TabularModality(), ["c", "d", "size"]),
]


def fitted(**parameters):
    mmae = MultimodalAutoencoder(MODALITIES, 2, max_epochs=2, random_state=0, **parameters)
    return mmae.fit(ROWS)


def answers(mmae):
    """Return what is asked of what is learned later, as one array."""
    low, high = mmae.predict_interval(ROWS)
    found = mmae.search(ROWS, ROWS, to="other", n=2)
    sampled = mmae.sample(5)[["a", "b", "c", "d"]]
    sets = mmae.category_sets(ROWS, 0.9)["kind"]
    missing = mmae.impute(ROWS.assign(a=np.nan))["a"]
    return np.concatenate([np.ravel(a) for a in (low, high, *found, sampled, sets, missing)])


def test_learned_later_is_learned_as_in_fit(monkeypatch):
    later = fitted()
    monkeypatch.setattr(_batches, "MOST_KEPT", 0)
    np.testing.assert_array_equal(answers(later), answers(fitted()))


@pytest.mark.parametrize("asked", [False, True])
def test_copies_and_files_know_what_the_estimator_knows(asked, tmp_path):
    mmae = fitted()
    expected = answers(mmae) if asked else answers(fitted())
    mmae.save(tmp_path / "model.mmae")
    for copied in (pickle.loads(pickle.dumps(mmae)), load(tmp_path / "model.mmae")):
        np.testing.assert_array_equal(answers(copied.set_params(random_state=0)), expected)


def test_pickles_hold_no_row():
    mmae = fitted()
    assert mmae._model.density._learn is not None  # its rows are in memory, until it is asked for
    pickle.dumps(mmae)
    model = mmae._model
    assert model.density._learn is model.calibration._learn is model.cells.learned._learn is None
    standardised = (ROWS["a"] - ROWS["a"].mean()) / ROWS["a"].std(ddof=0)
    # Residuals of a calibration may be such numbers by chance.
    content = pickle.dumps([model.density, model.cells])
    assert not any(number.tobytes() in content for number in standardised.to_numpy(np.float32))


def test_what_is_learned_later_knows_nothing_of_later_epochs():
    asked, waiting = fitted(), fitted()
    expected = asked.predict_interval(ROWS)
    waiting.fit(ROWS)  # anew
    np.testing.assert_array_equal(waiting.predict_interval(ROWS).low, expected.low)
    with pytest.raises(ValueError, match="neither by partial_fit"):
        waiting.partial_fit(ROWS).predict_interval(ROWS)


def test_rows_of_texts_are_kept_as_long_as_they_are():
    texts = as_tensors(
        {"weights": sparse.csr_array([[1.0, 0, 2], [0, 0, 0], [3, 4, 5], [0, 6, 0]])}
    )
    rows = _batches.Rows([texts], torch.arange(4)).subset(torch.tensor([1, 2, 3]))
    kept = rows.copied(torch.tensor([2, 0]))
    assert kept.values[0]["weights"].numbers.tolist() == [6]
    every = torch.arange(2)
    for ours, theirs in zip(
        kept.take(every).values, rows.take(torch.tensor([2, 0])).values, strict=True
    ):
        for key, values in ours.items():
            torch.testing.assert_close(values, theirs[key])
