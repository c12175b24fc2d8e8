"""`PredictsRows`: rows that come back, translated, imputed, found among others or sampled."""

from __future__ import annotations

from sklearn.utils.validation import check_is_fitted

from .._core.typing import Names, Rows, SameContainer
from ..model._cells import impute
from ..model._draws import check_count, draw_rows
from ..model._search import Matches, search
from ._fitted import Fitted

__all__ = ["PredictsRows"]


class PredictsRows(Fitted):
    """The methods that return rows, in the container, columns and dtypes of `fit`."""

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

    def sample(self, n: int = 1, given: Rows | None = None) -> SameContainer:
        """Sample new rows, alike those of `fit`.

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
            sounds, clips, sequences and texts are what a sampled vector stands for. The samples of
            a given row follow one another.

        Raises
        ------
        ValueError
            For an `n` below 1; and where the vectors of `MultimodalAutoencoder` have no known
            distribution: it is learned by `fit`, of three rows and more.

        Notes
        -----
        `MultimodalVAE` samples vectors from its prior, or from the posterior of a given row. Those
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
