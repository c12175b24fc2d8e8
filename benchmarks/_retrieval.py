"""What benchmarks of two modalities share: retrieval of one by the other, and classical rivals."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union

from sklearn_mmae.metrics import recall_at_k

__all__ = ["both", "cca", "hits", "searched", "text_components"]


def hits(cells, words, rows=None):
    """Return the shares of rows found in the first 1 and 10, both ways; some rows among all."""
    found = []
    for queries, targets in ((cells, words), (words, cells)):
        queries = queries if rows is None else queries[rows]
        found += [recall_at_k(queries, targets, k, rows=rows) for k in (1, 10)]
    return found


def searched(mmae, frame, sides, among=None):
    """Return the same shares by `search`: both ways between two columns, among all rows or others.

    `among` are the rows to search, and where those of the frame stand in them.
    """
    among, rows = (frame, np.arange(len(frame))) if among is None else among
    found = []
    for x, to in (sides, sides[::-1]):
        best = mmae.search(frame[[x]], among[[to]], to=to, n=10).rows
        found += [float((best[:, :k] == rows[:, None]).any(1).mean()) for k in (1, 10)]
    return found


def both(cells, words, test):
    """Return the hits among the test rows, then those of the test rows among all."""
    return hits(cells[test], words[test]) + hits(cells, words, test)


def text_components(n):
    """Return principal components of words and of their parts."""
    return make_pipeline(
        make_union(
            TfidfVectorizer(sublinear_tf=True),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), sublinear_tf=True),
        ),
        TruncatedSVD(n, random_state=0),
    )


def cca(cells, words, new_cells, new_words, k):
    """Return canonical variates of new rows: singular vectors between whitened components."""
    whiten = [PCA(whiten=True).fit(block) for block in (cells, words)]
    known = [white.transform(block) for white, block in zip(whiten, (cells, words), strict=True)]
    left, correlation, right = np.linalg.svd(known[0].T @ known[1] / len(cells))
    # Variates count as much as they correlate, or the last ones, which are noise, would rule.
    weight = correlation[:k]
    return (
        whiten[0].transform(new_cells) @ left[:, :k] * weight,
        whiten[1].transform(new_words) @ right[:k].T * weight,
    )
