"""Objectives with one joint posterior: ELBO, MVAE, JMVAE, MVTCAE."""

from __future__ import annotations

import torch
from torch import Tensor

from ._base import ALL, RANDOM, Evidence, Objective, each_alone, mean_over
from ._posterior import Posterior

__all__ = ["ELBO", "JMVAE", "MVAE", "MVTCAE"]


class ELBO(Objective):
    r"""The evidence lower bound of the joint posterior [1]_; modalities alone learn nothing.

    .. math:: E_{q(z|x)} \sum_m \log p(x_m|z) - \beta KL(q(z|x) || p(z))

    References
    ----------
    .. [1] Kingma & Welling (2014), "Auto-encoding variational Bayes", ICLR.
    """

    def subsets(self, n_modalities: int) -> list[str | int]:
        """See each row whole."""
        return [ALL]

    def terms(self, evidence: Evidence) -> tuple[Tensor, Tensor]:
        """Return the two sides of the bound."""
        likelihood = evidence.log_likelihood(evidence.sample())[:, 0]
        return likelihood, evidence.penalty.of(evidence.posterior)[0]


class MVAE(Objective):
    r"""Sub-sampled evidence lower bounds [1]_: of the row, of each modality, of a random part.

    .. math:: \frac{1}{|S|} \sum_{s \in S} E_{q(z|x_s)} \sum_{m \in s} \log p(x_m|z)
              - \beta KL(q(z|x_s) || p(z))

    Each part has a bound of its own evidence, so that its posterior learns to be as wide as it
    should be. The paper takes the sum instead of the mean.

    References
    ----------
    .. [1] Wu & Goodman (2018), "Multimodal generative models for scalable weakly-supervised
       learning", NeurIPS.
    """

    def subsets(self, n_modalities: int) -> list[str | int]:
        """See each row whole, each modality alone, and a random part."""
        if n_modalities == 1:
            return [ALL]
        return [ALL, *each_alone(n_modalities), RANDOM]

    def terms(self, evidence: Evidence) -> tuple[Tensor, Tensor]:
        """Return the two sides, means over the subsets."""
        counted = counted_subsets(evidence)
        likelihood = evidence.log_likelihood(evidence.sample())
        likelihood = torch.where(evidence.seen, likelihood, 0)
        likelihood = torch.stack([mean_over(one, counted) for one in likelihood])
        return likelihood, mean_over(evidence.penalty.of(evidence.posterior), counted)


class JMVAE(Objective):
    r"""The joint bound, and single posteriors that are pulled to the joint one [1]_.

    .. math:: E_{q(z|x)} \sum_m \log p(x_m|z) - \beta KL(q(z|x) || p(z))
              - \alpha \sum_m KL(q(z|x) || q(z|x_m))

    Parameters
    ----------
    alpha : float, default=0.1
        How much the joint posterior is pulled to the single ones, at least 0.

    References
    ----------
    .. [1] Suzuki, Nakayama & Matsuo (2016), "Joint multimodal learning with deep generative
       models", arXiv:1611.01891.
    """

    def __init__(self, alpha: float = 0.1):
        if not alpha >= 0:
            raise ValueError(f"alpha={alpha!r}: a weight cannot be negative. Give 0.1, say.")
        self.alpha = alpha

    def subsets(self, n_modalities: int) -> list[str | int]:
        """See each row whole, and each modality alone."""
        return [ALL, *each_alone(n_modalities)]

    def terms(self, evidence: Evidence) -> tuple[Tensor, Tensor]:
        """Return the two sides."""
        joint, alone = evidence.posterior[0], evidence.posterior[1:]
        likelihood = evidence.log_likelihood(evidence.sample(joint))
        apart, followed = _apart(joint, alone, evidence.present)
        return likelihood, evidence.penalty.of(joint) + self.alpha * apart + followed


class MVTCAE(Objective):
    r"""Total correlation: the joint posterior close to what each modality alone says [1]_.

    .. math:: \frac{M - \alpha}{M} E_{q(z|x)} \sum_m \log p(x_m|z)
              - \beta \left[(1 - \alpha) KL(q(z|x) || p(z))
              + \frac{\alpha}{M} \sum_m KL(q(z|x) || q(z|x_m))\right]

    Parameters
    ----------
    alpha : float in [0, 1], default=0.9
        Between the evidence lower bound (0) and the modalities alone (1).

    References
    ----------
    .. [1] Hwang, Kim, Hong & Kim (2021), "Multi-view representation learning via total correlation
       objective", NeurIPS.
    """

    def __init__(self, alpha: float = 0.9):
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha={alpha!r}: give a number from 0 to 1, such as 0.9.")
        self.alpha = alpha

    def subsets(self, n_modalities: int) -> list[str | int]:
        """See each row whole, and each modality alone."""
        return [ALL, *each_alone(n_modalities)]

    def terms(self, evidence: Evidence) -> tuple[Tensor, Tensor]:
        """Return the two sides."""
        joint, alone = evidence.posterior[0], evidence.posterior[1:]
        n = evidence.present.sum(0).clamp_min(1)
        likelihood = evidence.log_likelihood(evidence.sample(joint)) * ((n - self.alpha) / n)
        prior = evidence.penalty.of(joint)
        apart, followed = _apart(joint, alone, evidence.present)
        apart = self.alpha * evidence.penalty.beta * apart / n
        return likelihood, (1 - self.alpha) * prior + apart + followed


def _apart(joint: Posterior, alone: Posterior, present: Tensor) -> tuple[Tensor, Tensor]:
    """Return sums of ``KL(joint || alone)``, (rows,): what the joint one learns, and the others.

    The second is 0 in value. The single posteriors follow the joint one with a weight of 1,
    whatever the objective's: in the papers they have networks of their own, which learn as fast
    with any weight; here all share theirs, and a small weight is drowned by the joint one's.
    """
    of_joint, of_alone = (
        torch.where(present, one.divergence_from(other), 0).sum(0)
        for one, other in ((joint, alone.detached()), (joint.detached(), alone))
    )
    return of_joint, of_alone - of_alone.detach()


def counted_subsets(evidence: Evidence) -> Tensor:
    """Return which subsets say something of their own of a row, (subset, rows) bool."""
    counted = torch.ones_like(evidence.seen[0])
    n_modalities, n_subsets = evidence.seen.shape[:2]
    if n_subsets > n_modalities:
        counted[1 : 1 + n_modalities] = evidence.present  # the others are seen as a whole
    return counted
