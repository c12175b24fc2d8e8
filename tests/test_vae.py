"""What `MultimodalVAE` adds: densities, draws and posteriors, beside closed forms."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from conftest import make_frame
from scipy.stats import multivariate_normal

from sklearn_mmae import ConvergenceError, DataWarning, MultimodalVAE, Objective, TabularModality
from sklearn_mmae.objectives import (
    ELBO,
    JMVAE,
    MMVAE,
    MMVM,
    MVAE,
    MVTCAE,
    OBJECTIVES,
    MMVAEPlus,
    MoPoE,
)
from sklearn_mmae.objectives._base import Evidence, Penalty
from sklearn_mmae.training._batches import Batch

HALVES = [("left", TabularModality(), list(range(5))), ("right", TabularModality(), [5, 6, 7, 8])]
LEFT, RIGHT = np.arange(5), np.arange(5, 9)


def linear_gaussian(n, seed=0):
    """Return rows of two modalities that three common factors make, and their covariance."""
    rng = np.random.default_rng(7)
    loadings = np.vstack([rng.normal(size=(5, 3)), 3 * rng.normal(size=(4, 3))])
    noise = np.array([0.5] * 5 + [1.5] * 4)
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) @ loadings.T + noise * rng.normal(size=(n, 9)) + 2
    return X, loadings @ loadings.T + np.diag(noise**2)


def log_density(X, covariance, at=slice(None)):
    covariance = covariance[at][:, at] if isinstance(at, np.ndarray) else covariance
    return multivariate_normal(np.full(len(covariance), 2.0), covariance).logpdf(X[:, at])


def hide(X, at):
    X = X.copy()
    X[:, at] = np.nan
    return X


@pytest.fixture(scope="module")
def linear():
    """A fitted model of linear-Gaussian rows, its test rows, and their covariance."""
    X, covariance = linear_gaussian(20_000)
    vae = MultimodalVAE(HALVES, n_components=3, max_epochs=0, random_state=0).fit(X)
    return vae, linear_gaussian(200, seed=1)[0], covariance


@pytest.fixture(scope="module")
def mixed():
    """A fitted model of rows of every kind, with holes, and the rows."""
    frame = make_frame(holes=True)
    return MultimodalVAE(n_components=4, width=16, max_epochs=3, random_state=0).fit(frame), frame


# Densities ---------------------------------------------------------------------------------------


def test_densities_are_those_of_the_closed_form(linear):
    vae, X, covariance = linear
    joint, left = log_density(X, covariance), log_density(X, covariance, LEFT)
    assert abs(np.mean(vae.score_samples(X) - joint)) < 0.02
    assert abs(np.mean(vae.score_samples(hide(X, RIGHT)) - left)) < 0.02
    assert abs(np.mean(vae.score_samples(X, given="left") - (joint - left))) < 0.02
    told = vae.score_samples(X, by_modality=True)
    right = log_density(X, covariance, RIGHT)
    np.testing.assert_allclose(told["left"], told["right"], atol=1e-4)  # of two, it is mutual
    assert np.abs(told["right"] - (joint - left - right)).mean() < 0.1


@pytest.mark.slow
def test_training_leaves_the_exact_solution_alone():
    X, covariance = linear_gaussian(4000)
    vae = MultimodalVAE(HALVES, n_components=4, max_epochs=4, random_state=0).fit(X)
    test = linear_gaussian(300, seed=1)[0]
    assert abs(np.mean(vae.score_samples(test) - log_density(test, covariance))) < 0.02


def test_one_draw_is_exact_where_the_posterior_is(linear):
    vae, X, _ = linear
    np.testing.assert_allclose(
        vae.score_samples(X, n_draws=1), vae.score_samples(X, n_draws=300), atol=1e-3
    )


def test_more_draws_come_closer_from_below():
    X = np.random.default_rng(0).normal(size=(200, 2)) ** 2
    options = {"n_components": 2, "max_epochs": 10, "random_state": 0, "init": "random"}
    vae = MultimodalVAE(width=32, **options).fit(X)
    few, more, most = (vae.score_samples(X, n_draws=n).mean() for n in (1, 16, 1000))
    assert few < more < most + 0.01


def test_cells_missing_in_a_table_are_left_out_of_its_density(linear):
    vae, X, covariance = linear
    at = np.array([0, 1, 2, 3, 5, 6, 7, 8])
    few = X[:100]
    found = vae.score_samples(hide(few, [4]), n_draws=2000)
    assert abs(np.mean(found - log_density(few, covariance, at))) < 0.1


def test_densities_are_of_the_units_of_the_cells():
    X = linear_gaussian(2000)[0]
    vae = MultimodalVAE(HALVES, n_components=3, max_epochs=0, random_state=0)
    metres, centimetres = (vae.fit(scale * X).score_samples(scale * X[:100]) for scale in (1, 100))
    np.testing.assert_allclose(centimetres, metres - 9 * np.log(100), atol=1e-2)


def test_the_odd_modality_is_found(mixed):
    vae, frame = mixed
    odd = frame.copy()
    odd.loc[:, "size"] = 500.0
    usual = vae.score_samples(frame, by_modality=True)
    unusual = vae.score_samples(odd, by_modality=True)
    falls = (usual - unusual).median()
    assert falls.idxmax() == "tabular"
    assert list(usual.columns) == [name for name, _, _ in vae.modalities_]


# Objectives --------------------------------------------------------------------------------------


class ClosedForm:
    """Exact terms of a linear-Gaussian model, from its fitted weights."""

    def __init__(self, vae, X):
        network = vae.net_.module_
        self.W = [n.decoder.linear.weight.detach().double().numpy() for n in network.networks]
        self.variance = [np.exp(2 * s.detach().double().numpy()) for s in network.log_scales]
        self.x = []
        for (_, modality, _), at in zip(vae.modalities_, (LEFT, RIGHT), strict=True):
            self.x.append((X[:, at] - modality.mean_) / modality.scale_)
        self.k = self.W[0].shape[1]

    def posterior(self, members):
        precision = np.eye(self.k)
        towards = 0
        for m in members:
            weighted = self.W[m] / self.variance[m][:, None]
            precision = precision + weighted.T @ self.W[m]
            towards = towards + self.x[m] @ weighted
        covariance = np.linalg.inv(precision)
        return towards @ covariance, covariance

    def likelihood(self, members, m):
        """Return E[log p(x_m | z)] over the posterior given some modalities, per row."""
        mean, covariance = self.posterior(members)
        error = self.x[m] - mean @ self.W[m].T
        spread = np.einsum("ij,jk,ik->i", self.W[m], covariance, self.W[m])
        v = self.variance[m]
        return -0.5 * ((error**2 + spread) / v + np.log(2 * np.pi * v)).sum(1)

    def divergence(self, one, other=None):
        """Return KL(q(z | one) || q(z | other)), or from the prior, per row."""
        mean, covariance = self.posterior(one)
        at, around = (np.zeros(self.k), np.eye(self.k)) if other is None else self.posterior(other)
        inverse = np.linalg.inv(around)
        apart = np.einsum("ni,ij,nj->n", mean - at, inverse, mean - at)
        volume = np.linalg.slogdet(around)[1] - np.linalg.slogdet(covariance)[1]
        return 0.5 * (np.trace(inverse @ covariance) - self.k + volume + apart)

    def bound(self, members, decoded):
        return sum(self.likelihood(members, m) for m in decoded) - self.divergence(members)


BOTH = [0, 1]
EXPECTED = {
    ELBO: lambda c: c.bound(BOTH, BOTH),
    # The random part of two modalities is one of them.
    MVAE: lambda c: mean_of([c.bound(BOTH, BOTH), *[mean_of(c.bound([m], [m]) for m in BOTH)] * 3]),
    JMVAE: lambda c: c.bound(BOTH, BOTH) - 0.1 * sum(c.divergence(BOTH, [m]) for m in BOTH),
    MVTCAE: lambda c: (
        sum(c.likelihood(BOTH, m) for m in BOTH) * 1.1 / 2
        - 0.1 * c.divergence(BOTH)
        - 0.9 * mean_of(c.divergence(BOTH, [m]) for m in BOTH)
    ),
    MoPoE: lambda c: 0.5 * c.bound(BOTH, BOTH) + 0.5 * mean_of(c.bound([m], BOTH) for m in BOTH),
}


def mean_of(values):
    values = list(values)
    return sum(values) / len(values)


def value_of(vae, X, objective, repeats=50, seed=0):
    """Return the objective's mean over rows and draws, in nats."""
    network = vae.net_.module_
    network.objective = objective
    values = [modality for modality in read(vae, X)]
    batch = Batch(values, torch.full((len(X),), len(network.patterns) - 1))
    generator = torch.Generator().manual_seed(seed)
    total = 0
    with torch.no_grad():
        for _ in range(repeats):
            shown = network.draw(batch.pattern, generator)
            losses = network.row_losses(network.views(batch.values), batch, shown, generator)
            total = total - losses.sum(0).mean()
    return float(total / repeats) * network._usual_nats()


