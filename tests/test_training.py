"""The learning side: the linear start against closed forms, the guard, the loop's bookkeeping."""

import copy
import threading
import weakref
from dataclasses import fields
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from sklearn_mmae import MultimodalAutoencoder, TabularModality
from sklearn_mmae._core.random import Generators
from sklearn_mmae._core.threads import one_thread, side_by_side
from sklearn_mmae.fusion import Fusion
from sklearn_mmae.model._read import as_rows, presence
from sklearn_mmae.nn._blocks import SeededDropout
from sklearn_mmae.statistics import PLAIN
from sklearn_mmae.training._batches import BatchIterator, Rows
from sklearn_mmae.training._calibration import calibrate
from sklearn_mmae.training._gradients import FlatWeights, Gradients, PlainGradients, limit
from sklearn_mmae.training._lesson import Lesson
from sklearn_mmae.training._more import as_before_on_error, one_more_epoch
from sklearn_mmae.training._patterns import index_contained, list_patterns
from sklearn_mmae.training._progress import Progress
from sklearn_mmae.training._settings import Settings
from sklearn_mmae.training.start._linear import ridge, varimax
from sklearn_mmae.training.start._moments import second_moments


def linear(**parameters):
    return MultimodalAutoencoder(max_epochs=0, random_state=0, **parameters)


def two_tables(n_columns, middle):
    return [
        ("first", TabularModality(), slice(0, middle)),
        ("second", TabularModality(), slice(middle, n_columns)),
    ]


@pytest.mark.parametrize("n_components", [2, 8])
def test_the_start_of_one_table_is_pca(n_components):
    X = load_wine().data
    standardised = StandardScaler().fit_transform(X)
    pca = PCA(n_components).fit(standardised)
    mmae = linear(n_components=n_components, rotation=None).fit(X)
    scores, codes = pca.transform(standardised), mmae.transform(X)
    alike = np.corrcoef(scores.T, codes.T)[:n_components, n_components:]
    assert np.allclose(np.abs(np.diag(alike)), 1, atol=1e-5)
    # One scale for all components: variances keep PCA's proportions, and are 1 on average.
    assert np.allclose(codes.var(0) * scores.var(0).mean(), scores.var(0), rtol=1e-4)
    assert np.isclose(mmae.score(X), pca.explained_variance_ratio_.sum(), atol=1e-6)


def test_more_components_than_columns_lose_nothing():
    X = load_wine().data
    mmae = linear(n_components=20).fit(X)
    assert mmae.transform(X).shape == (len(X), 20)
    assert np.isclose(mmae.score(X), 1)


def testvarimax_explains_the_same_by_simpler_axes():
    X = load_breast_cancer().data
    turned, plain = linear(n_components=6).fit(X), linear(n_components=6, rotation=None).fit(X)
    assert np.isclose(turned.score(X), plain.score(X), atol=1e-6)
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(30, 6)))[0]
    rotation = varimax(torch.tensor(axes)).numpy()
    assert np.allclose(rotation @ rotation.T, np.eye(6))
    assert ((axes @ rotation) ** 2).var(0).sum() > (axes**2).var(0).sum()


def test_ridge_takes_the_penalty_of_least_generalised_cross_validation():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 20)) * np.linspace(0.1, 2, 20)
    y = x @ rng.normal(size=(20, 2)) + 3 * rng.normal(size=(60, 2))
    y /= np.sqrt((y**2).mean(0))
    found = ridge(torch.tensor(x.T @ x / 60), torch.tensor(x.T @ y / 60), torch.ones(2), 60).numpy()

    def criterion(penalty):
        hat = x @ np.linalg.solve(x.T @ x + penalty * np.eye(20), x.T)
        return ((y - hat @ y) ** 2).sum() / (60 - 1 - np.trace(hat)) ** 2

    penalties = np.logspace(-4, 5, 400)
    best = penalties[np.argmin([criterion(p) for p in penalties])]
    expected = Ridge(best, fit_intercept=False).fit(x, y).coef_.T
    assert ((x @ found - x @ expected) ** 2).mean() < 0.05 * (x @ expected).var()


