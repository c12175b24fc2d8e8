"""`BaseMultimodalAutoencoder`: the methods of an estimator; each asks the model."""

from __future__ import annotations

import copy
import os
from abc import abstractmethod
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import check_is_fitted

from .._core.compat import CallbackSupportMixin, with_callbacks
from .._core.errors import CellError, listing
from .._core.ranks import Ranks, find_ranks
from .._core.threads import one_thread
from .._core.typing import ArrayLike, Names, PathLike, Rows, SameContainer
from ..modalities import Modality
from ..model._cells import impute
from ..model._components import components
from ..model._distributions import (
    Interval,
    category_probabilities,
    category_sets,
    predict_interval,
    word_shares,
)
from ..model._draws import check_count, draw_rows
from ..model._gathered import Gathered
from ..model._model import Model, Read
from ..model._public import check_private
from ..model._search import Matches, search
from ..model._weights import weighted
from ..privacy import PrivacySpent
from ..tables import Chunks
from ..tables._chunks import chunked
from ..tables._kinds import kind_of
from ..training._batches import Rows as BatchRows
from ..training._joint import JointNetwork
from ._chunkwise import TakesChunks
from ._cluster import find_cluster, fit_on_cluster
from ._diagram import diagram
from ._files import save
from ._modalities import Modalities
from ._parameters import check_parameters
from ._supervised import PredictsTarget, cross_fitted

__all__ = ["BaseMultimodalAutoencoder"]

# `model._learn` is imported in the methods that need it: with skorch it takes as long as all else.


