"""Layers that leave torch's global random state alone, and the linear path with a residual."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._sparse import View

__all__ = [
    "LinearResidual",
    "Seeded",
    "SeededDropout",
    "decoder",
    "drawn",
    "encoder",
    "initialise",
    "layer",
    "matmul",
    "mlp",
    "seed_dropout",
    "stretches",
]

Layer = TypeVar("Layer", bound=nn.Module)

NARROW = 16  # columns that `matmul` makes at least


def layer(kind: type[Layer], *args: Any, **options: Any) -> Layer:
    """Build a torch layer with its weights left unset, for `initialise` to set.

    Stock layers use torch's global generator when built, which would leak into the
    caller's random numbers and, between threads, into one another. A linear layer becomes one
    whose rows do not depend on their place, see `matmul`.
    """
    kind = _Linear if kind is nn.Linear else kind
    return kind(*args, device="meta", **options).to_empty(device="cpu")


def matmul(values: View, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``values @ weight.T + bias``, each row's bits the same wherever it stands.

    For a few columns only, some processors' libraries sum a row's products in an order that
    depends on the row's place in the batch: columns of zeros keep them from it.
    """
    values, n = values.to_dense(), len(weight)
    if n >= NARROW:
        return F.linear(values, weight, bias)
    weight = F.pad(weight, (0, 0, 0, NARROW - n))
    bias = None if bias is None else F.pad(bias, (0, NARROW - n))
    return F.linear(values, weight, bias)[..., :n]


class _Linear(nn.Linear):
    """A linear layer by `matmul`."""

    def forward(self, values: View, onto: Tensor | None = None) -> Tensor:
        """Map (..., before) to (..., after), to be added `onto` what has the bias already."""
        if onto is None:
            return matmul(values, self.weight, self.bias)
        sums = torch.addmm(onto.flatten(0, -2), values.flatten(0, -2), self.weight.T)
        return sums.unflatten(0, onto.shape[:-1])


class Seeded(nn.Module):
    """What uses random numbers while training: from `generator`, set by `seed_dropout`.

    The generator is that of the fit, on the device of the network; before that it is None, which
    is torch's global one.
    """

    generator: torch.Generator | None = None


class SeededDropout(Seeded):
    """Dropout that uses the generator of its fit, set by `seed_dropout`."""

    def __init__(self, share: float):
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """Zero a share of the values while training, and scale the others up."""
        if not (self.training and self.share):
            return values
        dropped = drawn(values.shape, self.share, self.generator, values.device)
        return torch.where(dropped, 0, values / (1 - self.share))


