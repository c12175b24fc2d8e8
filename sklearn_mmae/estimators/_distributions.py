"""`PredictsDistributions`: intervals of numbers, probabilities of categories and of words."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from .._core.typing import Rows
from ..model._distributions import (
    Interval,
    category_probabilities,
    category_sets,
    predict_interval,
    word_shares,
)
from ._fitted import Fitted

__all__ = ["PredictsDistributions"]


class PredictsDistributions(Fitted):
    """The methods that say how sure a prediction is."""

    def predict_interval(self, X: Rows, level: float = 0.9) -> Interval:
        """Return an interval for each number, calibrated on rows held out in `fit`.

        A cell that is observed has an interval around what `reconstruct` gives, a missing one
        around what `impute` fills in.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
        level : float in (0, 1), default=0.9
            The share of the truth that the intervals should hold.

        Returns
        -------
        low, high : DataFrame, array or SliceDict, as given to `fit`
            The columns of numbers of all tables, as floats; a named tuple. Each row has a width of
            its own; an interval ends where its column does, and holds what is predicted. Infinite
            where too few rows calibrate for the level, with a warning.

        Raises
        ------
        ValueError
            If no column is a number, or no rows were held out.

        Notes
        -----
        Split conformal prediction [1]_ [2]_ with a group of its own [3]_ for each column, pattern
        of presence of modalities, share of missing values and for cells seen and not. Residuals
        are divided by a spread that training rows tell. Of up to 600 rows whose networks were
        refused, all calibrate, by folds [4]_ [5]_; so do all rows of the sample by which missing
        values of a table are imputed.

        References
        ----------
        .. [1] Papadopoulos, Proedrou, Vovk & Gammerman (2002), "Inductive confidence machines for
           regression", ECML.
        .. [2] Lei, G'Sell, Rinaldo, Tibshirani & Wasserman (2018), "Distribution-free predictive
           inference for regression", JASA 113.
        .. [3] Vovk, Lindsay, Nouretdinov & Gammerman (2003), "Mondrian confidence machine".
        .. [4] Vovk (2015), "Cross-conformal predictors", Annals of Mathematics and AI 74.
        .. [5] Barber, Candes, Ramdas & Tibshirani (2021), "Predictive inference with the
           jackknife+", Annals of Statistics 49.
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
            Of each categorical and bool column of the tables: of what `reconstruct` gives where it
            is observed, else of what `impute` gives.

        Raises
        ------
        ValueError
            If no column is categorical, or no rows were held out.

        Notes
        -----
        Logits are multiplied by a slope for each category (vector scaling [1]_) and get an offset
        [2]_, in groups as for `predict_interval`. Where training went on with all rows after these
        were measured, slopes are such that probabilities of training rows remain as large. Of
        missing values in a table that is there, one slope for each column is learned, so that the
        likeliest category is the imputed one.

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
