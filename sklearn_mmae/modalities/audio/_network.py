"""The network of sounds: each is stretched to one number of steps, its length kept beside it."""

from __future__ import annotations

import torch
from torch import Tensor

from ...nn._blocks import stretches
from ...nn._steps import StepsNetwork

__all__ = ["AudioNetwork", "stretch"]


class AudioNetwork(StepsNetwork):
    """Encoder, decoder and deviance of sounds of any length, all stretched to one.

    Words, drums and calls begin and end where they are cut, and go on faster or slower: halfway
    through one corresponds to halfway through another better than its tenth step to the other's
    tenth. Nothing is padded, so the linear start meets no missing values.

    The mean is that of the stretched sounds.
    """

    def flat_steps(self, tensors: dict[str, Tensor]) -> Tensor:
        """Return the stretched steps, (rows, n_steps * n_channels)."""
        length = tensors["length"]
        return stretch(tensors["steps"].float(), length, self.n_steps).flatten(1)

    def within(self, tensors: dict[str, Tensor]) -> Tensor:
        """Return where anything is there: a stretched sound is whole."""
        return (tensors["length"] > 0)[:, None].expand(-1, self.n_steps * self.n_channels)

    def hidden(self, n_rows: int, generator: torch.Generator) -> Tensor:
        """Draw a stretch of the steps and one of the bands, `mask` of either (Park et al. 2019)."""
        bands = stretches(n_rows, self.n_channels, self.mask, generator, self.mean.device)
        return self.hidden_steps(n_rows, generator) | bands[:, None]


def stretch(steps: Tensor, length: Tensor, n_steps: int) -> Tensor:
    """Return the beginning of each row, stretched or shrunk to a number of steps.

    Parameters
    ----------
    steps : Tensor of shape (rows, longest, channels)
    length : Tensor of shape (rows,)
        Steps that are stretched.
    n_steps : int

    Returns
    -------
    Tensor of shape (rows, n_steps, channels)
        Means over equal parts of the row's time; 0 where the length is 0.
    """
    part = length.to(steps.dtype)[:, None, None] / n_steps
    number = torch.arange(n_steps, dtype=steps.dtype, device=steps.device)[:, None]
    place = torch.arange(steps.shape[1], dtype=steps.dtype, device=steps.device)
    shared = torch.minimum((number + 1) * part, place + 1) - torch.maximum(number * part, place)
    return shared.clamp_min_(0).div_(part.clamp_min(1e-9)) @ steps