def read(vae, X):
    *_, values = vae._model.values(X, vae)
    return [{k: torch.as_tensor(v) for k, v in part.tensors.items()} for part in values]


@pytest.mark.parametrize("kind", EXPECTED)
def test_an_objective_has_the_value_of_its_formula(linear, kind):
    vae, X, _ = linear
    expected = EXPECTED[kind](ClosedForm(vae, X)).mean()
    assert abs(value_of(vae, X, kind()) - expected) < 0.1


@pytest.mark.parametrize("kind", [ELBO, JMVAE, MoPoE, MMVAE])
def test_no_bound_is_above_the_evidence(linear, kind):
    vae, X, _ = linear
    evidence = ClosedForm(vae, X).bound(BOTH, BOTH).mean()  # the posterior is exact
    assert value_of(vae, X, kind(), 30) <= evidence + 0.1


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_elbo_of_every_objective_is_below_the_likelihood(name):
    X, test = (linear_gaussian(150, seed)[0] ** 2 for seed in (0, 1))
    options = {"n_components": 4, "max_epochs": 3, "init": "random", "random_state": 0}
    vae = MultimodalVAE(HALVES, objective=name, width=16, **options).fit(X)
    few, many = (vae.score_samples(test, n_draws=n).mean() for n in (1, 100))
    assert few < many


