"""`MultimodalImputer`: missing values filled, as a step of a pipeline."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from .._core.errors import PrivacyError, listing
from .._core.parameters import validate_parameters
from .._core.typing import Rows, SameContainer
from ..tables import Chunks
from ..tables._table import list_columns, read_columns, with_flags
from ._autoencoder import MultimodalAutoencoder
from ._base import BaseMultimodalAutoencoder
from ._vae import MultimodalVAE

__all__ = ["MultimodalImputer"]

FLAG = "missingindicator_"  # as scikit-learn's imputers call such columns


class MultimodalImputer(TransformerMixin, BaseEstimator):
    """Fill the missing values of messy, multimodal rows by what the rest of a row tells.

    ``transform`` is `MultimodalAutoencoder.impute`: observed cells stay exactly as they were given,
    and a column of a table that nothing predicts better than its mean gets the mean.

    Parameters
    ----------
    estimator : MultimodalAutoencoder or MultimodalVAE, default=None
        What is fitted, a copy of it. None is ``MultimodalAutoencoder(max_epochs=0,
        random_state=0)``: the closed forms, which for cells of tables are all there is to it. Where
        whole images, sounds or texts are to be filled in, give one whose networks are trained.
    add_indicator : bool, default=False
        Append a column for each one that had missing values in `fit`: whether its cell was missing.

    Attributes
    ----------
    estimator_ : MultimodalAutoencoder or MultimodalVAE
        The fitted one.
    indicated_ : list
        The columns that had missing values in `fit`: their names, or positions of an array.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Where all names are strings.

    See Also
    --------
    sklearn.impute.SimpleImputer, sklearn.impute.IterativeImputer, sklearn.impute.KNNImputer

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmae import MultimodalImputer
    >>> x = np.linspace(-1, 1, 50)
    >>> X = np.column_stack([x, 2 * x, -x])
    >>> X[3, 1] = np.nan
    >>> filled = MultimodalImputer().fit_transform(X)
    >>> float(abs(filled[3, 1] - 2 * x[3]).round()), bool(filled[4, 1] == X[4, 1])
    (0.0, True)
    """

    estimator_: BaseMultimodalAutoencoder
    indicated_: list
    n_features_in_: int
    feature_names_in_: np.ndarray

    _parameter_constraints = {
        "estimator": [MultimodalAutoencoder, MultimodalVAE, None],
        "add_indicator": ["boolean"],
    }

    def __init__(
        self, estimator: BaseMultimodalAutoencoder | None = None, *, add_indicator: bool = False
    ) -> None:
        self.estimator = estimator
        self.add_indicator = add_indicator

    def __sklearn_tags__(self):
        """Say what the estimator takes: what the one inside does."""
        tags = super().__sklearn_tags__()
        inside = get_tags(self._unfitted())
        tags.input_tags, tags.target_tags = inside.input_tags, inside.target_tags
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _unfitted(self) -> BaseMultimodalAutoencoder:
        if self.estimator is None:
            return MultimodalAutoencoder(max_epochs=0, random_state=0)
        return self.estimator

    def fit(self, X: Rows, y: Any = None) -> Self:
        """Learn what fills the missing values.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
        y : array, default=None
            Labels, where the estimator's `target_weight` is above 0; else ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If no cell of a column is observed, or a parameter makes no sense.
        CellError
            For a cell that cannot be read.
        TypeError
            For `Chunks`.
        PrivacyError
            If the estimator has `privacy`.
        """
        validate_parameters(self)
        if isinstance(X, Chunks):
            raise TypeError(
                "MultimodalImputer takes no Chunks: MultimodalAutoencoder().fit(chunks) does, and"
                " its impute(chunks) fills in missing values."
            )
        estimator = self._unfitted()
        if estimator.privacy is not None:
            raise PrivacyError(
                "MultimodalImputer has no privacy: what predicts single cells is made of rows. Use"
                " impute of the estimator, or give privacy=None."
            )
        estimator = clone(estimator).fit(X, y)
        columns = self._read_used(estimator, X)
        empty = [name for name, column in columns.items() if not column.observed.any()]
        if empty:
            raise ValueError(
                f"column {listing(map(repr, empty))}: no cell is observed, so nothing can be filled"
                " in. Drop the column, or leave it out of the estimator's modalities."
            )
        cells = estimator._model.cells
        if cells is not None:
            cells.learned()  # here, not in the first `transform`
        self.estimator_ = estimator
        self.indicated_ = [name for name, c in columns.items() if not c.observed.all()]
        self.n_features_in_ = estimator.n_features_in_
        if hasattr(estimator, "feature_names_in_"):
            self.feature_names_in_ = estimator.feature_names_in_
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return self

    @staticmethod
    def _read_used(estimator: BaseMultimodalAutoencoder, X: Rows) -> dict:
        """Return the columns of X that belong to a modality, by name."""
        used = {name for _, _, names in estimator.modalities_ for name in names}
        return {name: column for name, column in list_columns(X) if name in used}

    def transform(self, X: Rows) -> SameContainer:
        """Fill the missing values: cells, modalities of a row, columns that are missing altogether.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)

        Returns
        -------
        DataFrame, array or SliceDict, as given to `fit`
            A row of which nothing is observed gets the average row, with a warning.
        """
        check_is_fitted(self)
        filled = self.estimator_.impute(X)
        if not self.add_indicator or not self.indicated_:
            return filled
        columns, n_rows = read_columns(X), len(filled)
        flags = {
            self._flag(name): ~columns[name].observed if name in columns else np.ones(n_rows, bool)
            for name in self.indicated_
        }
        return with_flags(filled, flags)

    def _flag(self, name: Any) -> str:
        named = isinstance(name, str)
        return f"{FLAG}{name if named else f'x{name}'}"

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of what `transform` returns.

        Parameters
        ----------
        input_features : array of str, default=None
            Names of the columns of an array; those of a frame are known.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        given = getattr(self, "feature_names_in_", np.arange(self.n_features_in_)).tolist()
        called = dict(zip(given, names.tolist(), strict=True))
        used = {name for _, _, columns in self.estimator_.modalities_ for name in columns}
        out = [called[name] for name in given if name in used]
        if self.add_indicator:
            out += [f"{FLAG}{called[name]}" for name in self.indicated_]
        return np.array(out, dtype=object)
