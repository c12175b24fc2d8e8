"""The network of clips: the frames of a clip are the channels of one picture."""

from __future__ import annotations

import torch
from torch import nn

from ...nn._blocks import LinearResidual, layer
from ...nn._conv import ConvolutionalDecoder, ConvolutionalEncoder
from ...nn._steps import StepsNetwork

__all__ = ["VideoNetwork"]


class VideoNetwork(StepsNetwork):
    """Encoder, decoder and deviance of clips of one size and rate.

    Parameters
    ----------
    mean : Tensor of shape (n_frames, height * width * channels)
    size : tuple of int
        Height and width.
    **learned
        As of `StepsNetwork`.
    """

    def __init__(self, mean, *, size, **learned):
        self.size = size  # before the layers are built
        super().__init__(mean, **learned)

    def _build_layers(self, n_components, width, dropout):
        n_frames, n_numbers = self.n_steps, self.n_channels
        height, width_ = self.size
        shape = (n_frames, height, width_, n_numbers // (height * width_))
        self.encoder = ClipEncoder(shape, width, dropout)
        self.decoder = LinearResidual(
            layer(nn.Linear, n_components, self.n_outputs),
            ClipDecoder(shape, n_components, dropout),
        )


class ClipEncoder(nn.Module):
    """Convolutions over the picture, all frames at once: (..., numbers + 1) to (..., width)."""

    def __init__(self, shape, width, dropout):
        super().__init__()
        self.shape = shape
        n_frames, height, width_, colours = shape
        self.frames = ConvolutionalEncoder((height, width_, n_frames * colours), width, dropout)
        self.length = layer(nn.Linear, 1, width)

    def forward(self, view):
        """Map frames, and last the length, to features."""
        frames = view[..., :-1].unflatten(-1, self.shape).movedim(-4, -2).flatten(-4)
        # Beside so many numbers of variance 1, the length would be by far the largest.
        return self.frames(frames) + self.length(view[..., -1:] * view.shape[-1] ** -0.5)


class ClipDecoder(nn.Module):
    """The encoder's mirror image: (..., components) to (..., numbers + 1)."""

    def __init__(self, shape, n_components, dropout):
        super().__init__()
        self.shape = shape
        n_frames, height, width, colours = shape
        self.length = layer(nn.Linear, n_components, 1)
        self.length.starts_at_zero = True
        self.frames = ConvolutionalDecoder(
            (height, width, n_frames * colours), n_components, dropout
        )

    def forward(self, code):
        """Map codes to frames, and last the length."""
        n_frames, height, width, colours = self.shape
        frames = self.frames(code).unflatten(-1, (height, width, n_frames, colours))
        return torch.cat([frames.movedim(-2, -4).flatten(-4), self.length(code)], -1)
