"""Objectives whose joint posterior is a mixture: MMVAE, MMVAE+, MoPoE, MMVM."""

from __future__ import annotations

import math

import torch

from ._base import ALL, RANDOM, Objective, each_alone, mean_over
from ._products import counted_subsets

__all__ = ["MMVAE", "MMVM", "MMVAEPlus", "MoPoE"]

BOUNDS = ("elbo", "iwae", "dreg")


class MMVAE(Objective):
    r"""A mixture of what each modality alone says [1]_, every modality decoded from each.

    .. math:: \frac{1}{M} \sum_m E_{z_{1:K} \sim q(z|x_m)} \log \frac{1}{K} \sum_k
              \frac{p(z_k) \prod_n p(x_n|z_k)}{\frac{1}{M} \sum_n q(z_k|x_n)}

    Parameters
    ----------
    bound : {"elbo", "iwae", "dreg"}, default="elbo"
        "elbo" has K = 1; "iwae" is tighter with more draws [2]_; "dreg" has the same value, and
        gradients whose noise does not grow with K [3]_.
    n_draws : int, default=10
        K, for "iwae" and "dreg".

    References
    ----------
    .. [1] Shi, Siddharth, Paige & Torr (2019), "Variational mixture-of-experts autoencoders for
       multi-modal deep generative models", NeurIPS.
    .. [2] Burda, Grosse & Salakhutdinov (2016), "Importance weighted autoencoders", ICLR.
    .. [3] Tucker, Lawson, Gu & Maddison (2019), "Doubly reparameterized gradient estimators for
       Monte Carlo objectives", ICLR.
    """

    def __init__(self, bound="elbo", n_draws=10):
        if bound not in BOUNDS:
            raise ValueError(f"bound={bound!r}: give 'elbo', 'iwae' or 'dreg'.")
        if not isinstance(n_draws, int) or isinstance(n_draws, bool) or n_draws < 1:
            raise ValueError(f"n_draws={n_draws!r}: give a whole number of at least 1.")
        self.bound, self.n_draws = bound, n_draws

    def subsets(self, n_modalities):
        """See each modality alone."""
        return each_alone(n_modalities)

    def terms(self, evidence):
        """Return the two sides; the likelihood is that of the draws by their weight."""
        n_draws = 1 if self.bound == "elbo" else self.n_draws
        codes = torch.stack([evidence.sample() for _ in range(n_draws)])  # (draw, expert, rows, k)
        likelihood = evidence.log_likelihood(codes)  # (modality, draw, expert, rows)
        prior = log_prior(codes)
        mixture = log_mixture(evidence, codes, frozen=self.bound == "dreg")
        weight = likelihood.sum(0) + evidence.penalty.beta * (prior - mixture)
        return two_sides(evidence, likelihood, weight, codes, doubly=self.bound == "dreg")


class MMVAEPlus(Objective):
    r"""Shared components for all modalities, private ones for each [1]_.

    .. math:: \frac{1}{M} \sum_m E_{q(u|x_m) q(w_m|x_m)} \log p(x_m|u,w_m) + \sum_{n \ne m}
              E_{p(w_n)} \log p(x_n|u,w_n) - \beta \log \frac{\frac{1}{M} \sum_n q(u|x_n)
              \cdot q(w_m|x_m)}{p(u) p(w_m)}

    What a modality says of its own cannot leak into the others: they are decoded from the shared
    part, and private parts drawn from the prior. (The paper lets the prior of such draws be
    learned.)

    Parameters
    ----------
    private : float in (0, 1), default=0.5
        Share of the components that are private, the same number for each modality.

    References
    ----------
    .. [1] Palumbo, Daunhawer & Vogt (2023), "MMVAE+: Enhancing the generative quality of
       multimodal VAEs without compromises", ICLR.
    """

    def __init__(self, private=0.5):
        if not 0 < private < 1:
            raise ValueError(f"private={private!r}: give a share between 0 and 1, such as 0.5.")
        self.private = private

    def subsets(self, n_modalities):
        """See each modality alone."""
        return each_alone(n_modalities)

    def terms(self, evidence):
        """Return the two sides."""
        own = evidence.sample()  # (expert, rows, components)
        private = evidence.private.any(0)
        # Draws of the prior for all private parts, but that of the modality which is looked at.
        strange = torch.empty_like(own).normal_(generator=evidence.generator)
        mine = evidence.private[:, None] | ~private
        codes = torch.where(mine, own, strange)
        likelihood = evidence.log_likelihood(codes)
        # The divergence of shared and private parts, each by its own distribution.
        shared = log_mixture(evidence, codes, only=~private)
        alone = marginal_log_density(evidence.posterior, codes, evidence.private[:, None])
        prior = log_prior(torch.where(mine, codes, 0), mine)
        divergence = evidence.penalty.beta * (shared + alone - prior)
        likelihood = torch.stack([mean_over(one, evidence.present) for one in likelihood])
        return likelihood, mean_over(divergence, evidence.present)