def test_more_draws_make_the_bound_of_a_mixture_tighter(linear):
    vae, X, _ = linear
    one, many = value_of(vae, X, MMVAE(), 20), value_of(vae, X, MMVAE("iwae", 30), 5)
    evidence = ClosedForm(vae, X).bound(BOTH, BOTH).mean()
    assert one < many < evidence + 0.1


def test_doubly_reparameterised_gradients_are_of_the_same_bound(linear):
    vae, X, _ = linear
    assert np.isclose(
        value_of(vae, X, MMVAE("iwae", 5), 3), value_of(vae, X, MMVAE("dreg", 5), 3), rtol=1e-5
    )


def test_decoders_learn_the_same_from_both_gradients(linear):
    vae, X, _ = linear
    network = vae.net_.module_
    batch = Batch(read(vae, X), torch.full((len(X),), len(network.patterns) - 1))
    weights = [network.networks[0].decoder.linear.weight, network.log_scales[1]]
    found = []
    for bound in ("iwae", "dreg"):
        network.objective, generator = MMVAE(bound, 4), torch.Generator().manual_seed(0)
        shown = network.draw(batch.pattern, generator)
        losses = network.row_losses(network.views(batch.values), batch, shown, generator)
        found.append(torch.autograd.grad(losses.sum(0).mean(), weights))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_modalities_that_say_the_same_cost_the_mixture_prior_nothing():
    X = linear_gaussian(500)[0][:, :4]
    twice = np.hstack([X, X])
    parts = [("a", TabularModality(), [0, 1, 2, 3]), ("b", TabularModality(), [4, 5, 6, 7])]
    vae = MultimodalVAE(parts, n_components=2, max_epochs=0, random_state=0, objective="mmvm").fit(
        twice
    )
    network = vae.net_.module_
    batch = Batch(read(vae, twice), torch.full((500,), 3))
    generator = torch.Generator().manual_seed(0)
    shown = network.draw(batch.pattern, generator)
    losses = network.row_losses(network.views(batch.values), batch, shown, generator)
    assert float(losses[-1].detach().abs().mean()) < 1e-3


