"""`Fusion`: how what each modality says becomes one embedding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..nn._blocks import layer

__all__ = ["CallableFusion", "Fusion", "ModalityLinear", "selected"]


class Fusion(nn.Module, ABC):
    """Combine the encodings of the present modalities to one embedding.

    The linear start has already made an embedding of the present modalities; a fusion adds to it.
    Subclass it for a fusion of your own: keep hyper-parameters in ``__init__``, make weights in
    `build`, and give an instance to the estimator (it is copied, never trained itself).
    """

    @abstractmethod
    def build(self, n_modalities: int, width: int, n_components: int) -> None:
        """Make the weights for this many modalities, features and components."""

    @abstractmethod
    def forward(self, encodings: Tensor, present: Tensor, start: Tensor) -> Tensor:
        """Return what to add to the linear embedding.

        Parameters
        ----------
        encodings : Tensor of shape (modality, row, width)
            Finite also where a modality is absent; what stands there must not reach the result.
        present : Tensor of shape (..., modality, row), bool
            Leading dimensions are several subsets of the same rows.
        start : Tensor of shape (..., row, component)
            The linear embedding of each subset.

        Returns
        -------
        Tensor of shape (..., row, component)
        """

    def __call__(self, encodings: Tensor, present: Tensor, start: Tensor) -> Tensor:
        """Call `forward`, and refuse a result of another shape: it would broadcast unnoticed."""
        added = super().__call__(encodings, present, start)
        check_shape(type(self).__name__, added, start.shape, "the shape of `start`")
        return added


def check_shape(name: str, returned: Any, expected: Sequence[int], meaning: str) -> None:
    """Refuse what a user's fusion returns if it is no tensor of this shape."""
    shape = tuple(returned.shape) if isinstance(returned, torch.Tensor) else None
    if shape != tuple(expected):
        got = f"a {type(returned).__name__}" if shape is None else f"shape {shape}"
        raise ValueError(
            f"fusion {name} returned {got}, expected a tensor of shape {tuple(expected)}:"
            f" {meaning}."
        )


def selected(there: Tensor, values: Tensor) -> Tensor:
    """Return values where they are there, else 0; both broadcast.

    Selects and never multiplies: 0 * nan is nan. On a CPU it looks first, which costs less than
    to copy what is all there; elsewhere the program would wait for the device.
    """
    looks = there.device.type == "cpu" and not torch.compiler.is_compiling()
    if looks and bool(there.all()):
        return values.expand(torch.broadcast_shapes(there.shape, values.shape))
    return torch.where(there, values, 0)


class ModalityLinear(nn.Module):
    """One linear layer per modality, (modality, row, before) to (modality, row, after)."""

    def __init__(self, n_modalities: int, before: int, after: int, *, starts_at_zero: bool = False):
        super().__init__()
        # Separate products: torch's batched one is many times slower on a CPU, backwards.
        self.layers = nn.ModuleList(layer(nn.Linear, before, after) for _ in range(n_modalities))
        for one in self.layers:
            one.starts_at_zero = starts_at_zero

    def forward(self, encodings: Tensor) -> Tensor:
        """Map each modality's rows by its own weights."""
        return torch.stack([one(e) for one, e in zip(self.layers, encodings, strict=True)])


class CallableFusion(Fusion):
    """A plain function of encodings and presence, followed by a linear head.

    Parameters
    ----------
    function : callable
        ``function(encodings, present)`` takes what `Fusion.forward` takes and returns pooled
        features of shape (..., row, width).
    """

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def build(self, n_modalities: int, width: int, n_components: int) -> None:
        """Make the head."""
        self.width = width
        self.head = layer(nn.Linear, width, n_components)
        self.head.starts_at_zero = True

    def forward(self, encodings: Tensor, present: Tensor, start: Tensor) -> Tensor:
        """Pool, then map to an embedding."""
        pooled = self.function(encodings, present)
        check_shape(
            getattr(self.function, "__name__", type(self.function).__name__),
            pooled,
            (*start.shape[:-1], self.width),
            "(..., row, width), the encodings pooled over the modalities that are present",
        )
        return self.head(pooled)
