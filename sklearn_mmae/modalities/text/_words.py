"""Words of texts: which are kept, how often they occur, their weights and their shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from ...statistics import Statistics
from ._cells import word_pattern

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import CountVectorizer

__all__ = [
    "MOST_WORDS_OF_A_ROW",
    "counts_of",
    "hashed",
    "heaviest",
    "learn_idf",
    "learn_vocabulary",
    "log_shares",
    "shares_of",
    "tf_idf",
    "word_counter",
]

MOST_WORDS_OF_A_ROW = 512  # a longer text keeps the words of largest weight

# scikit-learn's text tools take as long to import as half of this package: they are imported in
# the functions that need them.


def word_counter(**options: Any) -> CountVectorizer:
    """Return what counts words, given options of `CountVectorizer`."""
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(token_pattern=word_pattern(), **options)


def hashed(texts: np.ndarray, n: int) -> sparse.csr_array:
    """Return how often texts have a word of each of so many hashes."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(
        n_features=n, token_pattern=word_pattern(), alternate_sign=False, norm=None
    )
    return sparse.csr_array(hashing.transform(texts))


def counts_of(make: Callable, vocabulary: list[str], texts: np.ndarray) -> sparse.csr_array:
    """Return how often texts have each entry of a vocabulary, which may have none."""
    if not vocabulary:  # which scikit-learn refuses
        return sparse.csr_array((len(texts), 0))
    return sparse.csr_array(make(vocabulary=vocabulary).transform(texts))


def learn_vocabulary(
    counter: CountVectorizer,
    texts: np.ndarray,
    most: int | None,
    statistics: Statistics,
    least: int = 1,
) -> tuple[list[str], sparse.csr_array]:
    """Return the most frequent words or parts of words, sorted, and how often texts have them.

    They occur at least so often in all texts.
    """
    try:
        counts = counter.fit_transform(texts)
        found = counter.get_feature_names_out().tolist()
    except ValueError as error:
        if "empty vocabulary" not in str(error):
            raise
        found, counts = [], sparse.csr_array((len(texts), 0), dtype=np.int64)
    often = dict(zip(found, np.asarray(counts.sum(0)).ravel().tolist(), strict=True))
    frequent = statistics.frequent("vocabulary", often, most)
    vocabulary = sorted(word for word, n in frequent.items() if n >= least)
    place = {word: i for i, word in enumerate(found)}
    # A word of other rows only is in none of these: it takes the empty column at the end.
    columns = sparse.csr_array(
        sparse.hstack([counts, sparse.csr_array((len(texts), 1), dtype=counts.dtype)])
    )
    return vocabulary, columns[:, [place.get(word, len(found)) for word in vocabulary]]


def learn_idf(counts: sparse.csr_array, n_texts: int, statistics: Statistics) -> np.ndarray:
    """Return the inverse document frequencies, as scikit-learn smooths them."""
    n_with = statistics.counts("texts with each", counts.indices, counts.shape[1])
    return np.log((n_texts + 1) / (n_with + 1)) + 1.0


def tf_idf(counts, idf):
    """Return damped tf-idf weights, each row of length 1 or all zero."""
    if not all(counts.shape):  # which scikit-learn refuses
        return sparse.csr_array(counts.shape)
    from sklearn.feature_extraction.text import TfidfTransformer

    weigh = TfidfTransformer(sublinear_tf=True)
    weigh.idf_ = idf
    return sparse.csr_array(weigh.transform(counts))


def heaviest(rows):
    """Keep the largest weights of each row."""
    many = np.flatnonzero(np.diff(rows.indptr) > MOST_WORDS_OF_A_ROW)
    for row in many:
        weights = rows.data[rows.indptr[row] : rows.indptr[row + 1]]
        weights[np.argsort(-weights, kind="stable")[MOST_WORDS_OF_A_ROW:]] = 0
    if len(many):
        rows.eliminate_zeros()
    return rows


def shares_of(words):
    """Return the weights of each row over their sum."""
    total = words.sum(1)
    return sparse.csr_array(words / np.where(total > 0, total, 1)[:, None])


def log_shares(shares: np.ndarray) -> np.ndarray:
    """Return the logarithms of shares, that of none finite."""
    # Characters for spelling may be in no training row by themselves.
    return np.log(np.maximum(shares, 1e-8))
