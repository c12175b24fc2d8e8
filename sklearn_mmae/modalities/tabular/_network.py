"""The network of a table: numbers by squared error, categories by cross-entropy."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from ...nn._blocks import decoder, drawn, encoder
from ...nn._modality import ModalityNetwork

__all__ = ["TabularNetwork"]

LEAST_LEFT = 0.1  # share of the variance of indicators, or odds would be certain
RARE = 0.05  # added to a category's share, so that a rare one cannot start with a huge slope


class TabularNetwork(ModalityNetwork):
    """Encoder, decoder and deviance of numbers and categories.

    Each column has the same weight: a number is scaled to variance 1, the indicators of a
    categorical column together to variance 1 in the view; a squared error is counted in units
    of the variance, a cross-entropy in units of the column's entropy.

    Parameters
    ----------
    mean, scale : Tensor of shape (numbers,)
        Of the raw numbers.
    counts : list of Tensor
        How often the training rows have each column's categories.
    weight : float
        Columns that a row has observed on average and that vary at all.
    mask : float
        Share of the cells that `corrupt` hides.
    n_components, width : int
    dropout : float
    """

    is_table = True

    def __init__(self, mean, scale, counts, weight, mask, n_components, width, dropout):
        shares = [count / count.sum().clamp_min(1) for count in counts]
        sizes = [len(share) for share in shares]
        n_outputs = len(mean) + sum(sizes)
        super().__init__(n_outputs, n_outputs)
        self.n_numbers, self.sizes, self.weight, self.mask = len(mean), sizes, weight, mask
        self.has_link, self.n_scales = bool(sizes), len(mean)
        self.register_buffer("mean", mean)
        self.register_buffer("inverse_scale", 1 / scale)
        share = torch.cat([mean.new_zeros(0), *shares])
        self.register_buffer("share", share)
        self.register_buffer("first", torch.tensor([0, *sizes[:-1]]).cumsum(0)[: len(sizes)])
        scales = [
            _indicator_scale(count, share) for count, share in zip(counts, shares, strict=True)
        ]
        self.register_buffer("indicator_scale", torch.cat([mean.new_zeros(0), *scales]))
        entropy = [-(s * s.clamp_min(1e-30).log()).sum() for s in shares]
        # A column of one category says nothing, and has no entropy to divide by.
        self.register_buffer(
            "entropy_weight", torch.tensor([1 / float(h) if h > 1e-9 else 0.0 for h in entropy])
        )
        self.null_outputs[self.n_numbers :] = share.clamp_min(1e-6).log()
        self.encoder = encoder(self.n_view, width, dropout)
        self.decoder = decoder(n_components, width, n_outputs)

    @property
    def n_cells(self):
        """Columns of the table."""
        return self.n_numbers + len(self.sizes)

    def numbers(self, tensors):
        """Return the standardised numbers of a batch; where missing, what is likely."""
        if "raw" in tensors:
            return (tensors["raw"] - self.mean) * self.inverse_scale
        return tensors["numbers"]

    def view(self, tensors):
        """Return numbers and centred indicators, of total variance 1, likely ones where missing."""
        parts = [self.numbers(tensors)] if self.n_numbers else []
        if self.sizes:
            codes = tensors["codes"].long()
            hole = codes < 0
            n_indicators = len(self.share)
            place = torch.where(hole, n_indicators, codes + self.first)
            indicator = self.share.new_zeros(codes.shape[0], n_indicators + 1).scatter_(
                1, place, 1.0
            )
            likely = tensors.get("expected", self.share)
            indicator = torch.where(self._spread(hole), likely, indicator[:, :-1])
            parts.append((indicator - self.share) * self.indicator_scale)
        view = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
        return view * self.weight**-0.5

    def corrupt(self, view, noise, generator):
        """Return the view with noise added, a share `mask` of the cells at their means."""
        if noise and self.mask:
            shape = (len(view), self.n_numbers + len(self.sizes))
            hidden = drawn(shape, self.mask, generator, view.device)
            parts = [hidden[:, : self.n_numbers]]
            if self.sizes:
                parts.append(self._spread(hidden[:, self.n_numbers :]))
            view = torch.where(torch.cat(parts, 1), 0, view)
        return super().corrupt(view, noise, generator)

    def _spread(self, per_column):
        """Repeat one value per categorical column for each of its categories."""
        return torch.cat(
            [per_column[:, i : i + 1].expand(-1, n) for i, n in enumerate(self.sizes)], 1
        )

    def observed(self, tensors):
        """Return which numbers and indicators are observed, or None where all are."""
        parts = []
        if self.n_numbers:
            rows = len(next(iter(tensors.values())))
            everything = self.mean.new_ones(1, dtype=torch.bool).expand(rows, self.n_numbers)
            parts.append(tensors.get("observed", everything))
        if self.sizes:
            parts.append(self._spread(tensors["codes"] >= 0))
        observed = torch.cat(parts, 1)
        return None if "observed" not in tensors and observed.all() else observed

    def encode(self, view):
        """Return the features of a view; the layers see numbers of variance 1."""
        return self.encoder(view * self.view_unit)

    def _squares(self, outputs, tensors):
        """Return the squared errors of the numbers, 0 where missing, (..., rows, numbers)."""
        error = outputs[..., : self.n_numbers] - self.numbers(tensors)
        if "observed" in tensors:
            error = error * tensors["observed"]  # both finite: holes hold 0
        return error.square()

    def _nats(self, outputs, tensors):
        """Return the cross-entropy of each categorical column, 0 where missing, one by one."""
        if not self.sizes:
            return
        for i, logits in enumerate(outputs[..., self.n_numbers :].split(self.sizes, -1)):
            codes = tensors["codes"][:, i].long()
            target = codes.clamp_min(0).expand(logits.shape[:-1])
            nats = -F.log_softmax(logits, -1).gather(-1, target[..., None])[..., 0]
            yield nats * (codes >= 0)

    def deviance(self, outputs, tensors):
        """Return squared errors and cross-entropies per row, each column in its own units."""
        total = self._squares(outputs, tensors).sum(-1) if self.n_numbers else 0
        for nats, weight in zip(self._nats(outputs, tensors), self.entropy_weight, strict=False):
            total = total + nats * weight
        return total / self.weight

    @property
    def view_unit(self):
        """One unit of the view in standard deviations of a number."""
        return self.weight**0.5

    def scale_of_view(self):
        """Return a noise scale for each number, and none for the indicators."""
        n = self.n_numbers
        none = torch.full((len(self.share),), n)
        return torch.cat([torch.arange(n), none])

    def log_likelihood(self, outputs, tensors, log_scale):
        """Return Gaussian log densities of the numbers and log probabilities of the categories."""
        total = 0
        if self.n_numbers:
            squares = self._squares(outputs, tensors) * (-2 * log_scale).exp()
            normal = log_scale + 0.5 * math.log(2 * math.pi)
            if "observed" in tensors:
                normal = normal * tensors["observed"]
            total = -(0.5 * squares + normal).sum(-1)
        for nats in self._nats(outputs, tensors):
            total = total - nats
        return total

    def log_volume(self, tensors):
        """Return the sum of the logarithms of the observed numbers' standard deviations."""
        log_scales = -self.inverse_scale.log()
        if "observed" in tensors:
            log_scales = log_scales * tensors["observed"]
        return log_scales.sum(-1)

    def draw(self, outputs, log_scale, generator):
        """Return numbers with their noise; a drawn category has a logit, the others none."""
        numbers, *logits = outputs.split([self.n_numbers, *self.sizes], -1)
        noise = torch.empty_like(numbers).normal_(generator=generator)
        parts = [numbers + noise * log_scale.exp()]
        for one in logits:
            uniform = torch.rand(one.shape, generator=generator, device=one.device)
            # The largest of logits with Gumbel noise is a draw from their softmax.
            drawn = (one - (-uniform.clamp_min(1e-30).log()).log()).argmax(-1, keepdim=True)
            parts.append(torch.zeros_like(one).scatter_(-1, drawn, 1.0))
        return self.predict(torch.cat(parts, -1))

    def expected_gain(self, weight):
        """Return the gain of linear discriminants, by how much of the indicators is explained [1]_.

        Regressed on its indicator, two normal classes are told apart by a slope of the log odds
        that is ``1 / (1 - R2)`` of that at the mean.

        References
        ----------
        .. [1] Hastie, Tibshirani & Friedman (2009), "The elements of statistical learning", 2nd
           ed., ch. 4.
        """
        own = self.indicator_scale.square() * self.share * (1 - self.share)
        explained = weight[self.n_numbers :].square().sum() * self.weight / own.sum()
        return float(1 / (1 - explained).clamp_min(LEAST_LEFT))

    def start(self, weight):
        """Set the linear path: numbers directly, logits by the slope of log p at the mean."""
        with torch.no_grad():
            linear = self.decoder.linear
            linear.weight.copy_(self._added(weight.T).T)
            linear.bias.copy_(self.null_outputs)

    def link(self, view):
        """Return numbers as they are, logits by the slope of log p at the mean."""
        return self.null_outputs + self._added(view)

    def _added(self, view):
        """Return what a view adds to the outputs of the best constant."""
        unit = torch.where(self.indicator_scale > 0, self.indicator_scale, torch.inf)
        slope = self.gain / (unit * (self.share + RARE))
        return view * self.view_unit * torch.cat([self.mean.new_ones(self.n_numbers), slope])


def _indicator_scale(counts, shares):
    """Return what centred indicators are multiplied by: together they have variance 1.

    What a single row has is not shown, and what few rows have is shown less: they would have a
    component to themselves.
    """
    others = counts.sum() - counts.amax()  # one odd row shows in the usual category, too
    trust = 1 - 1 / counts.clamp_min(1) if others > 1 else torch.zeros_like(counts)
    return trust * (trust**2 * shares * (1 - shares)).sum().clamp_min(1e-12).rsqrt()