def test_the_start_translates_as_ridge_regression_does():
    X = StandardScaler().fit_transform(load_breast_cancer().data)
    train, test = X[:400], X[400:]
    mmae = linear(modalities=two_tables(30, 10), n_components=25).fit(train)
    ours = mmae.translate(test, to="second")
    theirs = Ridge(1.0).fit(train[:, :10], train[:, 10:]).predict(test[:, :10])
    error, rival = (((test[:, 10:] - p) ** 2).sum() for p in (ours, theirs))
    assert error < 1.1 * rival


def test_holes_do_not_shrink_the_start():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 2)) @ rng.normal(size=(2, 12)) + 0.1 * rng.normal(size=(800, 12))
    holes = np.where(rng.random(X.shape) < 0.3, np.nan, X)
    whole, holey = (linear(n_components=2).fit(rows) for rows in (X, holes))
    assert whole.score(X) > 0.98
    assert holey.score(X) > whole.score(X) - 0.02


def test_noise_is_left_to_the_linear_start():
    X = np.random.default_rng(0).normal(size=(150, 10))
    learned = MultimodalAutoencoder(n_components=4, max_epochs=20, random_state=0).fit(X)
    assert learned.n_iter_ > 0
    assert np.array_equal(learned.transform(X), linear(n_components=4).fit(X).transform(X))


def test_a_curve_is_learned_beyond_the_linear_start():
    angle = np.random.default_rng(0).uniform(0, 6, size=400)
    X = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)], 1)
    learned = MultimodalAutoencoder(n_components=2, random_state=0).fit(X)
    assert learned.score(X) > linear(n_components=2).fit(X).score(X) + 0.2


def test_history_tells_losses_by_modality():
    X = load_wine().data
    mmae = MultimodalAutoencoder(two_tables(13, 6), 3, max_epochs=3, random_state=0).fit(X)
    assert len(mmae.history_) == mmae.n_iter_ == 3
    for epoch in mmae.history_:
        parts = epoch["valid_loss_first"] + epoch["valid_loss_second"]
        assert np.isclose(epoch["valid_loss"], parts)
        assert epoch["dur"] > 0


def test_an_epoch_sees_every_row_once():
    rows = Rows([{"x": torch.arange(10.0)}], torch.ones(10, dtype=torch.int64))
    some = rows.subset(torch.tensor([1, 3, 5, 7, 9]))
    shuffled = BatchIterator(some, 2, torch.Generator().manual_seed(0))
    for _ in range(2):
        seen = torch.cat([batch.values[0]["x"] for batch in shuffled])
        assert sorted(seen.tolist()) == [1, 3, 5, 7, 9]
    assert len(shuffled) == 3


def test_flat_weights_are_the_networks_own():
    layers = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    first, *others = layers.parameters()
    flat = FlatWeights([[first], others])
    before = flat.copy()
    loss = layers(torch.ones(5, 3)).square().sum()
    expected = torch.autograd.grad(loss, list(layers.parameters()), retain_graph=True)
    flat.differentiate(loss, flat.gradients)
    assert all(torch.equal(p.grad, e) for p, e in zip(layers.parameters(), expected, strict=True))
    limit(flat.gradients, 0.5)
    norm = torch.cat([p.grad.flatten() for p in layers.parameters()]).norm()
    assert norm <= 0.5 + 1e-4
    flat.set([torch.zeros_like(w) for w in before])
    assert all(not p.any() for p in layers.parameters())
    flat.swap()  # the means have not moved since the beginning
    assert all(torch.equal(a, b) for a, b in zip(flat.copy(), before, strict=True))
    layers[1].requires_grad_(False)
    flat.differentiate(layers(torch.ones(5, 3)).sum(), flat.gradients)
    assert layers[0].bias.grad.any()
    assert not layers[1].bias.grad.any()


