"""`Settings`: what an estimator's parameters say about training, and what their names stand for."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .._core.errors import listing

__all__ = ["OPTIMIZERS", "Settings", "find_device"]


class _Eager(torch.optim.Optimizer):
    """An optimizer that is not compiled: to import torch's compiler, as others do, takes a second.

    Hooks are called as ever, by what torch wraps around the `step` of each class.
    """

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Take a group of weights."""
        inspect.unwrap(super().add_param_group)(self, param_group)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take a step."""
        return inspect.unwrap(super().step)(self, closure)


class AdamW(_Eager, torch.optim.AdamW):
    """torch's own."""


class Adam(_Eager, torch.optim.Adam):
    """torch's own."""


class SGD(_Eager, torch.optim.SGD):
    """torch's own."""


OPTIMIZERS = {"adamw": AdamW, "adam": Adam, "sgd": SGD}
STEPS = 16  # of an epoch, where the size of a batch is found by the number of rows
SMALLEST_BATCH, LARGEST_BATCH = 16, 256
MOST_OF_AN_EPOCH = STEPS * LARGEST_BATCH  # rows: many rows teach in few epochs what they can


@dataclass(frozen=True)
class Settings:
    """Parameters of an estimator by their own names; see there."""

    init: str
    rotation: str | None
    noise: float
    max_epochs: int
    batch_size: int | str
    lr: float
    optimizer: str | type[torch.optim.Optimizer]
    weight_decay: float
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    device: str | torch.device
    callbacks: Sequence[Any] | None

    def find_batch_size(self, n_rows: int) -> int:
        """Return the rows of a batch, given how many there are to learn from."""
        if self.batch_size != "auto":
            return self.batch_size
        size = 2 ** int(np.log2(max(n_rows / STEPS, 1)))
        return int(np.clip(size, SMALLEST_BATCH, LARGEST_BATCH))

    def find_optimizer(self) -> type[torch.optim.Optimizer]:
        """Return the class of the optimizer."""
        return OPTIMIZERS.get(self.optimizer, self.optimizer)


def find_device(name: str | torch.device) -> torch.device:
    """Return the torch device of a name, having tried it."""
    given = name
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()  # device "meta" has no numbers
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = ["auto", "cpu"] + ["cuda"] * torch.cuda.is_available()
        reason = str(error).splitlines()[0].rstrip(".")
        raise ValueError(
            f"device={given!r} cannot be used: {reason}. Give one of {listing(there)}."
        ) from error
    return device
