"""The network of images: dense for small ones, convolutions for large ones."""

from __future__ import annotations

import math
from collections.abc import Container

import torch
from torch import Tensor, nn

from ...nn._blocks import LinearResidual, decoder, encoder, layer, stretches
from ...nn._conv import ConvolutionalDecoder, ConvolutionalEncoder
from ...nn._modality import ModalityNetwork

__all__ = ["SMALLEST_SHARE", "ImageNetwork"]

SMALLEST_SHARE = 1e-4  # a pixel that never changes would have a null logit of infinity
RARE = 0.05  # added to a pixel's variance, so that a nearly constant one has no huge slope
DENSE = 16 * 16  # up to this many pixels linear layers are both faster and better
AUGMENTED = 0.8  # share of the pictures of a step that are augmented
LARGEST_SHIFT = 1 / 8  # of a side
CONTRAST, LIGHT, TINT = 0.2, 0.06, 0.03  # standard deviations; of the range of a pixel
ERASED = 1 / 4  # of the noise: the share of a picture that is blotted out


class ImageNetwork(ModalityNetwork):
    """Encoder, decoder and deviance of images of one size.

    Parameters
    ----------
    shape : tuple of int
        Height, width and channels.
    mean : Tensor of shape (pixels,)
        Of the pixels, ``height * width * channels`` of them.
    scale : float
        Root of the total variance over the pixels.
    low, high : float
        Range of a pixel.
    loss : {"squared", "cross-entropy"}
    augment : container of {"shift", "light", "mirror"}
        What makes new images of a step's own; only where convolutions read them.
    null_deviance : float
        Mean cross-entropy beyond the best, in nats, of the mean image; 1 for squared errors.
    n_components, width : int
    dropout : float
    """

    mean: Tensor

    def __init__(
        self,
        shape: tuple[int, int, int],
        mean: Tensor,
        *,
        scale: float,
        low: float,
        high: float,
        loss: str,
        augment: Container[str],
        null_deviance: float,
        n_components: int,
        width: int,
        dropout: float,
    ) -> None:
        n_pixels = math.prod(shape)
        super().__init__(n_pixels, n_pixels)
        self.scale, self.low, self.span = scale, low, (high - low) or 1.0
        self.null_deviance, self.augmentations = null_deviance, augment
        self.shape, self.is_small = shape, shape[0] * shape[1] <= DENSE
        self.has_link = loss == "cross-entropy"
        self.n_scales = 0 if self.has_link else 1
        self.register_buffer("mean", mean)
        if self.has_link:
            share = self._share(mean).clamp(SMALLEST_SHARE, 1 - SMALLEST_SHARE)
            self.null_outputs.copy_(share.logit())
        if self.is_small:
            self.encoder = encoder(n_pixels, width, dropout)
            self.decoder = decoder(n_components, width, n_pixels)
        else:
            self.encoder = ConvolutionalEncoder(shape, width, dropout)
            self.decoder = LinearResidual(
                layer(nn.Linear, n_components, n_pixels),
                ConvolutionalDecoder(shape, n_components, dropout),
            )

    def view(self, tensors: dict[str, Tensor]) -> Tensor:
        """Return the centred pixels, (rows, pixels), of total variance 1; 0 where missing."""
        view = (tensors["pixels"] - self.mean).div_(self.scale)  # no copy: images are large
        return _where_observed(view, tensors)

    def observed(self, tensors: dict[str, Tensor]) -> Tensor | None:
        """Return which pixels are observed, or None where all of a present row are."""
        return tensors.get("observed")

    def augment(self, tensors: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Return the images of a step, most of them shifted, lit otherwise or mirrored."""
        if self.is_small or not self.augmentations:
            return tensors
        n, device = len(tensors["pixels"]), tensors["pixels"].device
        chosen = torch.rand(n, generator=generator, device=device) < AUGMENTED
        row, column = self._places(torch.rand(3, n, generator=generator, device=device))
        which = torch.arange(n, device=device)[:, None, None]
        augmented = dict(tensors)
        for name in ("pixels", "observed"):
            if name in tensors:
                moved = tensors[name].unflatten(1, self.shape)[which, row, column]
                if name == "pixels" and "light" in self.augmentations:
                    moved = self._lit(moved, generator)
                augmented[name] = torch.where(chosen[:, None], moved.flatten(1), tensors[name])
        return augmented

    def _places(self, chance: Tensor) -> tuple[Tensor, Tensor]:
        """Return from which row and column each pixel of a shifted or mirrored image comes."""
        places = []
        for side, draw in zip(self.shape[:2], chance, strict=False):
            most = int(side * LARGEST_SHIFT) if "shift" in self.augmentations else 0
            shift = (draw * (2 * most + 1)).long() - most
            place = torch.arange(side, device=draw.device) - shift[:, None]
            places.append(place.clamp(0, side - 1))  # the border is drawn out
        if "mirror" in self.augmentations:
            mirrored = (chance[2] < 0.5)[:, None]
            places[1] = torch.where(mirrored, self.shape[1] - 1 - places[1], places[1])
        return places[0][:, :, None], places[1][:, None, :]

    def _lit(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Return images of another contrast, light and tint, within the range of a pixel."""
        n, channels = len(pictures), self.shape[2]
        draw = torch.empty(n, 1, 1, channels + 2, device=pictures.device)
        draw.normal_(generator=generator)
        contrast, light, tint = draw.split([1, 1, channels], -1)
        pictures = pictures.float()
        mean = pictures.mean((1, 2, 3), keepdim=True)
        lit = mean + (pictures - mean) * (1 + CONTRAST * contrast)
        lit = lit + self.span * (LIGHT * light + TINT * tint)
        return lit.clamp(self.low, self.low + self.span)

    def corrupt(self, view: Tensor, noise: float, generator: torch.Generator) -> Tensor:
        """Return small views with noise added, large ones with a rectangle blotted out."""
        if self.is_small:
            return super().corrupt(view, noise, generator)
        share = min(ERASED * noise, 1.0) ** 0.5
        rows, columns = (
            stretches(len(view), side, share, generator, view.device) for side in self.shape[:2]
        )
        erased = rows[:, :, None, None] & columns[:, None, :, None]
        return torch.where(erased, 0, view.unflatten(1, self.shape)).flatten(1)

    def encode(self, view: Tensor) -> Tensor:
        """Return the features of a view; the layers see pixels of variance 1."""
        return self.encoder(view * self.n_view**0.5)

    def decode(self, code: Tensor) -> Tensor:
        """Return pixels in units of the view, or logits."""
        outputs = self.decoder(code)
        return outputs if self.has_link else outputs * self.n_view**-0.5

    def deviance(self, outputs: Tensor, tensors: dict[str, Tensor]) -> Tensor:
        """Return squared errors or Kullback-Leibler divergences, summed over observed pixels."""
        if not self.has_link:
            return _where_observed(outputs - self.view(tensors), tensors).square().sum(-1)
        share = self._share(tensors["pixels"].float()).clamp(0, 1)
        best = torch.xlogy(share, share) + torch.xlogy(1 - share, 1 - share)
        return _where_observed(self._nats(outputs, share) + best, tensors).sum(-1) / (
            self.null_deviance
        )

    def _nats(self, outputs: Tensor, share: Tensor) -> Tensor:
        """Return the cross-entropies of pixels as shares of their range."""
        return nn.functional.softplus(outputs) - outputs * share

    def count_numbers(self, tensors: dict[str, Tensor]) -> Tensor:
        """Return how many pixels of each row are observed."""
        ones = torch.ones_like(tensors["pixels"], dtype=torch.float32)
        return _where_observed(ones, tensors).sum(-1)

    def log_likelihood(
        self, outputs: Tensor, tensors: dict[str, Tensor], log_scale: Tensor
    ) -> Tensor:
        """Return Gaussian log densities, or Bernoulli ones of pixels as shares of their range."""
        if not self.has_link:
            return super().log_likelihood(outputs, tensors, log_scale)
        share = self._share(tensors["pixels"].float()).clamp(0, 1)
        return -_where_observed(self._nats(outputs, share), tensors).sum(-1)

    def log_volume(self, tensors: dict[str, Tensor]) -> Tensor | float:
        """Return the log of the unit of the noise in those of a pixel, for each observed one."""
        if self.has_link:
            return 0.0
        return self.count_numbers(tensors) * math.log(self.scale / self.view_unit)

    @torch.no_grad()
    def start(self, weight: Tensor) -> None:
        """Set the linear path: pixels directly, logits by their slope at the mean image."""
        linear = self.decoder.linear
        if self.has_link:
            linear.weight.copy_((weight.T * self._slope()).T)
            linear.bias.copy_(self.null_outputs)
        else:
            linear.weight.copy_(weight * self.n_view**0.5)
            linear.bias.zero_()

    def link(self, view: Tensor) -> Tensor:
        """Return pixels in units of the view, or logits by their slope at the mean image."""
        return self.null_outputs + view * self._slope() if self.has_link else view

    def _slope(self) -> Tensor:
        """Return what a unit of each pixel of the view adds to its logit."""
        share = self.null_outputs.sigmoid()
        return self.gain * (self.scale / self.span / (share * (1 - share) + RARE))

    def predict(self, outputs: Tensor) -> Tensor:
        """Return pixels in their own units, within the range seen in training."""
        if self.has_link:
            return self.low + self.span * outputs.sigmoid()
        pixels = outputs * self.scale + self.mean
        return pixels.clamp(self.low, self.low + self.span)

    def _share(self, pixels: Tensor) -> Tensor:
        return (pixels - self.low) / self.span


def _where_observed(values: Tensor, tensors: dict[str, Tensor]) -> Tensor:
    """Return values (..., rows, pixels), 0 where the batch holds nothing."""
    if "present" in tensors:
        values = torch.where(tensors["present"][:, None], values, 0)
    if "observed" in tensors:
        values = torch.where(tensors["observed"], values, 0)
    return values