def test_what_is_private_is_told_as_well_by_the_row_as_by_the_modality_alone():
    X = linear_gaussian(600)[0]
    vae = MultimodalVAE(
        HALVES, n_components=6, max_epochs=8, objective="mmvae+", random_state=0, init="random"
    ).fit(X)
    for m, (_, _, columns) in enumerate(HALVES):
        own = vae.net_.module_.private.numpy()[m]
        alone = np.full_like(X, np.nan)
        alone[:, columns] = X[:, columns]
        (_, by_row), (_, by_own) = vae.posterior(X), vae.posterior(alone)
        assert by_row[:, own].mean() < 1.15 * by_own[:, own].mean()


@pytest.mark.parametrize("kind", [JMVAE, MVTCAE])
def test_single_posteriors_follow_the_joint_one_whatever_its_weight(linear, kind):
    vae, X, _ = linear
    network, found = vae.net_.module_, []
    batch = Batch(read(vae, X), torch.full((len(X),), len(network.patterns) - 1))
    for alpha in (0.1, 0.8):
        network.objective, generator = kind(alpha), torch.Generator().manual_seed(0)
        shown = network.draw(batch.pattern, generator)
        posterior = network.posterior(network.views(batch.values), shown)
        mean = posterior.mean.detach().requires_grad_()
        evidence = Evidence(
            replace(posterior, mean=mean),
            network.patterns[shown].movedim(-1, 0),
            network.patterns[batch.pattern].T,
            lambda code: network.log_likelihood(code, batch, network.patterns[batch.pattern].T),
            Penalty(),
            generator,
        )
        _, divergence = network.objective.terms(evidence)
        found.append(torch.autograd.grad(divergence.sum(), mean)[0][1:])
    torch.testing.assert_close(*found)


def test_private_components_reach_only_their_own_decoder():
    X = linear_gaussian(300)[0]
    vae = MultimodalVAE(
        HALVES, n_components=6, max_epochs=2, objective=MMVAEPlus(0.5), random_state=0
    ).fit(X)
    private = vae.net_.module_.private.numpy()
    assert private.sum(1).tolist() == [1, 1]
    codes = np.zeros((2, 6), np.float32)
    codes[1, private[0]] = 3
    back = vae.inverse_transform(codes)
    assert (back[0, :5] != back[1, :5]).any()
    np.testing.assert_array_equal(back[0, 5:], back[1, 5:])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_learns_rows_of_every_kind(name):
    frame = make_frame(holes=True)
    vae = MultimodalVAE(
        n_components=6, width=16, max_epochs=3, objective=name, init="random", random_state=0
    ).fit(frame)
    losses = [epoch["train_loss"] for epoch in vae.history_]
    assert min(losses) < losses[0]
    assert "valid_loss_divergence" in vae.history_[-1]
    assert np.isfinite(vae.transform(frame)).all()


def test_an_objective_of_the_users_own_is_used():
    class Half(Objective):
        def subsets(self, n_modalities):
            return [0]

        def terms(self, evidence):
            likelihood = evidence.log_likelihood(evidence.sample())[:, 0]
            return likelihood, evidence.penalty.of(evidence.posterior)[0]

    X = linear_gaussian(100)[0]
    options = {"n_components": 2, "max_epochs": 2, "init": "random", "random_state": 0}
    own = MultimodalVAE(HALVES, objective=Half(), **options).fit_transform(X)
    assert not np.array_equal(own, MultimodalVAE(HALVES, **options).fit_transform(X))


