"""The network of what goes on in time: a number of steps, each of some channels, and how many."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import nn

from ._blocks import LinearResidual, SeededDropout, decoder, encoder, layer, stretches
from ._conv import COARSEST, MOST_CHANNELS
from ._modality import ModalityNetwork

__all__ = ["StepsNetwork"]

LENGTH_SHARE = 0.05  # of a row's variance that its length stands for, where lengths differ
DENSE = 256  # up to this many numbers linear layers are both faster and better
FIRST_CHANNELS = 32


class StepsNetwork(ModalityNetwork):
    """Encoder, decoder and deviance of sequences, padded to one number of steps.

    A row arrives as ``steps`` (rows, n_steps, n_channels), 0 in the holes; ``length`` (rows,), how
    many of the steps are the row's own, the others are padding, and 0 where the row is missing;
    ``observed``, shaped as the steps, where some of a row's own numbers are holes. The view is
    the centred steps, flat, and last the logarithm of the length.

    Parameters
    ----------
    mean : Tensor of shape (n_steps, n_channels)
        Over the rows in which a number is observed.
    scale : float
        Root of the mean over the rows of the sum of squares of the centred numbers.
    log_length, log_length_scale : float
        Mean and standard deviation over the rows; a deviation of 0 says that all are alike, and
        the length then counts for nothing.
    mask : float
        Share of the steps that `corrupt` hides, in one stretch.
    n_components, width : int
    dropout : float

    Attributes
    ----------
    longest : int
        The most steps that a row is predicted to have.
    """

    def __init__(
        self, mean, *, scale, log_length, log_length_scale, mask, n_components, width, dropout
    ):
        n_steps, n_channels = mean.shape
        n_view = mean.numel() + 1
        super().__init__(n_view, n_view)
        self.n_steps, self.n_channels, self.longest = n_steps, n_channels, n_steps
        self.log_length, self.mask = log_length, mask
        share = LENGTH_SHARE if log_length_scale else 0.0
        # Units of the steps, and of the logarithm of the length, in one of the view.
        self.step_unit = scale / (1 - share) ** 0.5
        self.length_unit = log_length_scale / share**0.5 if share else 0.0
        self.register_buffer("mean", mean.flatten())
        self._build_layers(n_components, width, dropout)

    def _build_layers(self, n_components, width, dropout):
        """Set encoder and decoder."""
        if self.n_view <= DENSE:
            self.encoder = encoder(self.n_view, width, dropout)
            self.decoder = decoder(n_components, width, self.n_outputs)
            return
        shape = (self.n_steps, self.n_channels)
        self.encoder = TemporalEncoder(shape, width, dropout)
        self.decoder = LinearResidual(
            layer(nn.Linear, n_components, self.n_outputs),
            TemporalDecoder(shape, n_components, dropout),
        )

    def view(self, tensors):
        """Return the centred steps and the length, of total variance 1, 0 in the holes."""
        steps = (self.flat_steps(tensors) - self.mean) / self.step_unit
        length = tensors["length"].clamp_min(1).float().log() - self.log_length
        length = length / self.length_unit if self.length_unit else torch.zeros_like(length)
        view = torch.cat([steps, length[:, None]], 1)
        return torch.where(self._known(tensors), view, 0)

    def observed(self, tensors):
        """Return which numbers of the view are no holes, or None where there are no holes.

        Padding is none: as zeros it draws the linear start to the steps that many rows have; with
        as much weight for the few longest rows' ends, it would be far worse.
        """
        if "observed" not in tensors:
            return None
        observed = tensors["observed"].flatten(1) | ~self.within(tensors)
        return nn.functional.pad(observed, (0, 1), value=True)

    def flat_steps(self, tensors):
        """Return the steps, (rows, n_steps * n_channels) float32."""
        return tensors["steps"].flatten(1).float()

    def within(self, tensors):
        """Return which numbers of the flat steps are no padding."""
        places = torch.arange(self.n_steps, device=self.mean.device)
        within = places < tensors["length"][:, None]
        return within.repeat_interleave(self.n_channels, 1)

    def _known(self, tensors):
        """Return which numbers of the view are the row's own, and no holes."""
        own = self.within(tensors)
        if "observed" in tensors:
            own = own & tensors["observed"].flatten(1)
        return torch.cat([own, tensors["length"][:, None] > 0], 1)

    def corrupt(self, view, noise, generator):
        """Return the view with noise added, and `hidden` steps at their means."""
        if noise and self.mask:
            steps = view[:, :-1].unflatten(1, (self.n_steps, self.n_channels))
            shown = torch.where(self.hidden(len(view), generator), 0, steps)
            view = torch.cat([shown.flatten(1), view[:, -1:]], 1)
        return super().corrupt(view, noise, generator)

    def hidden(self, n_rows, generator):
        """Draw a stretch of each row's steps, `mask` of them, (rows, n_steps, 1 or n_channels)."""
        device = self.mean.device
        return stretches(n_rows, self.n_steps, self.mask, generator, device)[:, :, None]

    def encode(self, view):
        """Return the features of a view; the layers see numbers of variance 1."""
        return self.encoder(view * self.n_view**0.5)

    def decode(self, code):
        """Return steps and length in units of the view."""
        return self.decoder(code) * self.n_view**-0.5

    def deviance(self, outputs, tensors):
        """Return squared errors, summed over what is observed."""
        error = outputs - self.view(tensors)
        return torch.where(self._known(tensors), error, 0).square().sum(-1)

    def count_numbers(self, tensors):
        """Return how many numbers of each row's steps are known, and its length if that varies."""
        known = self._known(tensors)
        return (known if self.length_unit else known[:, :-1]).sum(-1).float()

    def log_volume(self, tensors):
        """Return the log of the unit of the noise in those of the steps, for each known number."""
        known = self._known(tensors)
        volume = known[:, :-1].sum(-1) * math.log(self.step_unit / self.view_unit)
        if self.length_unit:
            volume = volume + known[:, -1] * math.log(self.length_unit / self.view_unit)
        return volume

    @torch.no_grad()
    def start(self, weight):
        """Set the linear path."""
        self.decoder.linear.weight.copy_(weight * self.n_view**0.5)
        self.decoder.linear.bias.zero_()

    def predict(self, outputs):
        """Return steps in their own units, (rows, n_steps * n_channels), and last the length."""
        steps = outputs[:, :-1] * self.step_unit + self.mean
        length = (outputs[:, -1:] * self.length_unit + self.log_length).exp()
        return torch.cat([steps, length.round().clamp(1, self.longest)], 1)


