"""The network of what goes on in time: a number of steps, each of some channels, and how many."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor, nn

from ._blocks import LinearResidual, SeededDropout, decoder, encoder, layer, stretches
from ._conv import doubling, halving, pyramid
from ._modality import ModalityNetwork

__all__ = ["PaddedNetwork", "StepsNetwork", "temporal_layers"]

LENGTH_SHARE = 0.05  # of a row's variance that its length stands for, where lengths differ
DENSE = 256  # up to this many numbers linear layers are both faster and better


class StepsNetwork(ModalityNetwork):
    """Encoder, decoder and deviance of sequences, brought to one number of steps.

    A row arrives as ``steps`` (rows, n_steps, n_channels), 0 where missing; ``length`` (rows,), how
    many of the steps are the row's own, the others are padding, and 0 where the row is missing;
    ``observed``, shaped as the steps, where some of a row's own numbers are missing. The view is
    the centred steps, flat, and last the logarithm of the length.

    Parameters
    ----------
    mean : Tensor of shape (n_steps, n_channels)
        Over the rows in which a number is observed.
    encoder, decoder : torch.nn.Module
        Of the view and of the embedding.
    longest : int
        The most steps that a row is predicted to have.
    scale : float
        Root of the mean over the rows of the sum of squares of the centred numbers.
    log_length, log_length_scale : float
        Mean and standard deviation over the rows; a deviation of 0 says that all are alike, and
        the length then counts for nothing.
    mask : float
        Share of the steps that `corrupt` hides, in one stretch.
    """

    mean: Tensor

    def __init__(
        self,
        mean: Tensor,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        longest: int,
        scale: float,
        log_length: float,
        log_length_scale: float,
        mask: float,
    ) -> None:
        n_view = mean.numel() + 1
        super().__init__(n_view, n_view)
        self.n_steps, self.n_channels = mean.shape
        self.longest, self.log_length, self.mask = longest, log_length, mask
        share = LENGTH_SHARE if log_length_scale else 0.0
        # Units of the steps, and of the logarithm of the length, in one of the view.
        self.step_unit = scale / (1 - share) ** 0.5
        self.length_unit = log_length_scale / share**0.5 if share else 0.0
        self.register_buffer("mean", mean.flatten())
        self.encoder, self.decoder = encoder, decoder

    @abstractmethod
    def flat_steps(self, tensors: dict[str, Tensor]) -> Tensor:
        """Return the steps, (rows, n_steps * n_channels) float32."""

    @abstractmethod
    def within(self, tensors: dict[str, Tensor]) -> Tensor:
        """Return which numbers of the flat steps are no padding, bool."""

    @abstractmethod
    def hidden(self, n_rows: int, generator: torch.Generator) -> Tensor:
        """Draw what `corrupt` hides, (rows, n_steps, n_channels) bool, or broadcast to that."""

    def view(self, tensors: dict[str, Tensor]) -> Tensor:
        """Return the centred steps and the length, of total variance 1, 0 where missing."""
        steps = (self.flat_steps(tensors) - self.mean) / self.step_unit
        length = tensors["length"].clamp_min(1).float().log() - self.log_length
        length = length / self.length_unit if self.length_unit else torch.zeros_like(length)
        view = torch.cat([steps, length[:, None]], 1)
        return torch.where(self._known(tensors), view, 0)

    def observed(self, tensors: dict[str, Tensor]) -> Tensor | None:
        """Return which numbers of the view are observed, or None where all are.

        Padding is none: as zeros it draws the linear start to the steps that many rows have; with
        as much weight for the few longest rows' ends, it would be far worse.
        """
        if "observed" not in tensors:
            return None
        observed = tensors["observed"].flatten(1) | ~self.within(tensors)
        return nn.functional.pad(observed, (0, 1), value=True)

    def _known(self, tensors: dict[str, Tensor]) -> Tensor:
        """Return which numbers of the view are the row's own, and observed."""
        own = self.within(tensors)
        if "observed" in tensors:
            own = own & tensors["observed"].flatten(1)
        return torch.cat([own, tensors["length"][:, None] > 0], 1)

    def corrupt(self, view: Tensor, noise: float, generator: torch.Generator) -> Tensor:
        """Return the view with noise added, and `hidden` steps at their means."""
        if noise and self.mask:
            steps = view[:, :-1].unflatten(1, (self.n_steps, self.n_channels))
            shown = torch.where(self.hidden(len(view), generator), 0, steps)
            view = torch.cat([shown.flatten(1), view[:, -1:]], 1)
        return super().corrupt(view, noise, generator)

    def hidden_steps(self, n_rows: int, generator: torch.Generator) -> Tensor:
        """Draw a stretch of each row's steps, `mask` of them, (rows, n_steps, 1) bool."""
        device = self.mean.device
        return stretches(n_rows, self.n_steps, self.mask, generator, device)[:, :, None]

    def encode(self, view: Tensor) -> Tensor:
        """Return the features of a view; the layers see numbers of variance 1."""
        return self.encoder(view * self.n_view**0.5)

    def decode(self, code: Tensor) -> Tensor:
        """Return steps and length in units of the view."""
        return self.decoder(code) * self.n_view**-0.5

    def deviance(self, outputs: Tensor, tensors: dict[str, Tensor]) -> Tensor:
        """Return squared errors, summed over what is observed."""
        error = outputs - self.view(tensors)
        return torch.where(self._known(tensors), error, 0).square().sum(-1)

    def count_numbers(self, tensors: dict[str, Tensor]) -> Tensor:
        """Return how many numbers of each row's steps are known, and its length if that varies."""
        known = self._known(tensors)
        return (known if self.length_unit else known[:, :-1]).sum(-1).float()

    def log_volume(self, tensors: dict[str, Tensor]) -> Tensor:
        """Return the log of the unit of the noise in those of the steps, for each known number."""
        known = self._known(tensors)
        volume = known[:, :-1].sum(-1) * math.log(self.step_unit / self.view_unit)
        if self.length_unit:
            volume = volume + known[:, -1] * math.log(self.length_unit / self.view_unit)
        return volume

    @torch.no_grad()
    def start(self, weight: Tensor) -> None:
        """Set the linear path."""
        self.decoder.linear.weight.copy_(weight * self.n_view**0.5)
        self.decoder.linear.bias.zero_()

    def link(self, view: Tensor) -> Tensor:
        """Return steps and length in units of the view, as `decode` does."""
        return view

    def predict(self, outputs: Tensor) -> Tensor:
        """Return steps in their own units, (rows, n_steps * n_channels), and last the length."""
        steps = outputs[:, :-1] * self.step_unit + self.mean
        length = (outputs[:, -1:] * self.length_unit + self.log_length).exp()
        return torch.cat([steps, length.round().clamp(1, self.longest)], 1)