def test_patterns_of_many_modalities_are_those_that_occur():
    present = torch.ones(20, 9, dtype=torch.bool)
    present[3, 2:5] = False
    patterns = list_patterns(present)
    assert not patterns[0].any()
    assert patterns[-1].all()
    assert len(patterns) == 1 + 9 + 9 + 1 + 1
    assert (patterns == present[3]).all(1).any()


def test_pieces_side_by_side_all_run_and_all_raise():
    done = np.zeros(20, bool)

    def work(i):
        if i == 30:
            raise ValueError("piece 30")
        done[i] = True

    with one_thread():
        side_by_side(work, range(20))
    assert done.all()
    with one_thread(), pytest.raises(ValueError, match="piece 30"):
        side_by_side(work, [0, 1, 2, 3, 30])


def threads_now():
    return set(threading.enumerate())


def make_net(*, noise, dropout, batch_size):
    """Return a net before its first step, and rows, with holes."""
    X = np.random.default_rng(0).normal(size=(400, 300))
    X[:40, :150] = np.nan
    mmae = MultimodalAutoencoder(
        two_tables(300, 150),
        noise=noise,
        dropout=dropout,
        batch_size=batch_size,
        max_epochs=0,
        early_stopping=False,
        random_state=0,
    ).fit(X)
    *_, values = mmae._model.values(X, mmae)
    patterns = mmae.net_.module_.patterns.numpy()
    return mmae.net_, as_rows(values, index_contained(presence(values), patterns))


def look(gradients, losses_of, batch, shown):
    with torch.no_grad():
        return losses_of(gradients.network, gradients.generator, batch, shown)


class ByRow(Gradients):
    """The mean of the rows' gradients, each limited by itself, as private training needs it."""

    largest = 0.01
    look = look

    def teach(self, losses_of, batch, shown):
        gradients = self.weights.gradients
        total, own = ([torch.zeros_like(g) for g in gradients] for _ in range(2))
        losses = []
        for i in range(len(batch)):
            row = slice(i, i + 1)
            losses.append(losses_of(self.network, self.generator, batch.part(row), shown[:, row]))
            self.weights.differentiate(losses[-1].sum(), own)
            limit(own, self.largest)
            torch._foreach_add_(total, own)
        for gradient, summed in zip(gradients, total, strict=True):
            gradient.copy_(summed / len(batch))
        return torch.stack(losses).detach().mean(0)


class InTwoPlaces(Gradients):
    """Half of each batch here, half there, and the sum of both: what several processes do."""

    look = look

    def teach(self, losses_of, batch, shown):
        middle, found, losses = len(batch) // 2, [], 0
        for place in (slice(0, middle), slice(middle, len(batch))):
            rows = batch.part(place)
            own = losses_of(self.network, self.generator, rows, shown[:, place])
            own = own * len(rows) / len(batch)
            found.append([torch.zeros_like(g) for g in self.weights.gradients])
            self.weights.differentiate(own.sum(), found[-1])
            losses = losses + own.detach()
        for gradient, here, there in zip(self.weights.gradients, *found, strict=True):
            torch.add(here, there, out=gradient)
        limit(self.weights.gradients, 0.5)
        return losses


def make_lesson(make_gradients, **parameters):
    X = load_wine().data
    mmae = MultimodalAutoencoder(
        two_tables(13, 6), 3, noise=0.0, dropout=0.0, random_state=0, **parameters
    )
    mmae.set_params(max_epochs=0).fit(X).set_params(max_epochs=3)
    *_, values = mmae._model.values(X, mmae)
    index = index_contained(presence(values), mmae.net_.module_.patterns.numpy())
    return Lesson(
        mmae.net_.module_,
        as_rows(values, index),
        Settings(**{field.name: getattr(mmae, field.name) for field in fields(Settings)}),
        Generators.from_state(np.random.RandomState(0), "cpu"),
        PLAIN,
        Progress(mmae, None, 3, verbose=0),
        names=["first", "second"],
        calibrate=partial(calibrate, fills=[part.modality.fill for part in mmae._model.parts]),
        make_gradients=make_gradients,
    )


