"""The network of pictures: dense for small ones, convolutions for large ones."""

from __future__ import annotations

import math

import torch
from torch import nn

from ._blocks import LinearResidual, decoder, encoder, layer
from ._conv import ConvolutionalDecoder, ConvolutionalEncoder
from ._modality import ModalityNetwork

__all__ = ["SMALLEST_SHARE", "ImageNetwork"]

SMALLEST_SHARE = 1e-4  # a pixel that never changes would have a null logit of infinity
RARE = 0.05  # added to a pixel's variance, so that a nearly constant one has no huge slope
DENSE = 16 * 16  # up to this many pixels linear layers are both faster and better


class ImageNetwork(ModalityNetwork):
    """Encoder, decoder and deviance of pictures of one size.

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
    null_deviance : float
        Mean cross-entropy beyond the best, in nats, of the mean picture; 1 for squared errors.
    n_components, width : int
    dropout : float
    """

    def __init__(
        self,
        shape,
        mean,
        *,
        scale,
        low,
        high,
        loss,
        null_deviance,
        n_components,
        width,
        dropout,
    ):
        n_pixels = math.prod(shape)
        super().__init__(n_pixels, n_pixels)
        self.scale, self.low, self.span = scale, low, (high - low) or 1.0
        self.null_deviance = null_deviance
        self.has_link = loss == "cross-entropy"
        self.register_buffer("mean", mean)
        if self.has_link:
            share = self._share(mean).clamp(SMALLEST_SHARE, 1 - SMALLEST_SHARE)
            self.null_outputs.copy_(share.logit())
        if shape[0] * shape[1] <= DENSE:
            self.encoder = encoder(n_pixels, width, dropout)
            self.decoder = decoder(n_components, width, n_pixels)
        else:
            self.encoder = ConvolutionalEncoder(shape, width, dropout)
            self.decoder = LinearResidual(
                layer(nn.Linear, n_components, n_pixels),
                ConvolutionalDecoder(shape, n_components, dropout),
            )

    def view(self, tensors):
        """Return the centred pixels, (rows, pixels), of total variance 1; 0 in the holes."""
        view = (tensors["pixels"].float() - self.mean) / self.scale
        return _where_observed(view, tensors)

    def observed(self, tensors):
        """Return which pixels are observed, or None where all of a present row are."""
        return tensors.get("observed")

    def encode(self, view):
        """Return the features of a view; the layers see pixels of variance 1."""
        return self.encoder(view * self.n_view**0.5)

    def decode(self, code):
        """Return pixels in units of the view, or logits."""
        outputs = self.decoder(code)
        return outputs if self.has_link else outputs * self.n_view**-0.5

    def deviance(self, outputs, tensors):
        """Return squared errors or Kullback-Leibler divergences, summed over observed pixels."""
        if not self.has_link:
            return _where_observed(outputs - self.view(tensors), tensors).square().sum(-1)
        share = self._share(tensors["pixels"].float()).clamp(0, 1)
        best = torch.xlogy(share, share) + torch.xlogy(1 - share, 1 - share)
        nats = nn.functional.softplus(outputs) - outputs * share + best
        return _where_observed(nats, tensors).sum(-1) / self.null_deviance

    @torch.no_grad()
    def start(self, weight):
        """Set the linear path: pixels directly, logits by their slope at the mean picture."""
        linear = self.decoder.linear
        if self.has_link:
            share = self.null_outputs.sigmoid()
            slope = self.scale / self.span / (share * (1 - share) + RARE)
            linear.weight.copy_(weight * (self.gain * slope)[:, None])
            linear.bias.copy_(self.null_outputs)
        else:
            linear.weight.copy_(weight * self.n_view**0.5)
            linear.bias.zero_()

    def predict(self, outputs):
        """Return pixels in their own units, within the range seen in training."""
        if self.has_link:
            return self.low + self.span * outputs.sigmoid()
        pixels = outputs * self.scale + self.mean
        return pixels.clamp(self.low, self.low + self.span)

    def _share(self, pixels):
        return (pixels - self.low) / self.span


def _where_observed(values, tensors):
    """Return values (..., rows, pixels), 0 where the batch holds nothing."""
    if "present" in tensors:
        values = torch.where(tensors["present"][:, None], values, 0)
    if "observed" in tensors:
        values = torch.where(tensors["observed"], values, 0)
    return values
