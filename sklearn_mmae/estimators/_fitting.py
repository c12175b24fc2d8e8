"""`Learns`: fit, in one go, in parts, in processes and on a cluster."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Any, Self

import numpy as np
import torch

from .._core.compat import CallbackSupportMixin, with_callbacks
from .._core.errors import CellError
from .._core.ranks import Ranks, find_ranks
from .._core.typing import ArrayLike, Rows
from ..model._gathered import Gathered
from ..model._model import Model
from ..model._public import check_private
from ..model._weights import weighted
from ..tables import Chunks
from ..tables._chunks import chunked
from ..tables._kinds import kind_of
from ..training._batches import Rows as BatchRows
from ..training._joint import JointNetwork
from ._cluster import find_cluster, fit_on_cluster
from ._fitted import Fitted
from ._parameters import check_parameters

__all__ = ["Learns"]

# `model._learn` is imported in the methods that need it: with skorch it takes as long as all else.


class Learns(Fitted, CallbackSupportMixin):
    """How an estimator learns a model, which it keeps once it is whole."""

    modalities: Any
    max_epochs: int
    target_weight: float
    warm_start: bool

    @abstractmethod
    def _build_network(self, model: Model, patterns: torch.Tensor) -> JointNetwork:
        """Return the network of a model, weights not yet initialised.

        Parameters
        ----------
        model : Model
        patterns : Tensor of shape (patterns, modalities), bool
            See `list_patterns`.

        Returns
        -------
        JointNetwork
        """

    def _look_at(
        self, network: JointNetwork, rows: BatchRows, statistics: Any
    ) -> dict[str, np.ndarray]:
        """Return what `FACTS` names, from a network that has learned these rows."""
        return {}

    @with_callbacks
    def fit(self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the modalities and the networks.

        In processes of torchrun or `torch.distributed`, all of them call it, each with rows of its
        own, and end with one model. A Dask DataFrame is learned from by the workers of its cluster.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix, SliceDict or Chunks of shape (rows, columns)
            Of more than 131,072 rows, networks learn from as many at most, sampled by a hash of
            their numbers; scales, categories, vocabularies and the linear start from all.
        y : array, Series or DataFrame of shape (rows,) or (rows, targets), default=None
            Labels, with `target_weight` above 0; else ignored. Numbers, or classes: strings,
            bools, categories, and whole numbers of at most 20 values (give floats to have such
            numbers predicted as numbers). NaN or None is a row without a label.
        sample_weight : array of shape (rows,), default=None
            How much each row counts; of a Dask DataFrame, a Series of its partitions. Whole numbers
            are as many copies of the row, exactly, 0 is a row left out. Others, and whole ones of a
            mean above 10, are scaled to a mean of 1: a row of 1.3 is then taken once or, in three
            of ten cases, twice.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For a negative weight, one that is not finite, or none above zero.
        CellError
            For a cell that cannot be read; it names modality, column, row and remedy.
        ConvergenceError
            If the loss is no longer finite. Whatever raises leaves the estimator as it was.
        ConnectionError
            If another of the processes that learn together fails, or does not answer.
        KeyboardInterrupt
            After Ctrl-C. An estimator that was not fitted before keeps the best epoch so far, as it
            does after a ConnectionError.
        """
        client = find_cluster(X)
        if client is not None:
            return self._fit_on_cluster(X, y, sample_weight, client)
        with find_ranks() as ranks:
            return self._fit(chunked(X), y, sample_weight, ranks)

    def _fit_on_cluster(self, X: Rows, y: Any, sample_weight: Any, client: Any) -> Self:
        check_parameters(self)
        labels = y if self.target_weight else None
        fitted, interrupted = fit_on_cluster(self._fit, X, labels, sample_weight, client)
        if fitted is not None and (interrupted is None or not hasattr(self, "net_")):
            self._keep(fitted._model)
        if interrupted is not None:
            raise interrupted
        return self

    def _fit(self, X: Rows, y: Any, sample_weight: ArrayLike | None, ranks: Ranks | None) -> Self:
        check_parameters(self)
        check_private(self, weighted=sample_weight is not None)
        context = None
        if hasattr(self, "_init_callback_context"):
            context = self._init_callback_context(max_subtasks=self.max_epochs)
            context.call_on_fit_task_begin(estimator=self, X=X)
        was_fitted = hasattr(self, "net_")
        previous = self._model if self.warm_start and was_fitted else None
        with weighted(X, y, sample_weight, self, ranks) as (rows, labels):
            model, interrupted = self._learn(rows, labels, previous, context, ranks)
        if interrupted is None or not was_fitted:
            self._keep(model)
        if interrupted is not None:
            raise interrupted
        if context is not None:
            context.call_on_fit_task_end(estimator=self, X=X)
        return self

    def partial_fit(self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from some rows: the first call begins, later ones go on.

        Rows are gathered: all while they are at most 131,072 and 128 MiB, else a sample of them by
        a hash of their numbers. Whenever they are twice as many as before, everything is learned
        anew from them: categories, vocabularies, scales, the start, and networks, for as many
        epochs as there were calls. So with each new start vectors are others. Other calls add an
        epoch of the rows given. With ``max_epochs=0`` each call makes a new start. No rows are
        held out.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
        y : array, Series or DataFrame of shape (rows,) or (rows, targets), default=None
        sample_weight : array of shape (rows,), default=None
            Both as in `fit`.

        Returns
        -------
        self

        Notes
        -----
        After calls with 1, 1, 2, 4, 8... times the same number of rows the model is that of
        ``fit`` of all rows, with ``early_stopping=False`` and as many epochs as calls, to the bit.
        The gathered rows are pickled with the estimator, but not written by `save`. What `fit` or
        `load` began has none: it keeps its scales, and each call adds an epoch.
        """
        from ..model._learn import add_epoch

        if isinstance(chunked(X), Chunks):
            raise TypeError(
                "partial_fit learns from one chunk at a time: for rows in chunks:"
                " mmae.partial_fit(rows). fit(chunks) learns from all of them."
            )
        check_parameters(self)
        check_private(self, in_parts=True)
        with weighted(X, y, sample_weight, self) as (rows, labels):
            gathered = self._gather(rows, labels)
            if gathered is not None and (gathered.is_due or not self.max_epochs):
                self._learn_gathered(gathered.learned)
                return self
            add_epoch(self._model, rows, labels, self)
            self._model.gathered = gathered
            self._keep(self._model)
        return self

    def _gather(self, X: Rows, y: Any) -> Gathered | None:
        """Return the rows that `partial_fit` has seen, these included, if it goes by them."""
        gathered = Gathered()
        if hasattr(self, "net_"):
            self._model.check(X, self)
            gathered = self._model.gathered
        return gathered and gathered.with_(X, y if self.target_weight else None)

    def _learn_gathered(self, gathered: Gathered) -> None:
        """Begin anew from all rows so far."""
        epochs = min(self.max_epochs, 1) * gathered.n_calls
        once = copy.copy(self).set_params(early_stopping=False, max_epochs=epochs)
        rows = gathered.whole
        # What frames name may be large once it is read: chunks are read piece by piece.
        is_frame = kind_of(rows.chunk) in ("pandas", "polars")
        X = Chunks(lambda: iter([rows.chunk])) if is_frame else rows.chunk
        try:
            model, interrupted = once._learn(X, rows.labels)
        except CellError as error:
            if error.row is not None:  # of the rows given now
                error.row = (rows.rows[np.atleast_1d(error.row)] - gathered.n_before).tolist()
            raise
        if interrupted is not None:
            raise interrupted
        model.gathered = gathered
        self._keep(model)

    def _learn(
        self,
        X: Rows,
        y: Any,
        previous: Model | None = None,
        context: Any = None,
        ranks: Ranks | None = None,
    ) -> tuple[Model, BaseException | None]:
        """Learn a model aside, so that whatever raises leaves the estimator as it was."""
        from ..model._learn import learn_model

        return learn_model(
            self, X, y, self._build_network, self._look_at, previous, context, ranks=ranks
        )