def test_the_noise_of_each_modality_is_learned():
    X, _ = linear_gaussian(1200)
    vae = MultimodalVAE(HALVES, n_components=3, max_epochs=4, random_state=0).fit(X)
    for m, noise in enumerate((0.5, 1.5)):
        scales = vae.net_.module_.noise_scales(m).exp().detach().numpy()
        np.testing.assert_allclose(scales * vae.modalities_[m][1].scale_, noise, rtol=0.25)


# Collapse ----------------------------------------------------------------------------------------


RANDOM_START = {
    "n_components": 2,
    "max_epochs": 20,
    "init": "random",
    "random_state": 0,
    "batch_size": 64,
}


def test_collapse_is_told():
    X = linear_gaussian(400)[0]
    with pytest.warns(DataWarning, match="posterior collapse.*Lower beta"):
        vae = MultimodalVAE(HALVES, beta=500.0, width=16, **RANDOM_START).fit(X)
    assert vae.information_.max() < 0.01


def test_free_bits_keep_components_from_collapse():
    X = linear_gaussian(400)[0]
    vae = MultimodalVAE(HALVES, beta=500.0, free_bits=0.5, width=16, **RANDOM_START).fit(X)
    assert vae.information_.max() > 0.1


# Posteriors and draws ----------------------------------------------------------------------------


def test_the_posterior_is_that_of_the_closed_form(linear):
    vae, X, _ = linear
    for members, shown in ((BOTH, X), ([0], hide(X, RIGHT))):
        mean, covariance = ClosedForm(vae, X).posterior(members)
        found, std = vae.posterior(shown)
        np.testing.assert_allclose(found, mean, atol=1e-3)
        np.testing.assert_allclose(
            std, np.sqrt(np.diag(covariance))[None].repeat(len(X), 0), rtol=1e-3
        )
        np.testing.assert_array_equal(found, vae.transform(shown))


def test_the_less_is_seen_the_wider_the_posterior(mixed):
    vae, frame = mixed
    whole = frame.dropna()
    _, std = vae.posterior(whole)
    _, less = vae.posterior(whole.drop(columns=["photo", "note"]))
    assert less.mean() > std.mean()
    with pytest.warns(DataWarning, match="nothing is observed"):
        mean, nothing = vae.posterior(whole.iloc[:1].map(lambda cell: None))
    np.testing.assert_array_equal(mean, 0)
    np.testing.assert_allclose(nothing, 1, rtol=1e-5)


def test_samples_have_the_mean_and_covariance_of_the_rows(linear):
    vae, _, covariance = linear
    sample = vae.sample(40_000)
    np.testing.assert_allclose(sample.mean(0), 2, atol=0.15)
    scale = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(
        np.cov(sample.T) / np.outer(scale, scale), covariance / np.outer(scale, scale), atol=0.04
    )


def test_samples_given_a_part_follow_the_conditional_distribution(linear):
    vae, X, covariance = linear
    # A given row that is there forty times has draws of its own each time.
    given = hide(X[:3].repeat(40, 0), RIGHT)
    drawn = vae.sample(100, given=given).reshape(3, 4000, 9)
    np.testing.assert_array_equal(drawn[:, :, LEFT], np.repeat(X[:3, None, LEFT], 4000, 1))
    towards = np.linalg.solve(covariance[LEFT][:, LEFT], covariance[LEFT][:, RIGHT])
    mean = 2 + (X[:3, LEFT] - 2) @ towards
    around = covariance[RIGHT][:, RIGHT] - covariance[RIGHT][:, LEFT] @ towards
    scale = np.sqrt(np.diag(covariance))[RIGHT]
    np.testing.assert_allclose((drawn[:, :, RIGHT].mean(1) - mean) / scale, 0, atol=0.06)
    np.testing.assert_allclose(
        drawn[:, :, RIGHT].std(1), np.sqrt(np.diag(around))[None].repeat(3, 0), rtol=0.08
    )