class BaseMultimodalAutoencoder(
    TakesChunks,
    PredictsTarget,
    ClassNamePrefixFeaturesOutMixin,
    CallbackSupportMixin,
    TransformerMixin,
    _BaseComposition,
):
    """A transformer of rows of several modalities, and the way back.

    What a fit has learned is a `Model`; the fitted attributes are views of it. A subclass has
    parameters of its own, with their constraints, and builds the network.
    """

    OF_NETWORK = ("width", "fusion")  # parameters that the network is built of
    FACTS = ()  # what the subclass learns besides: names of arrays of one number per component

    modalities_: list[tuple[str, Modality, list]]
    net_: Any
    history_: list[dict[str, Any]]
    n_iter_: int
    n_components_: int
    privacy_spent_: PrivacySpent
    lags_: dict[str, float]
    lag_intervals_: dict[str, tuple[float, float]]
    classes_: np.ndarray | list[np.ndarray]
    n_features_in_: int
    feature_names_in_: np.ndarray

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

    def _sk_visual_block_(self):
        """Return the diagram that a notebook shows."""
        return diagram(self, self._model if hasattr(self, "net_") else None)

    # Nested parameters, as ColumnTransformer has them ----------------------------------------

    @property
    def _named_modalities(self):
        """The list without its columns, for `get_params` and `set_params`."""
        try:
            named = [(name, modality) for name, modality, _ in self.modalities]
            return [] if any(isinstance(modality, type) for _, modality in named) else named
        except (TypeError, ValueError):  # "auto", or a list that `fit` will refuse
            return []

    @_named_modalities.setter
    def _named_modalities(self, value):
        self.modalities = [
            (name, modality, columns)
            for (name, modality), (_, _, columns) in zip(value, self.modalities, strict=True)
        ]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, those of the modalities as ``name__parameter``.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        dict
        """
        return self._get_params("_named_modalities", deep=deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also ``name__parameter`` of a modality, or ``name="drop"``.

        Parameters
        ----------
        **params

        Returns
        -------
        self
        """
        try:
            return self._set_params("_named_modalities", **params)
        except ValueError as error:
            names = [name for name, _ in self._named_modalities]
            known = {*names, *self.get_params(deep=False)}
            given = params.get("modalities", "auto")
            if isinstance(self.modalities, str) and isinstance(given, str):
                hint = (
                    "With modalities='auto' there are no modalities to set yet: fit once and give"
                    " modalities=mmae.modalities_, which lists them."
                )
            elif names and {name.partition("__")[0] for name in params} - known:
                hint = f"The modalities are {listing(map(repr, names))}."
            else:
                raise
            raise ValueError(f"{error} {hint}") from None

    def __sklearn_tags__(self):
        """Say what the estimator takes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.target_tags.required = self.target_weight > 0
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    # Learning --------------------------------------------------------------------------------

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
            How much each row counts. Whole numbers are as many copies of the row, exactly, 0 is a
            row left out. Others, and whole ones of a mean above 10, are scaled to a mean of 1: a
            row of 1.3 is then taken once or, in three of ten cases, twice.

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
        if sample_weight is not None:
            raise ValueError("sample_weight is not for ranks. Repeat rows, or leave some out.")
        check_parameters(self)
        y = y if self.target_weight else None
        fitted, interrupted = fit_on_cluster(self._fit, X, y, client)
        if fitted is not None and (interrupted is None or not hasattr(self, "net_")):
            self._keep(fitted._model)
        if interrupted is not None:
            raise interrupted
        return self

    def _fit(self, X: Rows, y: Any, sample_weight: ArrayLike | None, ranks: Ranks | None) -> Self:
        check_parameters(self)
        check_private(self, weighted=sample_weight is not None)
        if ranks is not None and sample_weight is not None:
            raise ValueError("sample_weight is not for ranks. Repeat rows, or leave some out.")
        context = None
        if hasattr(self, "_init_callback_context"):
            context = self._init_callback_context(max_subtasks=self.max_epochs)
            context.call_on_fit_task_begin(estimator=self, X=X)
        was_fitted = hasattr(self, "net_")
        previous = self._model if self.warm_start and was_fitted else None
        with weighted(X, y, sample_weight, self) as (rows, labels):
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

    def _keep(self, model: Model) -> None:
        """Take over a model, and forget what an earlier fit knew, in one step: all or nothing."""
        state = {n: v for n, v in vars(self).items() if n.startswith("_") or not n.endswith("_")}
        state |= {
            "_model": model,
            "modalities_": Modalities(
                ((part.name, part.modality, part.columns) for part in model.parts),
                model.columns.names,
            ),
            "net_": model.net,
            "history_": model.history,
            "n_iter_": model.n_iter,
            "n_components_": model.built["n_components"],
            "n_features_in_": len(model.columns.names),
        }
        if model.privacy is not None:
            state["privacy_spent_"] = model.privacy
        if model.feature_names is not None:
            state["feature_names_in_"] = np.array(model.feature_names, dtype=object)
        if model.lags is not None:
            state |= {"lags_": model.lags.seconds, "lag_intervals_": model.lags.intervals}
        if model.target is not None and model.target.has_classes:
            state["classes_"] = model.target.all_classes
        self.__dict__ = state | {f"{name}_": value for name, value in model.facts.items()}

    @property
    def components_(self) -> dict[str, pd.DataFrame]:
        """Loadings of the components by column, word or pixel, a DataFrame for each modality.

        Each row is a component, named as by `get_feature_names_out`: what one standard deviation
        of it, as `transform` gives it, adds by the linear path of the decoders. Numbers, dates and
        pixels are in standard deviations (pixels of an image share one), categories and words in
        logits, as are pixels with ``loss="cross-entropy"``. Columns of a table are called by their
        names and ``column=category``, pixels by (row, column[, channel]); those of signals, sounds
        and clips are numbered. Networks, where they are kept, add to it what is not linear.
        """
        check_is_fitted(self)
        return components(self._model, self.get_feature_names_out())

    @property
    def explained_deviance_ratio_(self) -> np.ndarray:
        """Share that each component explains in the linear start, of shape (n_components,).

        As PCA's ``explained_variance_ratio_``: of the variance of the standardised views, each
        modality divided as in the start, so that all have their part. Of `MultimodalVAE` it is
        what the loadings of factor analysis explain, the mean over modalities. Zeros with
        ``init="random"``.
        """
        check_is_fitted(self)
        return self._model.network.explained.cpu().numpy().astype(np.float64)

    @property
    def explained_deviance_(self) -> dict[str, float]:
        """Share of deviance explained of each modality, on the training rows, or 4,096 of them."""
        check_is_fitted(self)
        if self._model.privacy is not None:
            raise AttributeError(
                "explained_deviance_ is of the training rows, and left out with privacy. Give"
                " other rows: explained_deviance(X)."
            )
        return self._model.explained

    def _read(self, X: Rows, hidden: np.ndarray | None = None) -> Read:
        """Return rows as the model reads them."""
        check_is_fitted(self)
        return self._model.read(X, self, hidden)

    # Using what was learned ------------------------------------------------------------------

    def transform(self, X: Rows) -> Any:
        """Return the vector of each row.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
            The columns of a modality may be missing altogether.

        Returns
        -------
        ndarray or DataFrame of shape (rows, n_components)
            The mean variance of the components is about 1 over the training rows. A row with
            nothing observed gets the average row's vector, with a warning.
        """
        return self._codes(X)

    def fit_transform(self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None) -> Any:
        """Fit, and return the vectors of the same rows.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
        y : array, Series or DataFrame of shape (rows,) or (rows, targets), default=None
        sample_weight : array of shape (rows,), default=None
            Both as in `fit`.

        Returns
        -------
        ndarray or DataFrame of shape (rows, n_components)
            ``fit(X, y).transform(X)``. With `target_cv`, vectors by models that have not seen the
            row's label, for what is trained on them.
        """
        self.fit(X, y, sample_weight)
        if self.target_cv is None or self._model.target is None:
            return self._codes(X)
        return cross_fitted(self, X, y, sample_weight)

    def _codes(self, X: Rows) -> np.ndarray:
        """Return the vector of each row, in the precision of X."""
        read = self._read(X)
        codes = self._model.encode(read).numpy()
        matrix = read.table.matrix
        keeps_double = matrix is not None and matrix.dtype == np.float64
        return codes.astype(np.float64 if keeps_double else np.float32, copy=False)

    @property
    def _n_features_out(self):
        return self.n_components_

    def inverse_transform(self, X: Rows) -> SameContainer:
        """Return the rows of vectors: the same columns and dtypes as in `fit`.

        Parameters
        ----------
        X : array or DataFrame of shape (rows, n_components)

        Returns
        -------
        DataFrame, array or SliceDict, as given to `fit`
        """
        check_is_fitted(self)
        index = X.index if isinstance(X, pd.DataFrame) else None
        codes = check_array(
            X, dtype=np.float32, force_writeable=True, input_name="X", estimator=self
        )
        if codes.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {codes.shape[1]} columns, but the vectors of this estimator have"
                f" {self.n_components_}. Give what transform returns."
            )
        return self._model.write(self._model.decode(torch.as_tensor(codes)), index)

    def reconstruct(self, X: Rows) -> SameContainer:
        """Return the rows as they come back: ``inverse_transform(transform(X))``.

        Sounds, clips and sequences come back as long as they were; the vector alone says only
        about how long that is.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)

        Returns
        -------
        DataFrame, array or SliceDict, as given to `fit`
        """
        read = self._read(X)
        columns = self._model.decode(self._model.encode(read), rows=read.rows)
        return self._model.write(columns, read.index)

    def translate(self, X: Rows, to: Names) -> SameContainer:
        """Predict modalities from the others.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
            Columns of `to` may be missing; if they are there, they are not looked at.
        to : str or list of str
            Names of modalities, as in `modalities_`.

        Returns
        -------
        DataFrame, array or SliceDict, as given to `fit`
            The columns of `to`.
        """
        check_is_fitted(self)
        hidden = self._model.chosen(to, "to")
        read = self._read(X, hidden)
        columns = self._model.decode(self._model.encode(read), hidden, read=read)
        return self._model.write(columns, read.index)

    def search(self, X: Rows, among: Rows, to: Names, n: int = 10) -> Matches:
        """Find the rows of one modality, or some, that fit rows of others best.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
            What is known: a caption, say. Columns of `to` are not looked at.
        among : DataFrame, array, sparse matrix or SliceDict of shape (others, columns)
            Where to search: photos, say. Only columns of `to` are looked at; rows that have
            nothing of them are not found.
        to : str or list of str
            Names of modalities, as in `modalities_`.
        n : int, default=10
            How many to find for each row.

        Returns
        -------
        rows, scores : ndarray of shape (rows, n)
            Positions in `among`, the best first, and how well they fit, 1 at most; a named tuple.

        Raises
        ------
        ValueError
            For an `n` of more rows than there are; and where nothing is known of how vectors go
            together: it is learned by `fit`, of three rows and more.

        Notes
        -----
        A score is the mean of two cosines: of standardised vectors, and of their regularised
        canonical variates, each as long as the two sides correlate.

        Examples
        --------
        >>> from sklearn_mmae import MultimodalAutoencoder
        >>> from sklearn_mmae.datasets import load_digits_frame
        >>> frame = load_digits_frame()[:300]
        >>> mmae = MultimodalAutoencoder(n_components=8, max_epochs=0, random_state=0).fit(frame)
        >>> rows, scores = mmae.search(frame[["caption"]], frame, to="image", n=3)
        >>> rows.shape
        (300, 3)
        """
        check_is_fitted(self)
        return search(self._model, X, among, to, n, self)

    def impute(self, X: Rows) -> SameContainer:
        """Fill the missing values: cells, modalities of a row, columns that are missing altogether.

        A cell of a table is what the row's other cells and the components of its other modalities
        make likely: a blend of two multivariate normals and of trees, whose weights are those that
        predict cells best that were hidden in `fit` [1]_; a column that they do not predict better
        than its mean gets the mean. All else, and cells of tables of more than 100 columns, are
        what the networks predict.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)

        Returns
        -------
        DataFrame, array or SliceDict, as given to `fit`
            Observed cells are as they were: in the dtype of `fit` where it holds them exactly, else
            in their own, or in a wider one.

        References
        ----------
        .. [1] Breiman (1996), "Stacked regressions", Machine Learning 24(1).
        """
        read = self._read(X)
        return self._model.fill(read, impute(self._model, read))

    def sample(self, n: int = 1, given: Rows | None = None) -> SameContainer:
        """Draw rows that might as well have been seen.

        Parameters
        ----------
        n : int, default=1
            How many; for each row of `given`, if there are any.
        given : DataFrame, array, sparse matrix or SliceDict, optional
            Rows of any part of the modalities, whose missing values are filled by draws.

        Returns
        -------
        DataFrame, array or SliceDict, as given to `fit`
            Numbers are sampled with their noise, categories by their probabilities; images,
            sounds, clips, sequences and texts are what a sampled vector stands for. The draws of
            a given row follow one another.

        Raises
        ------
        ValueError
            For an `n` below 1; and where the vectors of `MultimodalAutoencoder` have no known
            distribution: it is learned by `fit`, of three rows and more.

        Notes
        -----
        `MultimodalVAE` draws vectors from its prior, or from the posterior of a given row. Those
        of `MultimodalAutoencoder` have a Gaussian mixture, fitted to the training rows' vectors;
        the vector of a part of a row is a noisy, linear look at the whole row's, so that the
        mixture given a part is in closed form.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_mmae import MultimodalAutoencoder
        >>> x = np.random.default_rng(0).normal(size=(200, 1))
        >>> X = np.hstack([x, -x, x])
        >>> mmae = MultimodalAutoencoder(n_components=1, max_epochs=0, random_state=0).fit(X)
        >>> mmae.sample(5).shape
        (5, 3)
        >>> given = [[1.0, np.nan, np.nan]]
        >>> bool(np.allclose(mmae.sample(2, given=given), [1, -1, 1], atol=0.3))
        True
        """
        n = check_count("n", n)
        check_is_fitted(self)
        return draw_rows(self._model, n, given, self)

    def predict_interval(self, X: Rows, level: float = 0.9) -> Interval:
        """Return an interval for each number, calibrated on rows held out in `fit`.

        A cell that is observed has an interval around what `reconstruct` gives. So has a single
        missing value of a table, of which `impute` may know better, from the row's other cells. A
        cell of an absent modality has one around what `translate` and `impute` give.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
        level : float in (0, 1), default=0.9
            The share of the truth that the intervals should hold.

        Returns
        -------
        low, high : DataFrame, array or SliceDict, as given to `fit`
            The columns of numbers of all tables, as floats; a named tuple. Infinite where too few
            rows were held out for the level, with a warning.

        Raises
        ------
        ValueError
            If no column is a number, or no rows were held out.

        Notes
        -----
        Split conformal prediction [1]_ [2]_ with a group of its own [3]_ for each column, pattern
        of presence of modalities, share of missing values and for cells seen and not.

        References
        ----------
        .. [1] Papadopoulos, Proedrou, Vovk & Gammerman (2002), "Inductive confidence machines for
           regression", ECML.
        .. [2] Lei, G'Sell, Rinaldo, Tibshirani & Wasserman (2018), "Distribution-free predictive
           inference for regression", JASA 113.
        .. [3] Vovk, Lindsay, Nouretdinov & Gammerman (2003), "Mondrian confidence machine".
        """
        check_is_fitted(self)
        return predict_interval(self._model, X, level, self)

    def category_probabilities(self, X: Rows) -> dict[Any, Any]:
        """Return how likely each category is, calibrated on rows held out in `fit`.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)

        Returns
        -------
        dict of column name to DataFrame of shape (rows, categories)
            Of each categorical and bool column of the tables, observed or not: of what
            `reconstruct` gives, or `translate` where the table is absent.

        Raises
        ------
        ValueError
            If no column is categorical, or no rows were held out.

        Notes
        -----
        Logits are divided by a temperature [1]_ and get an offset for each category [2]_, in
        groups as for `predict_interval`.

        References
        ----------
        .. [1] Guo, Pleiss, Sun & Weinberger (2017), "On calibration of modern neural networks",
           ICML.
        .. [2] Alexandari, Kundaje & Shrikumar (2020), "Maximum likelihood with bias-corrected
           calibration is hard-to-beat at label shift adaptation", ICML.
        """
        check_is_fitted(self)
        return category_probabilities(self._model, X, self)

    def category_sets(self, X: Rows, level: float = 0.9) -> dict[Any, Any]:
        """Return which categories a cell may be of, calibrated on rows held out in `fit`.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
        level : float in (0, 1), default=0.9
            The share of the truth that the sets should hold.

        Returns
        -------
        dict of column name to DataFrame of shape (rows, categories), bool
            Of each categorical and bool column of the tables: whether the category belongs to the
            row's set. The most likely one always does; all do where too few rows were held out for
            the level.

        Raises
        ------
        ValueError
            If no column is categorical, or no rows were held out.

        Notes
        -----
        The smallest sets that hold what they say on average [1]_: categories above a probability,
        which held-out rows choose in groups as for `predict_interval`.

        References
        ----------
        .. [1] Sadinle, Lei & Wasserman (2019), "Least ambiguous set-valued classifiers with bounded
           error levels", JASA 114.
        """
        check_is_fitted(self)
        return category_sets(self._model, X, level, self)

    def word_shares(self, X: Rows) -> dict[Any, Any]:
        """Return how much each word of the vocabulary is expected to count in each row.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
            Where a text is not observed, or its column is missing, its words are predicted from
            the other modalities.

        Returns
        -------
        dict of column name to DataFrame of shape (rows, words)
            Of each text of ``TextModality(decoder="words")``; a row sums to 1. What
            `TextModality` describes as a row's shares is what these are fitted to.

        Raises
        ------
        ValueError
            If there is no such text.
        """
        check_is_fitted(self)
        return word_shares(self._model, X, self)

    def score(self, X: Rows, y: None = None) -> float:
        """Return the share of deviance explained, the mean over modalities.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
        y : None
            Ignored.

        Returns
        -------
        float
            1 is perfect, 0 is the column means of the training rows. For numbers it is the share
            of the variance of standardised columns, as explained by PCA; for categories and
            words the share of their entropy. Only observed cells count.
        """
        explained = np.array(list(self.explained_deviance(X).values()))
        return float(np.nanmean(explained)) if np.isfinite(explained).any() else float("nan")

    @one_thread()
    def explained_deviance(self, X: Rows) -> dict[str, float]:
        """Return the share of deviance explained of each modality; `score` is their mean.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)

        Returns
        -------
        dict of str to float
            Like `explained_deviance_`, of other rows; NaN where nothing of a modality is observed.
        """
        check_is_fitted(self)
        X = chunked(X)
        reads = map(self._read, X if isinstance(X, Chunks) else [X])
        sums = [self._model.summed_deviances(read, self._model.encode(read)) for read in reads]
        return self._model.share_explained(*np.sum(sums, 0))

    @one_thread()
    def score_samples(self, X: Rows, by_modality: bool = False) -> Any:
        """Say how well each row fits what was learned; low is unusual.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
        by_modality : bool, default=False
            Return a column per modality: the lowest of an unusual row is the anomalous one, which
            does not go with the others.

        Returns
        -------
        ndarray of shape (rows,) or DataFrame of shape (rows, modalities)
            Minus the deviance of the row's reconstruction, 0 is perfect and -1 what the column
            means give an average row; the mean over the modalities present. NaN where nothing is
            observed.

            By modality: its pointwise mutual information with the others, in nats. Above 0, they
            make it likelier than it is by itself; 0 where there are none; NaN where it is absent.

        Notes
        -----
        If one modality was exchanged for that of another row, all those that are predicted from
        it look anomalous, too. With ``p(m) p(others)`` for the density of such a row, the likeliest
        exchange is that of the modality whose mutual information [1]_ with the others is lowest:
        without it the others agree. Densities are Gaussian, of views as the linear start sees
        them, with shrunk second moments.

        References
        ----------
        .. [1] Church & Hanks (1990), "Word association norms, mutual information, and
           lexicography", Computational Linguistics 16(1).
        """
        read = self._read(X)
        if by_modality:
            found = self._model.agreements(read)
            return pd.DataFrame(found, columns=self._model.names, index=read.index)
        deviance, _ = self._model.deviances(read, self._model.encode(read))
        total = np.where(read.present, deviance, 0).sum(1)
        counts = read.present.sum(1)
        return np.where(counts, -total / np.maximum(counts, 1), np.nan)

    # Keeping what was learned ----------------------------------------------------------------

    def __getstate__(self):
        """Return plain values and numpy arrays; a pickled net would be code."""
        state = super().__getstate__().copy()
        state = {k: v for k, v in state.items() if not k.startswith("_callback")}
        if state.pop("net_", None) is not None:
            state["_weights"] = self._model.weights()
            state["_model"] = copy.copy(self._model)  # without the net
        return state

    def __setstate__(self, state):
        """Rebuild the network from its weights."""
        state = dict(state)
        weights = state.pop("_weights", None)
        super().__setstate__(state)
        if weights is not None:
            self._restore(weights)

    def save(self, path: PathLike) -> None:
        """Write the fitted estimator to one file, which `sklearn_mmae.load` reads; no pickle.

        Parameters
        ----------
        path : str or path-like
            An older file of that name stays as it was until the new one is complete.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            For what no file without code can hold: a vectorizer that has learned something, a
            callable as fusion.

        Notes
        -----
        Parameters, fitted attributes and weights are kept, but not `device`, `callbacks`,
        `verbose`, any `memory`, a ``RandomState`` and the state of the optimizer.
        """
        check_is_fitted(self)
        save(self, path)

    def export(self, path: PathLike) -> None:
        """Write encoder and decoder as programs that need only torch, or a runtime of ONNX, to run.

        Parameters
        ----------
        path : path
            A folder, made if need be: ``encode.pt2``, ``decode.pt2``, and ``model.json``, which
            says what they take and give. If it ends in ``.onnx``, the folder has ``encode.onnx``
            and ``decode.onnx`` instead.

        Raises
        ------
        FileExistsError
            If the path is that of a file.
        ImportError
            If the extra ``onnx`` is needed, and absent.
        RuntimeError
            If vectors of the ONNX program differ from those of `transform`.

        Notes
        -----
        ``encode`` takes a dict of tensors, and returns what `transform` does. Of a table named
        "tabular" it takes "tabular.numbers" (float64; numbers and dates in their units, NaN in the
        missing values) and "tabular.codes" (places in the lists of categories, -1 where missing);
        of another modality what its `transform` makes of cells, and "name.present". ``decode``
        takes vectors, and returns numbers in their units, logits of categories, and pixels or
        logits of words. Among more than six modalities, a row that has a part of them which the
        network has not learned by itself is encoded by the largest part within it that it has.
        """
        from ..model._export import export_model, write_pt2
        from ..model._onnx import check_onnx, write_onnx

        check_is_fitted(self)
        if not os.fspath(path).endswith(".onnx"):
            export_model(self._model, path, write_pt2, ".pt2")
            return
        export_model(self._model, path, write_onnx, ".onnx")
        check_onnx(self, Path(path) / "encode.onnx")

    def _rebuild_network(self, patterns: torch.Tensor) -> JointNetwork:
        """Build the network of the last fit, weights not yet set."""
        as_fitted = copy.copy(self)
        vars(as_fitted).update(self._model.built)
        return as_fitted._build_network(self._model, patterns)

    def _restore(self, weights: dict[str, np.ndarray]) -> None:
        """Rebuild the network of the last fit with its weights, and keep it."""
        from ..model._learn import restore_net

        tensors = {name: torch.tensor(value) for name, value in weights.items()}
        network = self._rebuild_network(tensors["patterns"])
        network.load_state_dict(tensors)
        restore_net(self._model, self, network)
        self._keep(self._model)
