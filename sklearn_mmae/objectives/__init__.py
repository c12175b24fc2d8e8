"""Objectives of `MultimodalVAE`: bounds on the evidence, and close relatives."""

from ._base import ALL, RANDOM, Evidence, Objective, Penalty
from ._mixtures import MMVAE, MMVM, MMVAEPlus, MoPoE, log_prior
from ._posterior import Posterior
from ._products import ELBO, JMVAE, MVAE, MVTCAE

__all__ = [
    "ALL",
    "ELBO",
    "JMVAE",
    "MMVAE",
    "MMVM",
    "MVAE",
    "MVTCAE",
    "OBJECTIVES",
    "RANDOM",
    "Evidence",
    "MMVAEPlus",
    "MoPoE",
    "Objective",
    "Penalty",
    "Posterior",
    "log_prior",
]

OBJECTIVES = {
    "elbo": ELBO,
    "mvae": MVAE,
    "mmvae": MMVAE,
    "mmvae+": MMVAEPlus,
    "mopoe": MoPoE,
    "jmvae": JMVAE,
    "mvtcae": MVTCAE,
    "mmvm": MMVM,
}
