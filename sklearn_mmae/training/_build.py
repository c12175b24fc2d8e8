"""What the short names of parameters stand for: fusions, objectives, terms."""

from __future__ import annotations

import copy
from numbers import Real

import numpy as np
import torch

from .._core.errors import listing
from .._core.plain import REMEDY, check, object_from_plain, object_to_plain
from ..fusion import FUSIONS, CallableFusion, Fusion
from ..objectives import OBJECTIVES, Objective
from ._terms import EXTRA_TERMS, USUAL_WEIGHT

__all__ = [
    "NAMED",
    "build_fusion",
    "build_objective",
    "build_target",
    "named_from_plain",
    "named_to_plain",
    "weights_of_terms",
]

# Parameters that are a short name, or an object of a class.
NAMED = {"fusion": (Fusion, FUSIONS), "objective": (Objective, OBJECTIVES)}


def named_to_plain(name, value):
    """Return a parameter as plain values, if it may have a short name; others as they are."""
    if name not in NAMED or isinstance(value, str):
        return value
    if isinstance(value, NAMED[name][0]):
        return object_to_plain(value, name)
    raise TypeError(f"{name}={value!r} is a function, which a file cannot hold. {REMEDY}")


def named_from_plain(name, node, classes):
    """Return the parameter that `named_to_plain` gave."""
    base, short = NAMED[name]
    if isinstance(node, str):
        check(node in short, f"its {name} is not known")
        return node
    return object_from_plain(node, base, classes)


def build_objective(objective):
    """Return what the parameter `objective` asks for."""
    return OBJECTIVES[objective]() if isinstance(objective, str) else objective


def build_fusion(fusion, n_modalities, width, n_components):
    """Return what the parameter `fusion` asks for, built; weights not yet initialised."""
    if isinstance(fusion, str):
        # One modality has nothing to be fused with: its own head is all it takes.
        built = FUSIONS[fusion if n_modalities > 1 else "mean"]()
    elif isinstance(fusion, Fusion):
        built = copy.deepcopy(fusion)
    else:
        built = CallableFusion(fusion)
    # A user's own class may draw from torch's global generator, which is the caller's.
    with torch.random.fork_rng(devices=[], enabled=isinstance(fusion, Fusion)):
        built.build(n_modalities, width, n_components)
    return built


def build_target(target, n_components, width):
    """Return the network of a `Target`, which is never encoded, or None."""
    if target is None:
        return None
    network = target.modality.network(n_components, width, dropout=0.0)
    network.encoder = torch.nn.Identity()
    return network


def weights_of_terms(extra_terms):
    """Return the parameter `extra_terms` as a dict of weights above 0.

    Raises
    ------
    ValueError
        For unknown names and for what is no weight, with what to write.
    """
    if extra_terms is None:
        return {}
    if isinstance(extra_terms, str):
        extra_terms = {extra_terms: USUAL_WEIGHT}
    known = listing(map(repr, EXTRA_TERMS))
    for name, weight in extra_terms.items():
        if name not in EXTRA_TERMS:
            raise ValueError(
                f"extra_terms: there is no term {name!r}. Give one of {known}, such as"
                f" extra_terms={{'contrastive': {USUAL_WEIGHT}}}."
            )
        # A bool is a number to Python, and True would be a strong weight.
        number = isinstance(weight, Real) and not isinstance(weight, bool | np.bool_)
        if not number or not 0 <= weight < np.inf:
            raise ValueError(
                f"extra_terms={{{name!r}: {weight!r}}}: give a weight from 0 (off), such as"
                f" {USUAL_WEIGHT}; modalities are pulled together, never apart."
            )
    return {name: float(weight) for name, weight in extra_terms.items() if weight}