def test_gradients_of_several_places_teach_the_same():
    plain, shared = (make_lesson(made).learn().net for made in (PlainGradients, InTwoPlaces))
    for ours, theirs in zip(plain.history, shared.history, strict=True):
        assert ours["valid_loss"] == pytest.approx(theirs["valid_loss"], rel=1e-4)
    assert plain.history[0, "train_loss"] != plain.history[2, "train_loss"]


def test_with_gradients_by_row_no_row_moves_a_step_by_more_than_its_share():
    lesson = make_lesson(ByRow)
    assert len(lesson.learn().net.history) == 3
    gradients = ByRow(lesson.network, torch.Generator(), lesson.net.weights_, 32)
    batch = lesson.rows.take(torch.arange(32))
    strange = copy.deepcopy(batch)
    strange.values[0]["numbers"][5] *= 1e3
    steps = []
    for rows in (batch, strange):
        gradients.teach(
            lambda network, generator, rows, shown: network(rows, shown, 0.0, generator),
            rows,
            rows.pattern[None],
        )
        steps.append(torch.cat([gradient.clone() for gradient in lesson.net.weights_.gradients]))
    assert 0 < (steps[0] - steps[1]).norm() <= 2 * ByRow.largest / 32 + 1e-7


def test_an_epoch_that_fails_is_undone():
    lesson = make_lesson(PlainGradients, early_stopping=False)
    net = lesson.learn().net
    before = [*net.weights_.copy(), *net.weights_.averages]

    class Fails(PlainGradients):
        def teach(self, losses_of, batch, shown):
            if net.weights_.n_steps > n_steps:
                raise RuntimeError("in the second step")
            return super().teach(losses_of, batch, shown)

    net.make_gradients, n_steps = Fails, net.weights_.n_steps
    with pytest.raises(RuntimeError, match="second step"), as_before_on_error(net):
        one_more_epoch(net, lesson.rows)
    after = [*net.weights_.copy(), *net.weights_.averages]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert len(net.history) == 3
    assert net.weights_.n_steps == n_steps


def shards_of(net, batch_size):
    shards = PlainGradients(net.module_, net.generator, net.weights_, batch_size)
    shards.train(True)
    return shards


def test_a_step_in_shards_is_that_of_the_whole_batch():
    net, rows = make_net(noise=0.0, dropout=0.0, batch_size=383)
    batch = rows.take(torch.arange(383))
    shown = net.module_.draw(batch.pattern, net.generator)
    shards = shards_of(net, 383)
    assert len(shards.shards) == 2

    def losses_of(module, generator, rows, seen):
        assert len(rows) in (191, 192)
        return module(rows, seen, 0.0, generator)

    losses = shards.teach(losses_of, batch, shown)
    found = [flat.grad.clone() for flat in net.weights_.parameters]
    expected = net.module_(batch, shown, 0.0, net.generator)
    net.weights_.differentiate(expected.sum(), [w.grad for w in net.weights_.parameters])
    assert torch.allclose(losses, expected, rtol=1e-5)
    assert torch.allclose(shards.look(losses_of, batch, shown), expected, rtol=1e-5)
    for gradient, flat in zip(found, net.weights_.parameters, strict=True):
        assert torch.allclose(gradient, flat.grad, rtol=1e-4, atol=1e-6)


def test_shards_share_weights_but_no_random_numbers():
    net, _ = make_net(noise=0.4, dropout=0.1, batch_size=256)
    first, second = shards_of(net, 256).shards
    assert first.module is net.module_
    for ours, theirs in zip(
        first.module.state_dict().values(), second.module.state_dict().values(), strict=True
    ):
        assert ours.data_ptr() == theirs.data_ptr()
    drops = [
        {part.generator for part in shard.module.modules() if isinstance(part, SeededDropout)}
        for shard in (first, second)
    ]
    assert drops == [{first.generator}, {second.generator}]
    a, b = (torch.rand(5, generator=shard.generator) for shard in (first, second))
    assert not torch.equal(a, b)


