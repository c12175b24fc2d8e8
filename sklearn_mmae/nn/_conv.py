"""Convolutions that halve an image or a series step by step, and their mirror images."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._blocks import SeededDropout, layer

__all__ = ["ConvolutionalDecoder", "ConvolutionalEncoder", "doubling", "halving", "pyramid"]

COARSEST = 8  # convolutions halve until no side is longer
FIRST_CHANNELS = 32
MOST_CHANNELS = 128


class ConvolutionalEncoder(nn.Module):
    """Patches of 4 x 4, then convolutions that halve the image: (..., pixels) to (..., width)."""

    def __init__(self, shape: tuple[int, int, int], width: int, dropout: float) -> None:
        super().__init__()
        self.shape = shape
        height, width_, n_channels = shape
        channels, grid = pyramid((height, width_))
        self.layers = nn.Sequential(
            nn.ZeroPad2d((0, -width_ % 4, 0, -height % 4)),
            *halving(nn.Conv2d, n_channels, channels, patch=4),
            nn.Flatten(),
            SeededDropout(dropout),
            layer(nn.Linear, channels[-1] * math.prod(grid), width),
        )

    def forward(self, view: Tensor) -> Tensor:
        """Map (..., pixels), channels last, to (..., width)."""
        # Not made contiguous: channels that lie last are also what convolutions are fastest on.
        pictures = view.reshape(-1, *self.shape).permute(0, 3, 1, 2)
        return self.layers(pictures).reshape(*view.shape[:-1], -1)


class ConvolutionalDecoder(nn.Module):
    """The encoder's mirror image: (..., components) to (..., pixels)."""

    def __init__(self, shape: tuple[int, int, int], n_components: int, dropout: float) -> None:
        super().__init__()
        self.shape = shape
        channels, grid = pyramid(shape[:2])
        self.layers = nn.Sequential(
            layer(nn.Linear, n_components, channels[-1] * math.prod(grid)),
            nn.GELU(),
            SeededDropout(dropout),
            nn.Unflatten(1, (channels[-1], *grid)),
            _ChannelsLast(),
            *doubling(nn.ConvTranspose2d, channels, shape[2], last=_Patches),
        )

    def forward(self, code: Tensor) -> Tensor:
        """Map (..., components) to (..., pixels), channels last."""
        height, width, _ = self.shape
        pictures = self.layers(code.reshape(-1, code.shape[-1]))[..., :height, :width]
        return pictures.permute(0, 2, 3, 1).reshape(*code.shape[:-1], -1)


class _ChannelsLast(nn.Module):
    """Let the channels of a pixel lie side by side, on which convolutions take a third less."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the same images in that order of memory."""
        return pictures.contiguous(memory_format=torch.channels_last)


class _Patches(nn.ConvTranspose2d):
    """A transposed convolution by patches of twice the stride, four times as fast as torch's.

    Torch's is slow forwards where few channels come out, not backwards.
    """

    def forward(self, pictures: Tensor) -> Tensor:
        """Map (rows, channels, height, width) to images larger by the stride."""
        if not self.training:
            return _patches(pictures, self.weight, self.bias)
        return _PatchesStep.apply(pictures, self.weight, self.bias)


class _PatchesStep(torch.autograd.Function):
    """The step of `_Patches`: its own way forwards, torch's backwards."""

    @staticmethod
    def forward(ctx: Any, pictures: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return what `_patches` does."""
        ctx.save_for_backward(pictures, weight)
        return _patches(pictures, weight, bias)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, ...]:
        """Return the slopes by images, weights and biases."""
        pictures, weight = ctx.saved_tensors
        stride = weight.shape[-1] // 2
        return torch.ops.aten.convolution_backward(
            *(slopes, pictures, weight, [weight.shape[1]]),
            *([stride] * 2, [stride // 2] * 2, [1, 1], True, [0, 0], 1, [True] * 3),
        )


def _patches(pictures: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the transposed convolution of a stride, by patches of twice its length.

    Such patches overlap by half: each square of the stride's length is made of the four pixels
    at its corners. So it is a convolution of 2 x 2 pixels that makes squares.
    """
    n_inputs, n_outputs, side, _ = weight.shape
    stride = side // 2
    halves = weight.view(n_inputs, n_outputs, 2, stride, 2, stride).flip(2, 4)
    squares = halves.permute(1, 3, 5, 0, 2, 4).reshape(-1, n_inputs, 2, 2)
    grid = F.conv2d(pictures, squares, bias.repeat_interleave(stride**2), padding=1)
    cut = slice(stride // 2, -(stride // 2))
    return F.pixel_shuffle(grid, stride)[..., cut, cut]


def pyramid(sides: Iterable[int]) -> tuple[list[int], list[int]]:
    """Return the channels of each level, fine to coarse, and the coarsest sides.

    The finest level has patches of 4: at full resolution convolutions would take most of the time.
    """
    channels, grid = [FIRST_CHANNELS], [-(-side // 4) for side in sides]
    while max(grid) > COARSEST:
        channels.append(min(2 * channels[-1], MOST_CHANNELS))
        grid = [-(-side // 2) for side in grid]
    return channels, grid


def halving(
    kind: type[nn.Module], n_inputs: int, channels: list[int], *, patch: int
) -> list[nn.Module]:
    """Return convolutions from full resolution, by patches, to the coarsest level of a pyramid."""
    layers = [layer(kind, n_inputs, channels[0], patch, stride=4), *_normalised(channels[0])]
    for before, after in pairwise(channels):
        layers += [layer(kind, before, after, 3, stride=2, padding=1), *_normalised(after)]
    return layers


def doubling(
    kind: type[nn.Module],
    channels: list[int],
    n_outputs: int,
    *,
    last: type[nn.Module] | None = None,
) -> list[nn.Module]:
    """Return transposed convolutions from the coarsest level of a pyramid to full resolution.

    The last one is of another kind, if there is one.
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(channels[::-1]):
        layers += [layer(kind, before, after, 4, stride=2, padding=1), *_normalised(after)]
    # Overlapping patches leave no seams.
    return [*layers, layer(last or kind, channels[0], n_outputs, 8, stride=4, padding=2)]


def _normalised(channels: int) -> tuple[nn.Module, nn.Module]:
    return layer(nn.GroupNorm, 8, channels), nn.GELU()
