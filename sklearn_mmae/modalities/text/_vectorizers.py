"""What the encoder sees of a text beside its words: their parts, and columns of transformers."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from ..._core.errors import CellError, did_you_mean
from ._cells import word_pattern

__all__ = [
    "BLOCKS",
    "beside_words",
    "built_in",
    "check_vectorizer",
    "column_of",
    "transformers",
    "vectorize",
]

MOST_COLUMNS = 20_000  # of a transformer; the encoder has a weight for each
LARGEST = np.finfo(np.float32).max / 1e6


def _subword_counter(**options):
    from sklearn.feature_extraction.text import CountVectorizer  # slow to import

    return CountVectorizer(analyzer="char_wb", ngram_range=(3, 3), **options)


def _phrase_counter(**options):
    from sklearn.feature_extraction.text import CountVectorizer  # slow to import

    return CountVectorizer(analyzer=_phrases, **options)


def _phrases(text: str) -> list[str]:
    """Return the pairs of words of a text and, if it has more than two, the whole text."""
    words = re.findall(word_pattern(), text.lower())
    whole = [" ".join(words)] if len(words) > 2 else []
    return [" ".join(pair) for pair in pairwise(words)] + whole


class Block(NamedTuple):
    """A built-in block: how it is counted, how much of it is kept, and under which names.

    Attributes
    ----------
    counter : callable
        Makes a `CountVectorizer`.
    most, least : int
        Entries that are kept, and how often one must occur.
    learned : (str, str)
        Names of the vocabulary and of its inverse document frequencies.
    """

    counter: Callable
    most: int
    least: int
    learned: tuple[str, str]


BLOCKS = {
    "subwords": Block(_subword_counter, 1000, 1, ("subwords_", "subword_idf_")),
    # A phrase that occurs once tells one row from all others.
    "phrases": Block(_phrase_counter, 4000, 2, ("phrases_", "phrase_idf_")),
}


def beside_words(vectorizer: Any) -> list:
    """Return what a parameter `vectorizer` asks for, built-in blocks and transformers."""
    if vectorizer is None:
        return []
    if isinstance(vectorizer, str) and vectorizer == "auto":
        return ["subwords"]
    return list(vectorizer) if isinstance(vectorizer, list | tuple) else [vectorizer]


def transformers(vectorizer: Any) -> list:
    """Return the transformers of a parameter `vectorizer`."""
    return [one for one in beside_words(vectorizer) if not isinstance(one, str)]


def built_in(vectorizer: Any) -> list[str]:
    """Return the names of the built-in blocks of a parameter `vectorizer`."""
    return [one for one in beside_words(vectorizer) if isinstance(one, str)]


def check_vectorizer(vectorizer: Any) -> None:
    """Refuse what is no built-in block, None, "auto", a transformer, or a list; ValueError."""
    asked, is_list = beside_words(vectorizer), isinstance(vectorizer, list | tuple)
    if is_list and not asked:
        raise ValueError(f"vectorizer={vectorizer!r}: list one at least, or give None.")
    for i, one in enumerate(asked):
        place = f"vectorizer[{i}]" if is_list else "vectorizer"
        if isinstance(one, type):
            raise ValueError(f"{place}: {one.__name__} is a class. Write {one.__name__}().")
        if isinstance(one, str):
            known, guess = one in BLOCKS, did_you_mean(one, BLOCKS)
        else:
            known, guess = hasattr(one, "transform"), ""
        if not known:
            others = "or a transformer" if is_list else "None, a transformer, or a list of them"
            raise ValueError(f"{place}={one!r}: give 'subwords', 'phrases', {others}.{guess}")
    for name in BLOCKS:
        if built_in(vectorizer).count(name) > 1:
            raise ValueError(f"vectorizer={vectorizer!r}: list {name!r} once.")


def column_of(texts: np.ndarray) -> pd.Series:
    """Return texts as transformers take them: those of skrub ask for a Series."""
    return pd.Series(texts, dtype=object)


def vectorize(
    transformer: Any, name: str, texts: np.ndarray, present: np.ndarray
) -> np.ndarray | sparse.csr_array:
    """Return the columns that a fitted transformer makes of texts, float64, after checking them.

    Parameters
    ----------
    transformer : transformer
    name : str
        Of the column, for messages.
    texts : ndarray of shape (present rows,), object
    present : ndarray of shape (rows,), bool

    Raises
    ------
    CellError
        If they are not one row per text, too many, or not finite.
    """
    kind = type(transformer).__name__
    columns = transformer.transform(column_of(texts))
    if sparse.issparse(columns):
        columns = sparse.csr_array(columns, dtype=np.float64)
    else:
        columns = np.asarray(columns, np.float64)
    if columns.ndim != 2 or len(texts) != columns.shape[0] or not columns.shape[1]:
        raise CellError(
            f"{kind} gave an array of shape {columns.shape} for {len(texts)} texts",
            remedy="It must give one row per text, and a column at least",
            column=name,
        )
    if columns.shape[1] > MOST_COLUMNS:
        raise CellError(
            f"{kind} gave {columns.shape[1]:,} columns, more than {MOST_COLUMNS:,}",
            remedy=f"Make fewer, or reduce them: make_pipeline({kind}(...), TruncatedSVD(300))",
            column=name,
        )
    largest = abs(columns).max(axis=1)
    largest = np.ravel(largest.toarray() if sparse.issparse(largest) else largest)
    bad = ~(largest < LARGEST)  # also where it is NaN
    if bad.any():
        raise CellError(
            f"{kind} gave numbers that are not finite or too large",
            remedy="Check what it makes of these texts",
            column=name,
            row=np.flatnonzero(present)[bad].tolist(),
        )
    return columns
