"""`ModalityNetwork`: what the joint network asks of each modality."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ._blocks import LinearResidual
from ._sparse import View

__all__ = ["ModalityNetwork"]

WORTH_OF_WORDS = 16  # numbers, for the linear start of what has no noise scale


class ModalityNetwork(nn.Module, ABC):
    """Encoder, decoder and deviance of one modality, built by `Modality.network`.

    A batch arrives as the modality's own dict of tensors, rows first. Everything else speaks of
    three flat things:

    - the *view*: the row as centred numbers of total variance 1, zero where nothing was
      observed, or what the row's other numbers make likely there. The linear start (PCA,
      regressions) works on it, and the encoder reads it.
    - the *features*: what the encoder makes of the view, for the fusion.
    - the *outputs*: the parameters of the modality's distribution, from the decoder.

    Attributes
    ----------
    n_view, n_outputs : int
        Columns of the view and of the outputs.
    null_outputs : Tensor of shape (n_outputs,)
        A buffer: the outputs of the best constant prediction.
    gain : Tensor of shape ()
        A buffer: how steeply `start` lets the linear path drive the outputs. Chosen from the data
        where the outputs are not in the units of the view (logits), else 1.
    n_scales : int
        Noise scales of `log_likelihood`: 1, unless the subclass has none or several.
    is_table : bool
        Whether outputs are numbers, `n_numbers` of them, then logits of categories, `sizes` of
        them: those that intervals and probabilities are calibrated for.
    has_link : bool
        Whether outputs are in other units than the view, so that `gain` matters.
    may_estimate : bool
        Whether a step may estimate the deviance of a row by what else is in its batch. Not where
        each row's part is to be told apart.
    encoder, decoder : torch.nn.Module
        Set by the subclass: view (..., n_view) to features (..., width), and embedding
        (..., n_components) to outputs.
    """

    encoder: nn.Module
    decoder: nn.Module
    null_outputs: Tensor
    gain: Tensor
    n_scales: int = 1
    is_table: bool = False
    has_link: bool = False
    may_estimate: bool = True

    def __init__(self, n_view: int, n_outputs: int):
        super().__init__()
        self.n_view, self.n_outputs = n_view, n_outputs
        self.register_buffer("null_outputs", torch.zeros(n_outputs))
        self.register_buffer("gain", torch.ones(()))

    @property
    def n_cells(self) -> int:
        """Numbers, choices and texts of a row, by which it is known whether private rows suffice.

        Default: `n_view`.
        """
        return self.n_view

    @property
    def largest(self) -> int:
        """Numbers to a row in the largest tensor of a deviance or prediction; default: `n_view`."""
        return self.n_view

    @abstractmethod
    def view(self, tensors: dict[str, Tensor]) -> View:
        """Return the centred numbers of a batch, (rows, n_view), zero for a missing row."""

    def observed(self, tensors: dict[str, Tensor]) -> Tensor | None:
        """Return which numbers of the view are observed, (rows, n_view) bool, for the linear start.

        Default: None, for modalities whose present rows have no missing values.
        """
        return None

    @abstractmethod
    def deviance(self, outputs: Tensor, tensors: dict[str, Tensor]) -> Tensor:
        """Return how far the outputs are from a batch, per row.

        Parameters
        ----------
        outputs : Tensor of shape (..., rows, n_outputs)
            Leading dimensions (several embeddings of the same rows) broadcast against the batch.
        tensors : dict of Tensor

        Returns
        -------
        Tensor of shape (..., rows)
            0 is perfect; scaled so that `null_outputs` has mean 1 over the training rows. Only
            observed cells count, and missing ones never reach a gradient.
        """

    def decoded_deviance(self, code: Tensor, tensors: dict[str, Tensor]) -> Tensor:
        """Return the deviance of what is decoded from embeddings.

        While training, an estimate will do if it is cheaper. Default: the deviance itself.

        Parameters
        ----------
        code : Tensor of shape (..., rows, n_components)
        tensors : dict of Tensor

        Returns
        -------
        Tensor of shape (..., rows)
        """
        return self.deviance(self.decode(code), tensors)

    @abstractmethod
    def start(self, weight: Tensor) -> None:
        """Set the decoder's linear path.

        Parameters
        ----------
        weight : Tensor of shape (n_view, n_components)
            The linear start: ``view ~ weight @ embedding``.
        """

    def expected_gain(self, weight: Tensor) -> float:
        """Return the `gain` that the linear start itself makes likely, where rows may not be asked.

        Parameters
        ----------
        weight : Tensor of shape (n_view, n_components)
            As of `start`.
        """
        return 1.0

    def link(self, view: Tensor) -> Tensor | None:
        """Return the outputs that stand for predicted views, (..., n_view) to (..., n_outputs).

        Linear, as `start` makes the decoder's path: what regressions predict of a view counts
        beside the network's own outputs. Default: None, for modalities that have no such outputs.
        """
        return None

    def encode(self, view: Tensor) -> Tensor:
        """Return the features of a view, (rows, n_view) to (rows, width)."""
        return self.encoder(view)

    @torch.no_grad()
    def keep_linear(self, is_linear: bool) -> None:
        """Leave the decoder its linear path alone, or let it learn more again."""
        for part in self.modules():
            if isinstance(part, LinearResidual):
                part.is_linear = is_linear
            if is_linear and getattr(part, "starts_at_zero", False):
                for parameter in part.parameters():
                    parameter.zero_()

    def decode(self, code: Tensor) -> Tensor:
        """Return the outputs for embeddings, (..., n_components) to (..., n_outputs)."""
        return self.decoder(code)

    @torch.no_grad()
    def loadings(self, n_components: int) -> Tensor:
        """Return what a unit of each component adds to the outputs, (n_outputs, n_components).

        Default: the weights of the decoder's linear path; without one, what the decoder makes of
        one component alone.
        """
        if isinstance(self.decoder, LinearResidual):
            return self.decoder.linear.weight
        codes = torch.eye(n_components, device=self.gain.device)
        return (self.decode(codes) - self.decode(torch.zeros_like(codes))).T

    def predict(self, outputs: Tensor) -> Tensor:
        """Return outputs, (rows, n_outputs), as what `Modality.inverse_transform` takes.

        Default: the outputs as they are. Returns a tensor, rows first.
        """
        return outputs

    def augment(self, tensors: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Return other rows that might as well have been seen, to learn from in a step.

        Parameters
        ----------
        tensors : dict of Tensor
        generator : torch.Generator

        Returns
        -------
        dict of Tensor
            Of the same shapes; default: the rows themselves.
        """
        return tensors

    # What a variational autoencoder asks for besides ------------------------------------------

    @property
    def view_unit(self) -> float:
        """One unit of the view in units of the noise: those in which a number has variance 1."""
        return self.n_view**0.5

    @property
    def worth(self) -> float:
        """How many numbers a row is worth in the loss: those with noise, or what words are."""
        return float(self.view_unit) ** 2 if self.n_scales else WORTH_OF_WORDS

    @property
    def repeats(self) -> float:
        """How often the view says what one number would: linear noise is so many times as large."""
        return 1.0 if self.n_scales else max(1.0, self.n_view / self.worth)

    def scale_of_view(self) -> Tensor:
        """Return which noise scale each column of the view has, (n_view,) int64.

        Numbers from `n_scales` on are of no noise scale: columns that outputs predict by a
        probability. Default: one for all.
        """
        return torch.zeros(self.n_view, dtype=torch.int64)

    def count_numbers(self, tensors: dict[str, Tensor]) -> Tensor:
        """Return how many numbers of each row `deviance` counts, (rows,)."""
        rows = len(next(iter(tensors.values())))
        return torch.full((rows,), float(self.n_view), device=self.gain.device)

    def log_likelihood(
        self, outputs: Tensor, tensors: dict[str, Tensor], log_scale: Tensor
    ) -> Tensor:
        """Return the log density of a batch given the outputs, in nats per row.

        Default: that of Gaussian numbers, for a deviance that is the squared error of the view.

        Parameters
        ----------
        outputs : Tensor of shape (..., rows, n_outputs)
        tensors : dict of Tensor
        log_scale : Tensor of shape (n_scales,)
            Of the noise, in units in which a number of the training rows has variance 1.

        Returns
        -------
        Tensor of shape (..., rows)
            In those units; `log_volume` says what to subtract for the cells' own.
        """
        squares = self.deviance(outputs, tensors) * self.n_view
        normal = log_scale + 0.5 * math.log(2 * math.pi)
        return -0.5 * squares * (-2 * log_scale).exp() - self.count_numbers(tensors) * normal

    def log_volume(self, tensors: dict[str, Tensor]) -> Tensor | float:
        """Return the log of the units of `log_likelihood` in the cells' own, (rows,), or 0."""
        return 0.0

    def draw(self, outputs: Tensor, log_scale: Tensor, generator: torch.Generator) -> Tensor:
        """Return what `predict` does, sampled from the distribution of the outputs.

        Default: its mean, for images, sounds and the like, in which noise would be noise.
        """
        return self.predict(outputs)

    def corrupt(self, view: Tensor, noise: float, generator: torch.Generator) -> Tensor:
        """Return a noisy view, for denoising.

        Parameters
        ----------
        view : Tensor of shape (rows, n_view)
        noise : float
            Strength, 0 or more; 0 returns the view as it is.
        generator : torch.Generator

        Returns
        -------
        Tensor of shape (rows, n_view)
            Each row made of that row alone. Default: with Gaussian noise of `noise` times the
            spread of the view's columns.
        """
        spread = torch.empty_like(view).normal_(generator=generator)
        return torch.add(view, spread, alpha=noise * self.n_view**-0.5)
