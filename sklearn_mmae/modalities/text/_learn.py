"""`LearnsTexts`: what a text modality learns of its training rows, and the blocks of its view."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone

from ..._core.errors import CellError
from ...statistics import Statistics
from .._base import Modality
from ._cells import encode_tokens, learn_tokens
from ._vectorizers import BLOCKS, beside_words, column_of, vectorize
from ._words import (
    MOST_WORDS_OF_A_ROW,
    counts_of,
    hashed,
    heaviest,
    learn_idf,
    learn_vocabulary,
    log_shares,
    shares_of,
    tf_idf,
    word_counter,
)

__all__ = ["FULL_LENGTH", "LearnsTexts"]

FULL_LENGTH = 16  # words of a text that counts as much as any modality
LEAST_VARIANCE = 0.05  # of private texts, of a row's squared length


class LearnsTexts(Modality):
    """A modality that learns vocabularies, scales of blocks and mean shares; see `TextModality`."""

    decoder: str
    max_features: int | None
    vocabulary: list[str] | str | None
    stop_words: str | list[str] | None
    vectorizer: Any
    max_length: int

    vocabulary_: list[str]
    idf_: np.ndarray
    subwords_: list[str]
    subword_idf_: np.ndarray
    phrases_: list[str]
    phrase_idf_: np.ndarray
    vectorizers_: list[Any]
    offsets_: list[np.ndarray]
    block_scales_: np.ndarray
    mean_: np.ndarray
    tokens_: list[str]
    n_tokens_: int
    shares_: np.ndarray
    mean_length_: float
    null_deviance_: float

    def _fit(
        self, name: str, texts: np.ndarray, present: np.ndarray, statistics: Statistics
    ) -> list[sparse.csr_array]:
        """Learn everything; return the unscaled blocks."""
        if statistics.is_private:
            return [self._learn_privately(texts, statistics)]
        n_texts = int(statistics.counts("texts", np.zeros(len(texts), int), 1)[0])
        blocks = [self._learn_words(name, texts, n_texts, statistics)]
        self.vectorizers_, self.offsets_ = [], []
        for one in beside_words(self.vectorizer):
            if isinstance(one, str):
                blocks.append(self._learn_block(one, texts, n_texts, statistics))
            else:
                blocks.append(self._learn_columns(one, name, texts, present, statistics))
        _, means, variances = zip(
            *(statistics.moments(f"block {i}", block) for i, block in enumerate(blocks)),
            strict=True,
        )
        n_varying = max(1, sum(_or_one(v.sum()) != 1 for v in variances))
        self.block_scales_ = np.sqrt([_or_one(v.sum()) * n_varying for v in variances])
        self.mean_ = np.concatenate(
            [mean / scale for mean, scale in zip(means, self.block_scales_, strict=True)]
        )
        if self.decoder == "words":
            self._learn_shares(blocks[0], statistics)
        else:
            self._learn_tokens(texts, statistics)
        return blocks

    def _learn_words(
        self, name: str, texts: np.ndarray, n_texts: int, statistics: Statistics
    ) -> sparse.csr_array:
        if self.vocabulary is None:
            counter, most = word_counter(stop_words=self.stop_words), self.max_features
            own = statistics.of("words")
            self.vocabulary_, counts = learn_vocabulary(counter, texts, most, own)
        else:
            self.vocabulary_ = self._given_words()
            counts = self._count_words(texts)
        if not self.vocabulary_:
            raise CellError(
                "no word is in any training row",
                remedy="Leave the column out, or give fewer stop words",
                column=name,
            )
        self.idf_ = learn_idf(counts, n_texts, statistics.of("words"))
        _, (mean,), _ = statistics.moments("words of a text", counts.sum(1)[:, None])
        self.mean_length_ = float(mean)
        return heaviest(tf_idf(counts, self.idf_))

    def _learn_privately(self, texts: np.ndarray, statistics: Statistics) -> sparse.csr_array:
        """Learn how usual the words of a public vocabulary are from one sum of rows."""
        self.vocabulary_ = self._given_words()
        self.idf_ = np.ones(len(self.vocabulary_))
        self.vectorizers_, self.offsets_ = [], []
        counts = self._count_words(texts)
        words = heaviest(tf_idf(counts, self.idf_))  # rows of length 1, or 0
        shares = shares_of(words)
        shares.data *= -np.log(shares.data)
        length = np.minimum(counts.sum(1), FULL_LENGTH) / FULL_LENGTH
        nats = shares.sum(1) / np.log(MOST_WORDS_OF_A_ROW)
        about = np.stack([np.ones(len(texts)), words.sum(1) > 0, length, nats], 1)
        rows = np.hstack([about, words.todense()])
        sums, noise = statistics.sums("words", rows, 5**0.5)  # each of five parts is 1 at most
        n_present = max(sums[0], noise, 1.0)
        (_, known, length, nats), mean = np.split(sums / n_present, [4])
        mean = np.maximum(mean, noise / n_present)
        scale = max(np.clip(known, 0, 1) - (mean**2).sum(), LEAST_VARIANCE) ** 0.5
        self.block_scales_, self.mean_ = np.array([scale]), mean / scale
        self.mean_length_ = float(np.clip(length, 0, 1) * FULL_LENGTH)
        self.shares_ = mean / mean.sum()
        entropy = -self.shares_ @ np.log(self.shares_)
        within = np.log(MOST_WORDS_OF_A_ROW) * np.clip(nats, 0, 1)
        self.null_deviance_ = float(max(entropy - within, LEAST_VARIANCE * entropy)) or 1.0
        return words

    def _learn_block(
        self, block: str, texts: np.ndarray, n_texts: int, statistics: Statistics
    ) -> sparse.csr_array:
        """Learn the vocabulary of a built-in block; return its columns."""
        own, kind = statistics.of(block), BLOCKS[block]
        vocabulary, counts = learn_vocabulary(kind.counter(), texts, kind.most, own, kind.least)
        idf = learn_idf(counts, n_texts, own)
        vars(self).update(zip(kind.learned, (vocabulary, idf), strict=True))
        return tf_idf(counts, idf)

    def _learn_columns(
        self,
        transformer: Any,
        name: str,
        texts: np.ndarray,
        present: np.ndarray,
        statistics: Statistics,
    ) -> sparse.csr_array:
        """Fit a clone of a transformer, and keep it; return its columns."""
        fitted = clone(transformer).fit(column_of(texts))
        columns = vectorize(fitted, name, texts, present)
        # A sparse block stays sparse; of a dense one, dropping a column shall mean its mean.
        offset = np.zeros(columns.shape[1])
        if not sparse.issparse(columns):
            _, offset, _ = statistics.moments(f"vectorizer {len(self.offsets_)}", columns)
            columns = sparse.csr_array(columns - offset)
        self.vectorizers_.append(fitted)
        self.offsets_.append(offset)
        return columns

    def _learn_shares(self, words: sparse.csr_array, statistics: Statistics) -> None:
        """Learn the mean distribution over words, and the mean divergence of rows from it."""
        shares = shares_of(words)
        _, self.shares_, _ = statistics.moments("shares", shares)
        self.shares_ = self.shares_ / self.shares_.sum()
        nats = shares.copy()
        nats.data *= np.log(shares.data) - log_shares(self.shares_)[shares.indices]
        _, (mean,), _ = statistics.moments("nats", nats.sum(1)[:, None])
        self.null_deviance_ = _or_one(mean)

    def _learn_tokens(self, texts: np.ndarray, statistics: Statistics) -> None:
        """Learn tokens, the length of a text in them, and their mean distribution."""
        self.tokens_ = learn_tokens(texts, self.max_features, self.max_length, statistics)
        codes = encode_tokens(texts, self.tokens_, self.max_length)
        written = (codes >= 0).sum(1)
        self.n_tokens_ = int(statistics.quantile("tokens of a text", written, 1))
        row, place = np.nonzero(codes >= 0)
        each = 1 / written[row], (row, codes[row, place])
        shares = sparse.csr_array(sparse.coo_array(each, shape=(len(texts), len(self.tokens_))))
        _, self.shares_, _ = statistics.moments("shares of tokens", shares)
        self.null_deviance_ = _or_one(-self.shares_ @ log_shares(self.shares_))

    def _given_words(self) -> list[str]:
        """Return the words that are not chosen by `fit`, or what stands for them."""
        if self.vocabulary == "hash":
            return [f"#{i}" for i in range(self.max_features)]
        return list(self.vocabulary)

    def _count_words(self, texts: np.ndarray) -> sparse.csr_array:
        """Return how often texts have each word of the vocabulary."""
        if self.vocabulary == "hash":
            return hashed(texts, self.max_features)
        return counts_of(word_counter, self.vocabulary_, texts)

    def _blocks(self, name, texts, present):
        """Return the unscaled blocks of the present rows, each (rows, columns) sparse."""
        blocks = [heaviest(tf_idf(self._count_words(texts), self.idf_))]
        fitted = zip(self.vectorizers_, self.offsets_, strict=True)
        for one in beside_words(self.vectorizer):
            if isinstance(one, str):
                vocabulary, idf = (getattr(self, name) for name in BLOCKS[one].learned)
                blocks.append(tf_idf(counts_of(BLOCKS[one].counter, vocabulary, texts), idf))
            else:
                blocks.append(_columns(*next(fitted), name, texts, present))
        return blocks


def _columns(transformer, offset, name, texts, present):
    """Return the columns of a fitted transformer, less their offset."""
    if not len(texts):
        return sparse.csr_array((0, len(offset)))
    columns = vectorize(transformer, name, texts, present)
    if columns.shape[1] != len(offset):
        raise CellError(
            f"{type(transformer).__name__} gave {columns.shape[1]} columns, in fit {len(offset)}",
            remedy="It must give the same columns for every text",
            column=name,
        )
    return sparse.csr_array(columns if sparse.issparse(columns) else columns - offset)


def _or_one(spread):
    """Return a variance or deviance to divide by; equal rows have none but for rounding."""
    return float(spread) if spread > 1e-9 else 1.0