def test_small_batches_are_not_cut():
    net, _ = make_net(noise=0.4, dropout=0.1, batch_size=64)
    state = net.generator.get_state()
    assert len(shards_of(net, 64).shards) == 1
    assert torch.equal(net.generator.get_state(), state)


class BreaksInTheSecondShard(Fusion):
    """Fails where its copy for the second shard is trained."""

    def build(self, n_modalities, width, n_components):
        self.head = torch.nn.Linear(width, n_components)
        self.first = weakref.ref(self)

    def forward(self, encodings, present, start):
        if self.first() is not self and self.training:
            raise RuntimeError("broken in the second shard")
        return self.head(encodings.mean(0)).expand_as(start)


@pytest.mark.parametrize("threads", [1, 2])
def test_what_a_shard_raises_reaches_the_caller_and_no_thread_stays(threads):
    before, running = torch.get_num_threads(), threads_now()
    torch.set_num_threads(threads)
    try:
        X = np.random.default_rng(0).normal(size=(300, 300))
        mmae = MultimodalAutoencoder(
            two_tables(300, 150), fusion=BreaksInTheSecondShard(), batch_size=300, max_epochs=1
        )
        with pytest.raises(RuntimeError, match="broken in the second shard"):
            mmae.fit(X)
        assert threads_now() == running
        assert not hasattr(mmae, "net_")
        mmae.set_params(fusion="joint").fit(X)
        assert threads_now() == running
    finally:
        torch.set_num_threads(before)


def test_a_warm_start_cannot_change_the_size():
    X = load_wine().data
    mmae = MultimodalAutoencoder(n_components=2, max_epochs=1, warm_start=True).fit(X)
    before = mmae.transform(X)
    with pytest.raises(ValueError, match="n_components=2, but now n_components=3"):
        mmae.set_params(n_components=3).fit(X)
    assert np.array_equal(mmae.set_params(n_components=2).transform(X), before)


@pytest.mark.parametrize("n_rows", [30, 60, 90])
def test_fewer_rows_than_columns_translate_no_worse_than_the_mean(n_rows):
    """Smooth signals: their columns fit anything that so few rows can tell."""

    def signals(n, seed):
        rng = np.random.default_rng(seed)
        frequency, phase = rng.uniform(2, 9, (n, 4, 1)), rng.uniform(0, 6.3, (n, 4, 1))
        waves = np.sin(2 * np.pi * frequency * np.arange(200) / 200 + phase)
        return (rng.normal(size=(n, 4, 1)) * waves).sum(1) + 0.02 * rng.normal(size=(n, 200))

    halves = [
        ("early", TabularModality(scale="common"), slice(0, 100)),
        ("late", TabularModality(scale="common"), slice(100, 200)),
    ]
    train, test = signals(n_rows, 0), signals(200, 1)
    mmae = MultimodalAutoencoder(halves, n_components=16, max_epochs=0, random_state=0).fit(train)
    seen = test.copy()
    seen[:, 100:] = np.nan
    error = ((mmae.translate(seen, to="late") - test[:, 100:]) ** 2).mean()
    assert error < 1.1 * test[:, 100:].var(0).mean()


def test_moments_of_rows_with_holes_are_a_covariance_and_near_the_true_one():
    generator = torch.Generator().manual_seed(0)
    loadings = torch.randn(12, 3, generator=generator)
    X = torch.randn(2000, 3, generator=generator) @ loadings.T
    X += 0.3 * torch.randn(X.shape, generator=generator)
    present = torch.rand(2000, 3, generator=generator) < 0.5
    present[~present.any(1), 0] = True

    def blocks():
        for rows, there in zip(X.split(256), present.split(256), strict=True):
            views = [
                torch.where(t[:, None], v, 0)
                for v, t in zip(rows.split(4, 1), there.T, strict=True)
            ]
            yield views, [None] * 3, there

    found, n_rows = second_moments(blocks, [None] * 3, 3)
    truth = loadings @ loadings.T + 0.09 * torch.eye(12)
    assert n_rows == 2000
    assert torch.linalg.eigvalsh(found)[0] > 0
    assert (found - truth).norm() < 0.1 * truth.norm()