class PaddedNetwork(StepsNetwork):
    """A `StepsNetwork` of rows that are as they are, padded at their ends."""

    def flat_steps(self, tensors: dict[str, Tensor]) -> Tensor:
        """Return the steps, (rows, n_steps * n_channels) float32."""
        return tensors["steps"].flatten(1).float()

    def within(self, tensors: dict[str, Tensor]) -> Tensor:
        """Return which numbers of the flat steps are no padding, bool."""
        places = torch.arange(self.n_steps, device=self.mean.device)
        within = places < tensors["length"][:, None]
        return within.repeat_interleave(self.n_channels, 1)

    def hidden(self, n_rows: int, generator: torch.Generator) -> Tensor:
        """Draw a stretch of each row's steps, (rows, n_steps, 1) bool."""
        return self.hidden_steps(n_rows, generator)


def temporal_layers(
    shape: tuple[int, int], n_components: int, width: int, dropout: float
) -> tuple[nn.Module, nn.Module]:
    """Return encoder and decoder of a number of steps, each of some channels."""
    n_view = math.prod(shape) + 1
    if n_view <= DENSE:
        return encoder(n_view, width, dropout), decoder(n_components, width, n_view)
    linear = layer(nn.Linear, n_components, n_view)
    return (
        TemporalEncoder(shape, width, dropout),
        LinearResidual(linear, TemporalDecoder(shape, n_components, dropout)),
    )


class TemporalEncoder(nn.Module):
    """Convolutions over time: (..., steps * channels + 1) to (..., width)."""

    def __init__(self, shape: tuple[int, int], width: int, dropout: float) -> None:
        super().__init__()
        self.shape = shape
        n_steps, n_channels = shape
        channels, (n_coarse,) = pyramid([n_steps])
        self.layers = nn.Sequential(
            nn.ZeroPad1d((2, 2 + -n_steps % 4)),
            *halving(nn.Conv1d, n_channels, channels, patch=8),
            nn.Flatten(),
            SeededDropout(dropout),
        )
        self.head = layer(nn.Linear, channels[-1] * n_coarse + 1, width)

    def forward(self, view: Tensor) -> Tensor:
        """Map the view to features; the length joins at the last layer."""
        flat = view.reshape(-1, view.shape[-1])
        steps = flat[:, :-1].unflatten(1, self.shape).mT.contiguous()
        features = self.head(torch.cat([self.layers(steps), flat[:, -1:]], 1))
        return features.reshape(*view.shape[:-1], -1)


class TemporalDecoder(nn.Module):
    """The encoder's mirror image: (..., components) to (..., steps * channels + 1)."""

    def __init__(self, shape: tuple[int, int], n_components: int, dropout: float) -> None:
        super().__init__()
        self.shape = shape
        channels, (n_coarse,) = pyramid(shape[:1])
        n_hidden = channels[-1] * n_coarse
        self.first = nn.Sequential(
            layer(nn.Linear, n_components, n_hidden), nn.GELU(), SeededDropout(dropout)
        )
        self.length = layer(nn.Linear, n_hidden, 1)
        self.length.starts_at_zero = True
        self.layers = nn.Sequential(
            nn.Unflatten(1, (channels[-1], n_coarse)),
            *doubling(nn.ConvTranspose1d, channels, shape[1]),
        )

    def forward(self, code: Tensor) -> Tensor:
        """Map embeddings to steps, and last the length."""
        hidden = self.first(code.reshape(-1, code.shape[-1]))
        steps = self.layers(hidden)[..., : self.shape[0]].mT.flatten(1)
        outputs = torch.cat([steps, self.length(hidden)], 1)
        return outputs.reshape(*code.shape[:-1], -1)
