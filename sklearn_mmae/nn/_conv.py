"""Convolutions that halve a picture or a series step by step, and their mirror images."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import nn

from ._blocks import SeededDropout, layer

__all__ = ["ConvolutionalDecoder", "ConvolutionalEncoder"]

COARSEST = 8  # convolutions halve until no side is longer
MOST_CHANNELS = 128


class ConvolutionalEncoder(nn.Module):
    """Patches of 4 x 4, then convolutions that halve the picture: (..., pixels) to (..., width)."""

    def __init__(self, shape, width, dropout):
        super().__init__()
        self.shape = shape
        channels, grid = _pyramid(shape)
        # Patches first: at full resolution convolutions would take most of the time.
        layers = [
            nn.ZeroPad2d((0, -shape[1] % 4, 0, -shape[0] % 4)),
            layer(nn.Conv2d, shape[2], channels[0], 4, stride=4),
            *_normalised(channels[0]),
        ]
        for before, after in pairwise(channels):
            layers += [
                layer(nn.Conv2d, before, after, 3, stride=2, padding=1),
                *_normalised(after),
            ]
        self.layers = nn.Sequential(
            *layers,
            nn.Flatten(),
            SeededDropout(dropout),
            layer(nn.Linear, channels[-1] * math.prod(grid), width),
        )

    def forward(self, view):
        """Map (..., pixels), channels last, to (..., width)."""
        pictures = view.reshape(-1, *self.shape).permute(0, 3, 1, 2).contiguous()
        return self.layers(pictures).reshape(*view.shape[:-1], -1)


class ConvolutionalDecoder(nn.Module):
    """The encoder's mirror image: (..., components) to (..., pixels)."""

    def __init__(self, shape, n_components, dropout):
        super().__init__()
        self.shape = shape
        channels, grid = _pyramid(shape)
        channels = channels[::-1]
        layers = [
            layer(nn.Linear, n_components, channels[0] * math.prod(grid)),
            nn.GELU(),
            SeededDropout(dropout),
            nn.Unflatten(1, (channels[0], *grid)),
        ]
        for before, after in pairwise(channels):
            layers += [
                layer(nn.ConvTranspose2d, before, after, 4, stride=2, padding=1),
                *_normalised(after),
            ]
        # Overlapping patches leave no seams.
        last = layer(nn.ConvTranspose2d, channels[-1], shape[2], 8, stride=4, padding=2)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, code):
        """Map (..., components) to (..., pixels), channels last."""
        height, width, _ = self.shape
        pictures = self.layers(code.reshape(-1, code.shape[-1]))[..., :height, :width]
        return pictures.permute(0, 2, 3, 1).reshape(*code.shape[:-1], -1)


def _pyramid(shape):
    """Return the channels of each level, fine to coarse, and the coarsest height and width."""
    channels, grid = [32], [-(-side // 4) for side in shape[:2]]
    while max(grid) > COARSEST:
        channels.append(min(2 * channels[-1], MOST_CHANNELS))
        grid = [-(-side // 2) for side in grid]
    return channels, grid


def _normalised(channels):
    return layer(nn.GroupNorm, 8, channels), nn.GELU()