def drawn(
    shape: Sequence[int], share: float, generator: torch.Generator | None, device: torch.device
) -> Tensor:
    """Draw a bool tensor that is True with a chance of `share`, to the nearest 256th.

    One random byte per entry: eight times faster than ``bernoulli_`` on a CPU.
    """
    n = math.prod(shape)
    whole = torch.empty(-(-n // 8), dtype=torch.int64, device=device)
    whole.random_(-(2**63), None, generator=generator)
    limit = round(256 * share)
    if limit > 255:
        return torch.ones(shape, dtype=torch.bool, device=device)
    return (whole.view(torch.uint8)[:n] < limit).view(shape)


def stretches(
    n_rows: int, n: int, share: float, generator: torch.Generator | None, device: torch.device
) -> Tensor:
    """Draw for each row one stretch of `n` places, a `share` of them long: (rows, n) bool."""
    length = round(n * share)
    chance = torch.rand(n_rows, 1, generator=generator, device=device)
    first = (chance * (n - length + 1)).long()
    place = torch.arange(n, device=device)
    return (place >= first) & (place < first + length)


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers with layer norm and GELU between them."""
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(widths)):
        layers.append(layer(nn.Linear, before, after))
        if i < len(widths) - 2:
            layers += [layer(nn.LayerNorm, after), nn.GELU()]
    return nn.Sequential(*layers)


def encoder(n_view: int, width: int, dropout: float, *, first: int | None = None) -> nn.Sequential:
    """Return one hidden layer: what it finds in the view are the features.

    With `first`, it reads so many linear combinations of the view.
    """
    reader = [layer(nn.Linear, n_view, first, bias=False)] if first else []
    hidden = layer(nn.Linear, first or n_view, width)
    return nn.Sequential(*reader, hidden, nn.GELU(), SeededDropout(dropout))


class LinearResidual(nn.Module):
    """``linear(x) + residual(x)``: begins as a linear map, and can only improve on it.

    The last layer of the residual is marked ``starts_at_zero`` for `initialise`.

    Attributes
    ----------
    is_linear : bool
        Leave the residual out: it has not helped.
    """

    is_linear = False

    def __init__(self, linear: nn.Module, residual: nn.Module):
        super().__init__()
        self.linear, self.residual = linear, residual
        last_layer(residual).starts_at_zero = True

    def forward(self, values: Tensor) -> Tensor:
        """Map (..., before) to (..., after)."""
        linear = self.linear(values)
        return linear if self.is_linear else linear + self.residual(values)


class _LinearMlp(LinearResidual):
    """The same of an `mlp`, whose last product takes the linear path along.

    Outputs may be thousands of words, and to add as many numbers costs as much as a product.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Map (..., before) to (..., after)."""
        last = self.residual[-1]
        if self.is_linear or last.out_features < NARROW:
            return super().forward(values)
        linear = F.linear(values, self.linear.weight, self.linear.bias + last.bias)
        return last(self._features(values), linear)

    def some(self, values: Tensor, outputs: Tensor) -> Tensor:
        """Map (..., before) to some of the outputs alone, by their numbers."""
        weight, bias = self.linear.weight.index_select(0, outputs), self.linear.bias[outputs]
        if not self.is_linear:
            last = self.residual[-1]
            values = torch.cat([values, self._features(values)], -1)
            weight = torch.cat([weight, last.weight.index_select(0, outputs)], 1)
            bias = bias + last.bias[outputs]
        return F.linear(values, weight, bias)

    def _features(self, values: Tensor) -> Tensor:
        """Return what the last layer of the residual reads."""
        *hidden, _ = self.residual
        for part in hidden:
            values = part(values)
        return values


def decoder(
    n_components: int, width: int, n_outputs: int, *, last: int | None = None
) -> _LinearMlp:
    """Return a linear path with two hidden layers beside it, embedding to outputs.

    The last hidden layer has as many units as the first one, or `last`.
    """
    return _LinearMlp(
        layer(nn.Linear, n_components, n_outputs),
        mlp(n_components, width, last or width, n_outputs),
    )


def last_layer(module: nn.Module) -> nn.Module:
    """Return the last layer of a network that has weights."""
    return [m for m in module.modules() if isinstance(m, _DRAWN)][-1]


def seed_dropout(module: nn.Module, generator: torch.Generator) -> None:
    """Let the dropout layers of a module, and all `Seeded`, draw from a generator of its device."""
    for part in module.modules():
        if isinstance(part, Seeded):
            part.generator = generator


_DRAWN = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.Embedding,
    nn.GRU,
)


@torch.no_grad()
def initialise(
    module: nn.Module, generator: torch.Generator, *, residuals_at_zero: bool = True
) -> None:
    """Draw every weight from one generator, in the order of the modules.

    Parameters
    ----------
    module : torch.nn.Module
    generator : torch.Generator
        On the CPU, as the module is; dropout layers keep it as theirs.
    residuals_at_zero : bool, default=True
        Set the layers marked ``starts_at_zero`` to zero, so that a network begins as its linear
        path.

    Notes
    -----
    Uniform in +-1/sqrt(fan in), torch's own default for linear and convolutional layers.
    """
    seed_dropout(module, generator)
    for part in module.modules():
        if isinstance(part, nn.LayerNorm | nn.GroupNorm):
            part.reset_parameters()  # ones and zeros: nothing is drawn
        elif isinstance(part, nn.Embedding):
            part.weight.normal_(generator=generator).mul_(part.embedding_dim**-0.5)
        elif isinstance(part, _DRAWN):
            zero = residuals_at_zero and getattr(part, "starts_at_zero", False)
            for parameter in part.parameters():
                if zero:
                    parameter.zero_()
                    continue
                weight = next(part.parameters())
                fan_in = part.hidden_size if isinstance(part, nn.GRU) else weight[0].numel()
                parameter.uniform_(-(fan_in**-0.5), fan_in**-0.5, generator=generator)