class MoPoE(Objective):
    r"""A mixture of the posteriors given subsets of the modalities [1]_.

    .. math:: \frac{1}{|S|} \sum_{s \in S} E_{q(z|x_s)} \sum_m \log p(x_m|z)
              - \beta KL(q(z|x_s) || p(z))

    Every modality is decoded from each subset: the row, each modality alone, and a random part,
    which stands for all the others (the paper takes them all).

    References
    ----------
    .. [1] Sutter, Daunhawer & Vogt (2021), "Generalized multimodal ELBO", ICLR.
    """

    def subsets(self, n_modalities):
        """See each row whole, each modality alone, and of more than two a random part."""
        if n_modalities == 1:
            return [ALL]
        return [ALL, *each_alone(n_modalities), *([RANDOM] if n_modalities > 2 else [])]

    def terms(self, evidence):
        """Return the two sides, means over the subsets."""
        counted = counted_subsets(evidence)
        likelihood = evidence.log_likelihood(evidence.sample())
        likelihood = torch.stack([mean_over(one, counted) for one in likelihood])
        return likelihood, mean_over(evidence.penalty.of(evidence.posterior), counted)


class MMVM(Objective):
    r"""Each modality for itself, with the mixture of all posteriors as the prior [1]_.

    .. math:: \sum_m E_{q(z|x_m)} \log p(x_m|z) - \beta KL\left(q(z|x_m) ||
              \frac{1}{M} \sum_n q(z|x_n)\right)

    The prior depends on the row, so that nothing holds the codes of all rows at N(0, I):
    `score_samples` and `sample`, which take that for the prior, say less of such a model.

    References
    ----------
    .. [1] Sutter, Meng, Agostini, Chopard, Fortin, Vogt et al. (2024), "Unity by diversity:
       improved representation learning in multimodal VAEs", NeurIPS.
    """

    def subsets(self, n_modalities):
        """See each modality alone."""
        return each_alone(n_modalities)

    def terms(self, evidence):
        """Return the two sides."""
        codes = evidence.sample()
        likelihood = evidence.log_likelihood(codes).diagonal(dim1=0, dim2=1).T
        apart = evidence.posterior.log_density(codes) - log_mixture(evidence, codes)
        return likelihood, evidence.penalty.beta * torch.where(evidence.present, apart, 0).sum(0)


def log_prior(code, counted=None):
    """Return the log density of N(0, I), of all components or of those that count."""
    squares = code.square() + math.log(2 * math.pi)
    return -0.5 * (squares if counted is None else torch.where(counted, squares, 0)).sum(-1)


def log_mixture(evidence, codes, *, frozen=False, only=None):
    """Return the log density of codes (..., rows, k) under the mixture of present experts."""
    posterior = evidence.posterior
    densities = []
    for m in range(len(evidence.present)):
        expert = posterior[m]
        if only is not None:
            density = marginal_log_density(expert, codes, only)
        elif frozen:
            density = expert.frozen_log_density(codes)
        else:
            density = expert.log_density(codes)
        densities.append(torch.where(evidence.present[m], density, -torch.inf))
    count = evidence.present.sum(0).clamp_min(1)
    found = torch.stack(densities).logsumexp(0) - count.log()
    return torch.where(evidence.present.any(0), found, 0)


def marginal_log_density(posterior, codes, counted):
    """Return the log density of components taken one by one, of those that count."""
    variance = posterior.variance()
    squares = (codes - posterior.mean).square() / variance + variance.log() + math.log(2 * math.pi)
    return -0.5 * torch.where(counted, squares, 0).sum(-1)


def two_sides(evidence, likelihood, weight, codes, *, doubly):
    """Return likelihood and divergence of an importance-weighted bound, a mean over experts."""
    n_draws = len(weight)
    share = weight.detach().softmax(0)  # over the draws
    if doubly:
        # The gradient of the codes takes the weights twice, the decoders' once.
        if codes.requires_grad:
            codes.register_hook(lambda gradient: gradient * share[..., None])
        bound = (share * weight).sum(0)
        value = weight.detach().logsumexp(0) - math.log(n_draws)
        bound = bound + (value - bound).detach()
    else:
        bound = weight.logsumexp(0) - math.log(n_draws)
    likelihood = (share * likelihood).sum(1)
    likelihood = torch.stack([mean_over(one, evidence.present) for one in likelihood])
    bound = mean_over(bound, evidence.present)
    return likelihood, likelihood.sum(0) - bound
