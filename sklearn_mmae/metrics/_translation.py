"""How well a translation predicts hidden cells, or their label."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import StrOptions, validate_params
from sklearn.utils.validation import check_is_fitted

from .._core.errors import listing
from .._core.holes import observed
from .._core.typing import Array, ArrayLike, Rows
from ._checks import check_labels, check_same_rows
from ._columns import Category, as_columns

__all__ = ["cross_modal_coherence", "translation_score"]


@validate_params(
    {"multioutput": [StrOptions({"uniform_average", "variance_weighted", "raw_values"})]},
    prefer_skip_nested_validation=True,
)
def translation_score(
    true: Rows, translated: Rows, *, multioutput: str = "uniform_average"
) -> float | Array:
    r"""Score a translation beside the true cells: 1 is perfect, 0 is the best constant.

    For each column

    .. math:: 1 - \frac{\sum_i loss(true_i, translated_i)}{\min_c \sum_i loss(true_i, c)}

    over the rows whose cell is known. Numbers, dates and arrays (images, video clips, sequences of
    one length): squared error, so that this is R2. Categories and bools: the share of errors, so
    that 0 is the commonest. Other texts: one minus the overlap of their words, 2 w(a and b) /
    (w(a) + w(b)); the constant is the true cell that overlaps most with all. A word counts by its
    inverse document frequency, w = log(rows / rows with it): a word of every row does not count.

    Parameters
    ----------
    true : DataFrame, array or SliceDict of shape (rows, columns)
        The cells as they are; missing ones do not count.
    translated : DataFrame, array or SliceDict of shape (rows, columns)
        The same columns from `translate`, `impute` or `reconstruct`.
    multioutput : {"uniform_average", "variance_weighted", "raw_values"}, default="uniform_average"
        As in `sklearn.metrics.r2_score`: the mean over columns, which like the estimators' own
        `score` does not depend on units; pooled over all numbers, in their units; or each column.

    Returns
    -------
    float or ndarray of shape (columns,)
        At most 1; below 0 if one constant would do better. A column that is constant has nothing
        to predict: it is left out, and NaN among raw values.

    Raises
    ------
    ValueError
        For rows or columns that differ, translated cells that are missing, and cells that cannot be
        compared: paths with images, or arrays of different lengths.

    See Also
    --------
    TranslationScorer : The same within a grid search.
    recall_at_k : For cells that differ in length or phase, as sounds do; compares embeddings.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mmae.metrics import translation_score
    >>> true = pd.DataFrame({"size": [1.0, 2.0, 3.0], "colour": ["red", "red", "blue"]})
    >>> translated = pd.DataFrame({"size": [1.0, 2.0, 2.0], "colour": ["red", "red", "blue"]})
    >>> translation_score(true, translated, multioutput="raw_values")
    array([0.5, 1. ])
    >>> translation_score(true, translated)
    0.75
    """
    true, translated = as_columns(true), as_columns(translated)
    if list(true) != list(translated):
        raise ValueError(
            f"the true cells have the columns {listing(true)}, the translated ones"
            f" {listing(translated)}. Give the same columns, in the same order."
        )
    losses = [_losses(name, true[name], translated[name]) for name in true]
    found, null = np.array([loss[:2] for loss in losses], np.float64).T
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = np.where(null > 0, 1 - found / null, np.nan)
    if multioutput == "raw_values":
        return scores
    if not (null > 0).any():
        raise ValueError("every column is constant: there is nothing to compare. Give more rows.")
    if multioutput == "uniform_average":
        return float(np.nanmean(scores))
    words = [name for name, (_, _, is_number) in zip(true, losses, strict=True) if not is_number]
    if words:
        raise ValueError(
            f"multioutput='variance_weighted' pools numbers, and column {listing(words)} holds"
            " none. Write 'uniform_average', or leave the column out."
        )
    return float(1 - found.sum() / null.sum())


def _losses(name, true, translated):
    """Return the loss of a column, that of the best constant, and whether it is numeric."""
    check_same_rows(true=true, translated=translated)
    true, translated = np.asarray(true), np.asarray(translated)
    known = observed(true)
    missing = known & ~observed(translated)
    if missing.any():
        raise ValueError(
            f"column {name!r}, row {listing(np.flatnonzero(missing))}: the translated cell is a"
            " missing value. Give what translate, impute or reconstruct return."
        )
    true, translated = true[known], translated[known]
    if not len(true):
        return 0.0, 0.0, True
    numbers = [_numbers(name, cells) for cells in (true, translated)]
    if all(cells is None for cells in numbers):
        return *_word_losses(true, translated), False
    if any(cells is None for cells in numbers) or numbers[0].shape != numbers[1].shape:
        kinds = [_kind(cells) for cells in (true, translated)]
        raise ValueError(
            f"column {name!r}: true cells are {kinds[0]}, translated ones {kinds[1]}, which cannot"
            " be compared. Read and resize them first, or compare embeddings by recall_at_k."
        )
    # A cell of an array may be unknown, too.
    there = ~np.isnan(numbers[0])
    error = np.where(there, numbers[0] - numbers[1], 0)
    count = np.maximum(there.sum(0), 1)
    centre = np.where(there, numbers[0], 0).sum(0) / count
    spread = np.where(there, numbers[0] - centre, 0)
    # What is constant varies by rounding only.
    spread[:, (np.abs(spread) <= 1e-12 * np.abs(centre)).all(0)] = 0
    return (error**2).sum(), (spread**2).sum(), True


def _numbers(name, cells):
    """Return a column of numbers as floats of shape (rows, ...), or None."""
    if cells.dtype.kind == "M":
        return cells.astype("datetime64[ns]").astype(np.int64) / 86_400e9  # days
    if cells.dtype.kind in "iuf" or (cells.dtype.kind == "b" and cells.ndim > 1):
        return cells.astype(np.float64)
    if cells.dtype.kind != "O" or any(isinstance(cell, str | bytes | bool) for cell in cells):
        return None
    if np.ndim(cells[0]):
        shapes = list(dict.fromkeys(np.shape(cell) for cell in cells))
        if len(shapes) > 1:
            raise ValueError(
                f"column {name!r}: cells have shapes {listing(shapes)}, which cannot be compared"
                " number by number. Resize them, or compare embeddings by recall_at_k."
            )
        return np.stack([np.asarray(cell, np.float64) for cell in cells])
    try:
        return cells.astype(np.float64)
    except (TypeError, ValueError):
        return None


def _kind(cells):
    cell = cells[0]
    return f"arrays {np.shape(cell)}" if np.ndim(cell) else f"of type {type(cell).__name__}"


def _word_losses(true, translated):
    """Return the summed lack of overlap, and that of the best true cell for all rows."""
    whole = any(isinstance(cells[0], Category) for cells in (true, translated))
    true, translated = ([_words(cell, whole) for cell in cells] for cells in (true, translated))
    counted = Counter(true)
    counts = np.array(list(counted.values()))
    binarizer = MultiLabelBinarizer(sparse_output=True).fit([*counted, *translated])
    own, other, kinds = (
        binarizer.transform(cells).astype(np.float64) for cells in (true, translated, list(counted))
    )
    weights = np.log(len(true) / np.maximum(counts @ kinds, 1))
    sizes = kinds @ weights
    found = _overlap(own.multiply(other) @ weights, own @ weights + other @ weights)
    weighted = kinds.multiply(weights).tocsr()
    best = max(
        (_overlap((weighted[part] @ kinds.T).toarray(), sizes[part, None] + sizes) @ counts).max()
        for part in gen_batches(len(counts), 512)
    )
    return len(true) - found.sum(), len(true) - best


def _overlap(shared, sizes):
    return np.divide(2 * shared, sizes, out=np.ones_like(shared), where=sizes > 0)


def _words(cell, whole):
    words = [] if whole else re.findall(r"\w+", str(cell).casefold())
    return frozenset(words or [str(cell)])


def cross_modal_coherence(classifier: BaseEstimator, translated: ArrayLike, y: ArrayLike) -> float:
    """Return the share of translated rows that a classifier gives the label of their source.

    Does the image of "seven" show a seven? A classifier of the real target modality decides.

    Parameters
    ----------
    classifier : estimator
        Fitted on *real* rows of the target modality and their labels, those of training.
    translated : array-like of shape (rows, ...), as the classifier takes it
        Rows translated to that modality, from others of rows with these labels.
    y : array-like of shape (rows,)
        The labels of the source rows.

    Returns
    -------
    float
        0 to 1 [1]_. Compare with the classifier's accuracy on real test rows: it may be exceeded
        by translations that are more typical than real rows.

    Raises
    ------
    ValueError
        For lengths that differ, missing labels, and labels that the classifier does not know.
    NotFittedError
        If the classifier has not been fitted.

    References
    ----------
    .. [1] Y. Shi, N. Siddharth, B. Paige and P. H. S. Torr (2019). Variational mixture-of-experts
       autoencoders for deep generative models. NeurIPS.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.linear_model import RidgeCV
    >>> from sklearn.metrics import accuracy_score
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn_mmae.metrics import cross_modal_coherence
    >>> images, y = load_digits(return_X_y=True)
    >>> upper, lower = images[:, :32], images[:, 32:]
    >>> judge = KNeighborsClassifier().fit(lower[::2], y[::2])
    >>> translator = RidgeCV().fit(upper[::2], lower[::2])  # stands in for an autoencoder
    >>> coherence = cross_modal_coherence(judge, translator.predict(upper[1::2]), y[1::2])
    >>> 0.1 < coherence < judge.score(lower[1::2], y[1::2])
    True
    """
    check_is_fitted(classifier)
    y, _ = check_labels(y)
    check_same_rows(translated=translated, y=y)
    classes = getattr(classifier, "classes_", None)
    if classes is None:
        raise ValueError(
            f"a {type(classifier).__name__} is no classifier: it has no classes_. Give one that"
            " was fitted on real rows of the target modality and their labels."
        )
    unknown = np.setdiff1d(y, classes).tolist()
    if unknown:
        raise ValueError(
            f"y has {listing(map(repr, unknown))}, which the classifier has never seen. Its"
            f" classes are {listing(map(repr, classes.tolist()))}."
        )
    return float(np.mean(classifier.predict(translated) == y))
