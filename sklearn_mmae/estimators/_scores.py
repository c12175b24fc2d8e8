"""`Scores`: how well rows fit what was learned, together and each by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from .._core.threads import one_thread
from .._core.typing import Rows
from ..tables import Chunks
from ..tables._chunks import chunked
from ._fitted import Fitted

__all__ = ["Scores"]


class Scores(Fitted):
    """The methods that compare rows with what the model makes of them."""

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
