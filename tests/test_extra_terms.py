"""What pulls the modalities together: the terms themselves, and what a fit makes of them."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sklearn_mmae import MultimodalAutoencoder, TabularModality
from sklearn_mmae.training._terms import EXTRA_TERMS

agreement, contrastive = EXTRA_TERMS["agreement"], EXTRA_TERMS["contrastive"]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def all_of(codes):
    return torch.ones(codes.shape[:2], dtype=torch.bool)


def test_modalities_that_agree_cost_nothing_and_strangers_cost_one():
    alike = normal(1, 500, 4).expand(3, -1, -1)
    torch.testing.assert_close(agreement(alike, all_of(alike)), torch.zeros(500))
    strangers = normal(3, 20000, 4)
    assert float(agreement(strangers, all_of(strangers)).mean()) == pytest.approx(1, abs=0.02)


def test_agreement_is_one_minus_the_intraclass_correlation():
    shared, own = normal(1, 20000, 2), normal(2, 20000, 2, seed=1)
    codes = 0.8**0.5 * shared + 0.2**0.5 * own
    assert float(agreement(codes, all_of(codes)).mean()) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("term", EXTRA_TERMS.values())
def test_codes_gain_nothing_by_shrinking(term):
    codes = normal(2, 50, 3)
    there = all_of(codes)
    torch.testing.assert_close(term(1e-3 * codes, there), term(codes, there), rtol=1e-3, atol=1e-5)


def test_contrastive_is_the_symmetric_cross_entropy_of_cosines():
    codes = normal(2, 9, 3)
    one, other = F.normalize(codes, dim=-1)
    logits, own = one @ other.T / 0.1, torch.arange(9)
    expected = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2 / math.log(9)
    torch.testing.assert_close(contrastive(codes, all_of(codes)).mean(), expected)


def test_contrastive_is_one_where_all_rows_look_alike_and_nothing_where_none_do():
    alike = normal(3, 1, 4).expand(-1, 20, -1)
    torch.testing.assert_close(contrastive(alike, all_of(alike)), torch.ones(20))
    apart = torch.eye(20).expand(3, -1, -1)
    assert float(contrastive(apart, all_of(apart)).max()) < 1e-2


@pytest.mark.parametrize("term", EXTRA_TERMS.values())
def test_what_is_absent_has_no_part_in_a_term(term):
    codes, present = normal(3, 12, 4), normal(3, 12, seed=1) > 0
    spoilt = torch.where(present[..., None], codes, 1e3).requires_grad_()
    found = term(spoilt, present)
    torch.testing.assert_close(found, term(codes, present))
    assert not found[present.sum(0) < 2].any()
    found.sum().backward()
    assert spoilt.grad.isfinite().all()
    assert not spoilt.grad[~present].any()


@pytest.mark.parametrize("term", EXTRA_TERMS.values())
def test_one_row_and_no_row_of_two_modalities_are_finite(term):
    for codes, present in (
        (normal(2, 1, 3), torch.ones(2, 1).bool()),
        (torch.zeros(2, 4, 3), torch.ones(2, 4).bool()),
        (normal(2, 4, 3), torch.zeros(2, 4).bool()),
        (normal(2, 4, 3), torch.tensor([[True], [False]]).expand(2, 4)),
    ):
        codes.requires_grad_()
        found = term(codes, present)
        found.sum().backward()
        assert found.isfinite().all()
        assert codes.grad.isfinite().all()


# In a fit ---------------------------------------------------------------------------------------

shared = np.random.default_rng(0).normal(size=(200, 2))
X = np.random.default_rng(1).normal(size=(200, 8))
X[:, [0, 1]] += 2 * shared
X[:, [4, 5]] += 2 * np.tanh(shared)
PAIR = [("a", TabularModality(), [0, 1, 2, 3]), ("b", TabularModality(), [4, 5, 6, 7])]


def fit(rows=X, **parameters):
    settings = {"n_components": 4, "width": 32, "max_epochs": 10, "early_stopping": False}
    return MultimodalAutoencoder(PAIR, random_state=0, **settings | parameters).fit(rows)


@pytest.fixture(scope="module")
def without():
    return fit()


def alone(mmae):
    """Return the codes from each modality alone."""
    only_a, only_b = X.copy(), X.copy()
    only_a[:, 4:] = only_b[:, :4] = np.nan
    return torch.as_tensor(np.stack([mmae.transform(only_a), mmae.transform(only_b)]))


@pytest.mark.parametrize("name", EXTRA_TERMS)
def test_a_term_does_what_it_says_and_is_recorded(name, without):
    strongly = fit(extra_terms={name: 1.0})
    codes = [alone(mmae) for mmae in (without, strongly)]
    before, after = (float(EXTRA_TERMS[name](c, all_of(c)).mean()) for c in codes)
    assert after < 0.9 * before
    assert strongly.history_[-1][f"train_loss_extra_terms__{name}"] > 0
    total = sum(
        v
        for k, v in strongly.history_[-1].items()
        if k.startswith("train_loss_") and k != "train_loss_best"
    )
    assert strongly.history_[-1]["train_loss"] == pytest.approx(total)


def test_a_name_alone_has_the_usual_weight_and_a_weight_of_0_is_off():
    def codes(terms=None):
        return fit(extra_terms=terms, max_epochs=2).transform(X)

    np.testing.assert_array_equal(codes({"contrastive": 0.05}), codes("contrastive"))
    usual = codes()
    np.testing.assert_array_equal(codes({"contrastive": 0}), usual)
    np.testing.assert_array_equal(codes({}), usual)


def test_two_terms_at_once_with_holes_and_held_out_rows():
    holey = X.copy()
    holey[::3, :4] = np.nan
    holey[1::3, 4:] = np.nan
    terms = {"contrastive": 0.1, "agreement": 0.1}
    mmae = fit(holey, extra_terms=terms, early_stopping=True, max_epochs=3)
    assert np.isfinite(mmae.transform(holey)).all()
    assert {"valid_loss_extra_terms__agreement", "valid_loss_extra_terms__contrastive"} <= set(
        mmae.history_[-1]
    )


def test_large_batches_are_cut_in_parts_and_stay_deterministic():
    settings = {"extra_terms": "contrastive", "batch_size": 200, "width": 400, "max_epochs": 2}
    first = fit(**settings)
    np.testing.assert_array_equal(fit(**settings).transform(X), first.transform(X))


def test_a_restored_model_goes_on_with_its_terms(tmp_path):
    from sklearn_mmae import load

    mmae = fit(extra_terms={"agreement": 0.2}, max_epochs=1)
    mmae.save(tmp_path / "model.mmae")
    again = load(tmp_path / "model.mmae")
    assert again.extra_terms == {"agreement": 0.2}
    again.partial_fit(X)
    assert "train_loss_extra_terms__agreement" in again.history_[-1]


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ("contrastiv", "no term 'contrastiv'.*'agreement'.*'contrastive'"),
        ({"agree": 0.1}, "no term 'agree'.*'agreement'"),
        ({1: 0.1}, "no term 1"),
        ({"agreement": -0.1}, "'agreement': -0.1.*weight from 0"),
        ({"agreement": float("nan")}, "nan.*weight from 0"),
        ({"agreement": float("inf")}, "inf.*weight from 0"),
        ({"agreement": True}, "True.*weight from 0"),
        ({"agreement": "0.1"}, "'0.1'.*weight from 0"),
        ({"contrastive": None}, "None.*weight from 0"),
        (["contrastive"], "extra_terms.*dict"),
        (0.1, "extra_terms.*dict"),
    ],
)
def test_terms_that_are_refused(terms, message):
    with pytest.raises(ValueError, match=message):
        fit(extra_terms=terms)
