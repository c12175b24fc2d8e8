"""`Modality`: the contract between the user's cells and the networks."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from .._core.errors import PrivacyError
from .._core.typing import Array
from ..nn._sparse import as_tensors
from ..statistics import PLAIN, Statistics
from ..tables._cells import Cells, Values
from ._shown import Shown, Texts

if TYPE_CHECKING:
    from ..nn import ModalityNetwork

__all__ = ["Modality", "TimedModality", "asks", "learn_lengths", "tensors_of"]

CHUNK = 256  # numbers of a row that are made floats at a time


def asks(method: Callable) -> bool:
    """Whether a method of a modality asks `Statistics`; those of outsiders need not."""
    return "statistics" in inspect.signature(method).parameters


def tensors_of(values: Values) -> dict[str, Tensor]:
    """Return what a network is given of all rows, as one batch."""
    return {name: tensor[:] for name, tensor in as_tensors(values.tensors).items()}


class Modality(BaseEstimator, ABC):
    """One kind of column: how it is read, learned and written back.

    A modality is a scikit-learn estimator of plain parameters; what it learns of the data
    (means, categories, a vocabulary) are plain values and numpy arrays in attributes ending
    in ``_``, so that it clones, pickles and saves without code. Networks are built by
    `network`, never kept.

    Subclass it to add a kind of your own; ``docs/add_a_modality.md`` walks through one.
    Raise `CellError` for a cell that cannot be read: the estimator adds the modality's name.
    """

    @property
    def words(self):
        """The words that the outputs are a distribution over, or None."""
        return None

    @classmethod
    def accepts(cls, name: str, column: np.ndarray) -> bool:
        """Whether ``modalities="auto"`` should give a column to this class.

        Parameters
        ----------
        name : str
        column : ndarray of shape (rows, ...)

        Returns
        -------
        bool
            Default: False, for classes that are only used when asked for.
        """
        return False

    @abstractmethod
    def fit(self, cells: Cells, statistics: Statistics = PLAIN) -> Self:
        """Learn what the networks need to know of the training rows.

        Parameters
        ----------
        cells : Cells
            The modality's columns, missing values included.
        statistics : Statistics, default=PLAIN
            What is asked about the rows: all that depends on them is to come from its answers. A
            modality of your own may do without: ``fit(cells)``.

        Returns
        -------
        self

        Raises
        ------
        CellError
            Naming column, rows and remedy.
        """

    @abstractmethod
    def transform(self, cells: Cells) -> Values:
        """Return cells as `Values`: compact arrays, and where anything was observed."""

    def fit_transform(self, cells: Cells, statistics: Statistics = PLAIN) -> Values:
        """Fit, and return the same cells as `Values`; override it where reading twice is dear."""
        told = {"statistics": statistics} if asks(self.fit) else {}
        return self.fit(cells, **told).transform(cells)

    def explain(self, names: Sequence) -> str:
        """Say what the columns of a fitted modality are taken for, for `modalities_`.

        Parameters
        ----------
        names : sequence
            Of the columns.

        Returns
        -------
        str
            Default: empty.
        """
        return ""

    def output_names(self, names: Sequence) -> list | None:
        """Return what the outputs of the fitted modality's network are called, for `components_`.

        Parameters
        ----------
        names : sequence
            Of the columns.

        Returns
        -------
        list or None
            Of the first outputs, as many as have a name; tuples become a MultiIndex. Default: None,
            they are numbered.
        """
        return None

    def check_parameters(self) -> None:
        """Refuse parameters that make no sense: before `fit` learns, and when a file is read.

        Raises
        ------
        ValueError
        """

    @property
    def usual_weight(self) -> float:
        """How much the fitted modality counts beside others, unless the user says; default: 1."""
        return 1.0

    def check_public(self, cells: Cells) -> None:
        """Refuse, before a private fit looks at cells, what it would have to take from them.

        Override it in a modality whose `fit` takes nothing from rows but answers of private
        `statistics`, and names and dtypes of columns; also in a subclass of one that does, which
        is refused otherwise.

        Parameters
        ----------
        cells : Cells

        Raises
        ------
        PrivacyError, CellError
            Naming column and parameter that has to be given. Default: always.
        """
        raise PrivacyError(
            f"{type(self).__name__} cannot be fitted with privacy. Fit without, or leave its"
            " columns out ('drop')."
        )

    def expect_target(self) -> None:
        """Prepare, before `fit`, for embeddings that are to predict a target. Default: nothing."""

    def learned(self) -> set[str]:
        """Return the names of the attributes that `fit` learns: all that a file must hold.

        Returns
        -------
        set of str
            Default: those there are.
        """
        return vars(self).keys() - self.get_params(deep=False).keys()

    def is_sound(self, n_columns: int) -> bool:
        """Whether what a file says was learned agrees with itself.

        Parameters
        ----------
        n_columns : int

        Returns
        -------
        bool
        """
        return True

    @abstractmethod
    def inverse_transform(self, predictions: np.ndarray) -> list[np.ndarray]:
        """Return predictions as columns of cells.

        Parameters
        ----------
        predictions : ndarray, rows first
            What the network's `predict` gives.

        Returns
        -------
        list of ndarray of shape (rows, ...)
            One per column, in the order and of the kinds seen in `fit`. Each is an array of
            numbers, bools, ``datetime64`` or objects.
        """

    def with_length_of(self, predictions: np.ndarray, tensors: dict[str, np.ndarray]) -> np.ndarray:
        """Return predictions as long as the cells that they are the reconstructions of.

        Parameters
        ----------
        predictions : ndarray, rows first
            What the network's `predict` gives, for `inverse_transform`.
        tensors : dict of str to ndarray
            The rows as `transform` gave them; missing ones keep the predicted length.

        Returns
        -------
        ndarray
            Default: the predictions, for cells that are all of one size.
        """
        return predictions

    def shortest(self, predictions: np.ndarray) -> np.ndarray:
        """Return predictions of cells as short as they come: those that `load` tries to write.

        Parameters
        ----------
        predictions : ndarray, rows first

        Returns
        -------
        ndarray
            Default: the same.
        """
        return predictions

    def fill(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return rows of which cells were hidden as `transform` would have given them.

        Parameters
        ----------
        tensors : dict of str to ndarray
            As `transform` gives them, but with nothing in place of missing values.

        Returns
        -------
        dict of str to ndarray
            Default: the same, for modalities whose cells are not looked at one by one.
        """
        return tensors

    @abstractmethod
    def network(self, n_components: int, width: int, dropout: float) -> ModalityNetwork:
        """Build the modality's `ModalityNetwork`, weights not yet initialised.

        Parameters
        ----------
        n_components : int
            Length of an embedding.
        width : int
            Length of the features that the encoder hands to the fusion; the scale for hidden
            layers.
        dropout : float
            Share of hidden units to drop while training.
        """

    def shown(self, cells: Cells, predicted: bool = False) -> Shown:
        """Return cells, the user's or `predicted` ones that came back, as figures show them.

        Returns
        -------
        Shown
            One of the records of `sklearn_mmae.cells`; default: `Texts`, the cells written out.
        """
        return Texts.of(cells)

    @torch.no_grad()
    def as_numbers(self, values: Values) -> Array:
        """Return rows as columns of numbers, for PCA to compare with; absent rows may be any.

        Returns
        -------
        ndarray of shape (rows, columns)
            Default: the view of the network.
        """
        return self.network(4, 16, 0.0).view(tensors_of(values)).to_dense().numpy()