class TemporalEncoder(nn.Module):
    """Convolutions over time: (..., steps * channels + 1) to (..., width)."""

    def __init__(self, shape, width, dropout):
        super().__init__()
        self.shape = shape
        channels, n_coarse = _pyramid(shape[0])
        # Patches first: at full resolution convolutions would take most of the time.
        layers = [
            nn.ZeroPad1d((2, 2 + -shape[0] % 4)),
            layer(nn.Conv1d, shape[1], channels[0], 8, stride=4),
            *_normalised(channels[0]),
        ]
        for before, after in pairwise(channels):
            layers += [
                layer(nn.Conv1d, before, after, 3, stride=2, padding=1),
                *_normalised(after),
            ]
        self.layers = nn.Sequential(*layers, nn.Flatten(), SeededDropout(dropout))
        self.head = layer(nn.Linear, channels[-1] * n_coarse + 1, width)

    def forward(self, view):
        """Map the view to features; the length joins at the last layer."""
        flat = view.reshape(-1, view.shape[-1])
        steps = flat[:, :-1].unflatten(1, self.shape).mT.contiguous()
        features = self.head(torch.cat([self.layers(steps), flat[:, -1:]], 1))
        return features.reshape(*view.shape[:-1], -1)


class TemporalDecoder(nn.Module):
    """The encoder's mirror image: (..., components) to (..., steps * channels + 1)."""

    def __init__(self, shape, n_components, dropout):
        super().__init__()
        self.shape = shape
        channels, n_coarse = _pyramid(shape[0])
        channels = channels[::-1]
        n_hidden = channels[0] * n_coarse
        self.first = nn.Sequential(
            layer(nn.Linear, n_components, n_hidden), nn.GELU(), SeededDropout(dropout)
        )
        self.length = layer(nn.Linear, n_hidden, 1)
        self.length.starts_at_zero = True
        layers = [nn.Unflatten(1, (channels[0], n_coarse))]
        for before, after in pairwise(channels):
            layers += [
                layer(nn.ConvTranspose1d, before, after, 4, stride=2, padding=1),
                *_normalised(after),
            ]
        # Overlapping patches leave no seams.
        last = layer(nn.ConvTranspose1d, channels[-1], shape[1], 8, stride=4, padding=2)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, code):
        """Map codes to steps, and last the length."""
        hidden = self.first(code.reshape(-1, code.shape[-1]))
        steps = self.layers(hidden)[..., : self.shape[0]].mT.flatten(1)
        outputs = torch.cat([steps, self.length(hidden)], 1)
        return outputs.reshape(*code.shape[:-1], -1)


def _pyramid(n_steps):
    """Return the channels of each level, fine to coarse, and the coarsest number of steps."""
    channels, n_coarse = [FIRST_CHANNELS], math.ceil(n_steps / 4)
    while n_coarse > COARSEST:
        channels.append(min(2 * channels[-1], MOST_CHANNELS))
        n_coarse = math.ceil(n_coarse / 2)
    return channels, n_coarse


def _normalised(channels):
    return layer(nn.GroupNorm, 8, channels), nn.GELU()
