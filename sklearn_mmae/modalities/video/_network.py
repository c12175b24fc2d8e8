"""The layers of clips: the frames of a clip are the channels of one image."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...nn._blocks import LinearResidual, layer
from ...nn._conv import ConvolutionalDecoder, ConvolutionalEncoder

__all__ = ["clip_layers"]

ClipShape = tuple[int, int, int, int]  # frames, height, width, colours


def clip_layers(
    shape: ClipShape, n_components: int, width: int, dropout: float
) -> tuple[nn.Module, nn.Module]:
    """Return encoder and decoder of clips (frames, height, width, colours), and their length."""
    linear = layer(nn.Linear, n_components, math.prod(shape) + 1)
    return (
        ClipEncoder(shape, width, dropout),
        LinearResidual(linear, ClipDecoder(shape, n_components, dropout)),
    )


class ClipEncoder(nn.Module):
    """Convolutions over the image, all frames at once: (..., numbers + 1) to (..., width)."""

    def __init__(self, shape: ClipShape, width: int, dropout: float) -> None:
        super().__init__()
        self.shape = shape
        n_frames, height, width_, colours = shape
        self.frames = ConvolutionalEncoder((height, width_, n_frames * colours), width, dropout)
        self.length = layer(nn.Linear, 1, width)

    def forward(self, view: Tensor) -> Tensor:
        """Map frames, and last the length, to features."""
        frames = view[..., :-1].unflatten(-1, self.shape).movedim(-4, -2).flatten(-4)
        # Beside so many numbers of variance 1, the length would be by far the largest.
        return self.frames(frames) + self.length(view[..., -1:] * view.shape[-1] ** -0.5)


class ClipDecoder(nn.Module):
    """The encoder's mirror image: (..., components) to (..., numbers + 1)."""

    def __init__(self, shape: ClipShape, n_components: int, dropout: float) -> None:
        super().__init__()
        self.shape = shape
        n_frames, height, width, colours = shape
        self.length = layer(nn.Linear, n_components, 1)
        self.length.starts_at_zero = True
        self.frames = ConvolutionalDecoder(
            (height, width, n_frames * colours), n_components, dropout
        )

    def forward(self, code: Tensor) -> Tensor:
        """Map embeddings to frames, and last the length."""
        n_frames, height, width, colours = self.shape
        frames = self.frames(code).unflatten(-1, (height, width, n_frames, colours))
        return torch.cat([frames.movedim(-2, -4).flatten(-4), self.length(code)], -1)