class TimedModality(Modality):
    """A modality whose cells go on in time, so that it may lag another one.

    Its `Values` have ``steps`` (rows, n_steps, ...), ``length`` (rows,), how many of them are the
    row's own, and perhaps ``observed``, shaped as the steps.

    Attributes
    ----------
    n_steps_ : int
        The most that a row has.
    step_seconds_ : float
        Between two steps.
    entries_per_step_ : float
        Entries of the arrays that come back, to a step.
    mean_ : ndarray of n_steps * n_channels, float32
        Of each number, over the rows that have it.
    scale_ : float
        Root of the total variance; 1 where it is zero.
    log_length_, log_length_scale_ : float
        Mean and standard deviation of the logarithm of the length.
    """

    n_steps_: int
    step_seconds_: float
    entries_per_step_: float
    mean_: np.ndarray
    scale_: float
    log_length_: float
    log_length_scale_: float

    def learn_steps(self, values: Values, statistics: Statistics) -> None:
        """Learn what depends on where in time a row begins: mean, scale and lengths."""
        steps, length = values.tensors["steps"], values.tensors["length"]
        n_channels = math.prod(steps.shape[2:])
        flat, there = steps.reshape(len(steps), -1), values.tensors.get("observed")
        mean, squares = np.zeros(flat.shape[1], np.float32), 0.0
        with statistics.together():
            for first in range(0, len(mean), CHUNK):
                columns = np.arange(first, min(first + CHUNK, len(mean)))
                known = columns // n_channels < length[:, None]
                if there is not None:
                    known &= there.reshape(flat.shape)[:, columns]
                known_steps = np.where(known, flat[:, columns], np.nan)
                count, mean[columns], variance = statistics.moments(f"steps {first}", known_steps)
                squares += (variance * count).sum()
            n_rows, log_length, log_length_scale = learn_lengths(length[length > 0], statistics)
        self.mean_, self.scale_ = mean, math.sqrt(squares / max(n_rows, 1)) or 1.0
        self.log_length_, self.log_length_scale_ = log_length, log_length_scale

    def as_numbers(self, values: Values) -> Array:
        """Return the steps, beyond the end of a row as they stand there."""
        steps = values.tensors["steps"]
        return steps.reshape(len(steps), -1).astype(np.float32)


def learn_lengths(length: np.ndarray, statistics: Statistics) -> tuple[float, float, float]:
    """Return the number of rows, and mean and standard deviation of the log of their lengths."""
    (n_rows,), (mean,), (variance,) = statistics.moments("log length", np.log(length)[:, None])
    return n_rows, float(mean), math.sqrt(variance)
