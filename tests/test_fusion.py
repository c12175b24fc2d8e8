"""What each fusion does, and what is said of one that returns something else."""

import numpy as np
import pytest
import torch

from sklearn_mmae import MultimodalAutoencoder, TabularModality
from sklearn_mmae.fusion import AttentionFusion, Fusion, MeanFusion, MixtureFusion
from sklearn_mmae.nn import Seeded, initialise

N_MODALITIES, N_ROWS, WIDTH, K = 3, 400, 8, 2


def built(fusion, seed=0):
    fusion.build(N_MODALITIES, WIDTH, K)
    initialise(fusion, torch.Generator().manual_seed(seed), residuals_at_zero=False)
    return fusion


@pytest.fixture
def given():
    """Encodings, of which one modality is absent in half the rows, and a linear code."""
    generator = torch.Generator().manual_seed(1)
    present = torch.ones(2, N_MODALITIES, N_ROWS, dtype=torch.bool)
    present[:, 0, ::2] = False
    return (
        torch.randn(N_MODALITIES, N_ROWS, WIDTH, generator=generator),
        present,
        torch.randn(2, N_ROWS, K, generator=generator),
    )


def same(one, other):
    return torch.isclose(one, other, atol=1e-5).all(-1)


def test_a_mixture_trains_on_one_present_modality_a_row_and_all_get_their_turn(given):
    fusion = built(MixtureFusion()).train()
    encodings, _, _ = given
    code = fusion(*given)
    picked = torch.stack([same(code, own) for own in fusion.head(encodings)])
    assert (picked.sum(0) == 1).all()
    assert not picked[0, :, ::2].any()
    among_three = picked[..., 1::2].double().mean((1, 2))
    torch.testing.assert_close(among_three, torch.full((3,), 1 / 3).double(), atol=0.08, rtol=0)
    assert not torch.equal(picked[:, 0], picked[:, 1])  # another draw for each subset


def test_a_mixture_in_use_is_the_mean(given):
    mixture, mean = built(MixtureFusion()).eval(), built(MeanFusion()).eval()
    assert torch.equal(mixture(*given), mean(*given))


def test_attention_of_alike_modalities_is_what_one_of_them_says(given):
    fusion = built(AttentionFusion(n_heads=4)).eval()
    encodings, present, start = given
    for pair in fusion.key_and_value.layers[1:]:
        pair.load_state_dict(fusion.key_and_value.layers[0].state_dict())
    alike = encodings[:1].expand(N_MODALITIES, -1, -1)
    alone = torch.zeros_like(present)
    alone[:, 1] = True
    assert same(fusion(alike, present, start), fusion(alike, alone, start)).all()


def test_the_linear_code_asks_what_attention_looks_for(given):
    fusion = built(AttentionFusion()).eval()
    fusion.correction.from_start.weight.data.zero_()
    encodings, present, start = given
    asked_otherwise = fusion(encodings, present, -start)
    assert not same(fusion(encodings, present, start), asked_otherwise).any()


@pytest.mark.parametrize("n_heads", [1, 3, 8, 99])
def test_attention_takes_the_number_of_heads_that_fits(n_heads, given):
    assert built(AttentionFusion(n_heads))(*given).shape == (2, N_ROWS, K)


@pytest.mark.parametrize("n_heads", [0, -1, 2.5, True, "8"])
def test_attention_refuses_what_is_no_number_of_heads(n_heads):
    with pytest.raises(ValueError, match=r"n_heads=.* whole number from 1"):
        built(AttentionFusion(n_heads))


class Wrong(Fusion):
    def __init__(self, result):
        super().__init__()
        self.result = result

    def build(self, n_modalities, width, n_components):
        pass

    def forward(self, encodings, present, start):
        return self.result(start)


X = np.random.default_rng(0).normal(size=(40, 4))
PAIR = [("a", TabularModality(), [0, 1]), ("b", TabularModality(), [2, 3])]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        # Would broadcast, and train on something else than what was meant.
        (lambda start: start[0], r"shape \(40, 2\), expected a tensor of shape \(2, 40, 2\)"),
        (lambda start: start[..., :1], r"shape \(2, 40, 1\), expected .* \(2, 40, 2\)"),
        (lambda start: start.mean(), r"shape \(\), expected"),
        (lambda start: start.detach().numpy(), r"a ndarray, expected a tensor"),
        (lambda start: None, r"a NoneType, expected a tensor"),
    ],
)
def test_a_fusion_of_the_user_that_returns_a_wrong_shape_is_told_the_right_one(result, message):
    mmae = MultimodalAutoencoder(
        PAIR,
        n_components=2,
        width=4,
        fusion=Wrong(result),
        max_epochs=1,
        batch_size=40,
        early_stopping=False,
    )
    with pytest.raises(ValueError, match=f"fusion Wrong returned {message}"):
        mmae.fit(X)
    assert not hasattr(mmae, "net_")


class Noisy(Seeded, MeanFusion):
    """A fusion of the user's own that draws in training."""

    def forward(self, encodings, present, start):
        code = super().forward(encodings, present, start)
        if not self.training:
            return code
        noise = torch.empty_like(code).normal_(generator=self.generator)
        return code + 0.1 * noise


@pytest.mark.parametrize("fusion", ["mixture", "attention", Noisy()])
def test_a_fusion_that_draws_is_deterministic_and_leaves_torch_alone(fusion):
    def fit(seed):
        return MultimodalAutoencoder(
            PAIR,
            n_components=2,
            width=4,
            fusion=fusion,
            max_epochs=2,
            early_stopping=False,
            random_state=seed,
        ).fit_transform(X)

    state = torch.get_rng_state()
    first = fit(0)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(7)
    np.testing.assert_array_equal(fit(0), first)
    assert not np.array_equal(fit(1), first)