def test_samples_are_rows_like_those_of_fit(mixed):
    vae, frame = mixed
    sample = vae.sample(5)
    assert sample.dtypes.to_dict() == frame.dtypes.to_dict()
    assert set(sample["colour"]) <= set(frame["colour"].dropna())
    assert sample["photo"][0].shape == (8, 8, 3)
    given = vae.sample(2, given=frame[["note"]].dropna().iloc[:3])
    assert given.index.tolist() == [i for i in frame["note"].dropna().index[:3] for _ in range(2)]
    assert given.notna().all(axis=None)


@pytest.mark.parametrize("container", ["pandas", "polars", "array"])
def test_draws_and_their_spread_have_the_shape_of_what_is_drawn(container):
    frame = make_frame()[["size", "count", "colour", "day", "note"]]
    if container == "polars":
        frame = pl.from_pandas(frame)
    elif container == "array":
        frame = linear_gaussian(60)[0]
    modalities = HALVES if container == "array" else "auto"
    vae = MultimodalVAE(modalities, n_components=3, width=8, max_epochs=1, random_state=0)
    vae.fit(frame)
    target = "left" if container == "array" else "tabular"
    draws, spread = vae.translate(frame, to=target, n_draws=3, return_std=True)
    point = vae.translate(frame, to=target)
    assert len(draws) == 3
    assert all(type(draw) is type(point) and draw.shape == point.shape for draw in draws)
    assert spread.shape == point.shape
    assert type(spread) is type(point)
    alone = vae.translate(frame, to=target, return_std=True)
    assert (alone[0].equals(point)) if container != "array" else (alone[0] == point).all()


def test_the_spread_of_draws_is_that_of_the_conditional_distribution(linear):
    vae, X, covariance = linear
    draws, spread = vae.translate(hide(X, RIGHT), to="right", n_draws=400, return_std=True)
    towards = np.linalg.solve(covariance[LEFT][:, LEFT], covariance[LEFT][:, RIGHT])
    around = covariance[RIGHT][:, RIGHT] - covariance[RIGHT][:, LEFT] @ towards
    np.testing.assert_allclose(spread.mean(0), np.sqrt(np.diag(around)), rtol=0.05)
    point = vae.translate(hide(X, RIGHT), to="right")
    assert np.abs(np.mean(draws, 0) - point).mean() < 0.2


def test_imputed_draws_keep_what_is_observed(mixed):
    vae, frame = mixed
    draws, spread = vae.impute(frame, n_draws=4, return_std=True)
    there = frame["size"].notna()
    for draw in draws:
        assert draw.notna().all(axis=None)
        pd.testing.assert_series_equal(draw.loc[there, "size"], frame.loc[there, "size"])
    assert (spread.loc[there, "size"] == 0).all()
    assert (spread.loc[~there, "size"] > 0).all()


def test_draws_come_again_and_leave_global_states_alone(linear):
    vae, X, _ = linear
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    np.testing.assert_array_equal(vae.sample(7), vae.sample(7))
    once = vae.translate(X, to="left", n_draws=2)
    np.testing.assert_array_equal(once, vae.translate(X, to="left", n_draws=2))
    assert (once[0] != once[1]).all()
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)


def test_a_row_and_its_density_do_not_depend_on_the_rows_beside_it(mixed):
    vae, frame = mixed
    few = frame.iloc[3:5]
    np.testing.assert_array_equal(vae.posterior(frame)[1][3:5], vae.posterior(few)[1])
    np.testing.assert_array_equal(vae.score_samples(frame)[3:5], vae.score_samples(few))


def test_seven_modalities_in_patterns_never_seen():
    X = np.random.default_rng(0).normal(size=(80, 7)) + np.arange(80)[:, None] / 30
    parts = [(f"m{i}", TabularModality(), [i]) for i in range(7)]
    vae = MultimodalVAE(parts, n_components=2, max_epochs=1, width=8, random_state=0).fit(X)
    X[::2, [1, 3, 4]] = np.nan
    assert np.isfinite(vae.score_samples(X)).all()
    assert np.isfinite(vae.sample(2, given=X)).all()


# Bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda v, X: v.sample(0), "n=0: give a whole number of at least 1"),
        (lambda v, X: v.sample(2.5), "n=2.5: give a whole number"),
        (lambda v, X: v.translate(X, "left", n_draws=0), "n_draws=0: give a whole number"),
        (lambda v, X: v.impute(X, n_draws=True), "n_draws=True: give a whole number"),
        (lambda v, X: v.score_samples(X, n_draws=0), "n_draws=0"),
        (lambda v, X: v.score_samples(X, given="lft"), "no modality.*Did you mean 'left'"),
        (lambda v, X: v.score_samples(X, given=[]), "Name at least one"),
        (lambda v, X: v.score_samples(X, given=["left", "right"]), "leave at least one"),
        (lambda v, X: v.score_samples(X, True, given="left"), "not both"),
        (lambda v, X: v.translate(X, [], n_draws=2), "Name at least one"),
        (lambda v, X: v.translate(X, "middle", n_draws=2), "'left', 'right'"),
    ],
)
def test_a_call_that_makes_no_sense_says_what_to_write(linear, call, message):
    vae, X, _ = linear
    with pytest.raises(ValueError, match=message):
        call(vae, X)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MMVAE("vae"), "give 'elbo', 'iwae' or 'dreg'"),
        (lambda: MMVAE("iwae", 0), "n_draws=0: give a whole number"),
        (lambda: JMVAE(-1), "a weight cannot be negative"),
        (lambda: MVTCAE(1.5), "from 0 to 1"),
        (lambda: MoPoE(0), "a weight between 0 and 1"),
        (lambda: MMVAEPlus(1), "a share between 0 and 1"),
    ],
)
def test_an_objective_refuses_what_makes_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_too_few_components_for_private_ones_are_refused():
    X = linear_gaussian(50)[0]
    with pytest.raises(ValueError, match=r"n_components=2 leaves no private component.*at least 4"):
        MultimodalVAE(HALVES, n_components=2, objective="mmvae+").fit(X)


def test_divergence_of_the_training_is_an_error_and_keeps_the_fit(linear):
    X = linear_gaussian(200)[0]
    vae = MultimodalVAE(HALVES, n_components=2, max_epochs=1, random_state=0).fit(X)
    codes = vae.transform(X)
    vae.set_params(lr=1e30, optimizer="sgd", init="random", max_epochs=3)
    with pytest.raises(ConvergenceError, match="Lower lr"):
        vae.fit(X)
    np.testing.assert_array_equal(vae.transform(X), codes)


def test_the_mixture_prior_says_that_it_is_no_evidence():
    assert not MMVM.judged_by_evidence
    assert MoPoE.judged_by_evidence


def test_intervals_of_distributions_hold_what_they_say():
    X, _ = linear_gaussian(2400)
    vae = MultimodalVAE(HALVES, n_components=3, max_epochs=3, random_state=0).fit(X[:2000])
    for shown in (X[2000:], hide(X[2000:], RIGHT)):
        low, high = vae.predict_interval(shown, level=0.9)
        assert abs(((low <= X[2000:]) & (X[2000:] <= high)).mean() - 0.9) < 0.03


def test_extra_terms_are_recorded_beside_the_divergence():
    X, _ = linear_gaussian(200)
    options = {"n_components": 3, "width": 16, "max_epochs": 3, "random_state": 0}
    vae = MultimodalVAE(HALVES, extra_terms={"contrastive": 1.0}, **options).fit(X)
    epoch = vae.history_[-1]
    assert epoch["train_loss_extra_terms__contrastive"] > 0
    parts = ["left", "right", "divergence", "extra_terms__contrastive"]
    total = sum(epoch[f"train_loss_{part}"] for part in parts)
    np.testing.assert_allclose(epoch["train_loss"], total, rtol=1e-5)
