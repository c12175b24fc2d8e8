"""`Embeds`: rows to vectors and back, and what the components of a vector are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from .._core.typing import ArrayLike, Rows, SameContainer
from ..model._components import components
from ._fitted import Fitted
from ._supervised import cross_fitted

__all__ = ["Embeds"]


class Embeds(Fitted, ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """The methods that make vectors of rows and rows of vectors."""

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
