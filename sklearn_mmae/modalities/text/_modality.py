"""`TextModality`: free text, from names of a few words to reviews."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, Self

import joblib
import numpy as np
import torch
from scipy import sparse
from sklearn.base import clone

from ..._core.errors import CellError, did_you_mean, listing
from ..._core.values import are_floats, are_text, is_array, is_positive, is_whole
from ...statistics import PLAIN, Statistics
from ...tables._cells import Cells, Column, Values
from .._files import find_memory
from .._shown import Shown, Words, where_present
from ._cells import decode_tokens, encode_tokens, read_texts
from ._learn import FULL_LENGTH, LearnsTexts
from ._network import KeyWordsNetwork, SentenceNetwork
from ._vectorizers import (
    BLOCKS,
    beside_words,
    built_in,
    check_vectorizer,
    transformers,
)
from ._words import log_shares

__all__ = ["TextModality"]

MOST_TOKENS = 1024  # of a text that is written out, one after the other


class TextModality(LearnsTexts):
    """One column of text, in any language that puts spaces between words.

    The encoder gets blocks of equal variance: tf-idf weights of the words [1]_, and what
    `vectorizer` adds, such as those of their parts (sequences of three characters), by which
    related and misspelt words are alike. The decoder predicts either the row's words or the text
    itself.

    None, NaN and ``pd.NA`` are missing. An empty text, or one of unknown words only, is present.

    Parameters
    ----------
    decoder : {"words", "sequence"}, default="words"
        How text is predicted. "words": its most likely words, from the distribution of weights
        over the vocabulary. "sequence": written out, word by word, by a recurrent network; slower
        to train, and good for names and short sentences.
    max_features : int or None, default=3000
        The most words to keep, by frequency, as in scikit-learn's `CountVectorizer`. The
        "sequence" decoder spells rarer ones.
    vocabulary : list of str, "hash" or None, default=None
        The words, in lower case, in place of those that `fit` would choose by `max_features` and
        `stop_words`. "hash": no words are known, and each counts in one of `max_features` columns
        that its hash says [2]_; what comes back are the numbers of these columns, such as "#17".
        With `privacy`, take some hundreds.
    stop_words : {"english"}, list of str or None, default=None
        Words to leave out of the vocabulary.
    vectorizer : "auto", "subwords", "phrases", None, transformer or list, default="auto"
        What the encoder gets beside the words: parts of words, "subwords"; pairs of words and
        whole texts that occur more than once, "phrases"; nothing; or the columns that a
        transformer makes of a pandas Series of str, such as scikit-learn's `HashingVectorizer`,
        skrub's `StringEncoder` or a sentence encoder. Of a list of them, each is one more block.
        "auto" is "subwords" and, where `fit` has a target, "phrases", too: they predict targets
        better than other modalities. A transformer is cloned and fitted; what its
        own `fit` learns of the rows is asked of nobody, unlike all else, and its
        ``random_state`` is its own. `save` keeps one whose `fit` learns nothing, as its tag
        ``requires_fit=False`` says; name its class to `load` as ``trusted``. Parameters of one
        that stands in a list are not reached by `set_params`: give another list.
    n_words : int, default=5
        The most words that come back (only for ``decoder="words"``).
    max_length : int, default=64
        The most tokens (words, marks) of a text that are learned and written, at most 1024 (only
        for ``decoder="sequence"``).
    memory : str, path, joblib.Memory or None, default=None
        Folder that keeps what is made of a column of texts, for the next time that the same texts
        are looked at in the same way, as in a grid search. Pickles are kept there: let nobody else
        write to it.

    Attributes
    ----------
    vocabulary_ : list of str
        The words, in lower case: sorted, or as they are given.
    idf_ : ndarray of shape (words,)
        Their inverse document frequencies.
    subwords_, phrases_ : list of str
        Where they are asked for; with ``subword_idf_`` and ``phrase_idf_``.
    vectorizers_ : list of transformer
        The fitted clones of those that were given.
    offsets_ : list of ndarray of shape (columns,)
        What is subtracted from the columns of each: their mean, or 0 where they are sparse.
    block_scales_ : ndarray of shape (blocks,)
        What the blocks are divided by: the words, then the others in their order.
    mean_ : ndarray of shape (view columns,)
        Of the scaled blocks.
    tokens_ : list of str
        What a text is written with, and ``n_tokens_`` how many at most, where
        ``decoder="sequence"``.
    shares_ : ndarray of shape (words,) or (tokens,)
        Mean over the rows of the shares that words or tokens have in a row.
    mean_length_ : float
        Mean number of words of a text.
    null_deviance_ : float
        Mean deviance in nats of a row from them.

    Notes
    -----
    A row's shares are its damped tf-idf weights, ``(1 + log tf) * idf``, over their sum: usual
    words count little. The deviance of "words" is the Kullback-Leibler divergence of the predicted
    distribution from them, that of "sequence" the mean cross-entropy of a row's tokens; both in
    units of what the average distribution reaches. A row without a known word has deviance 0.

    References
    ----------
    .. [1] Salton & Buckley (1988), "Term-weighting approaches in automatic text retrieval",
       Information Processing & Management 24(5).
    .. [2] Weinberger et al. (2009), "Feature hashing for large scale multitask learning", ICML.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmae.cells import Cells
    >>> from sklearn_mmae.modalities import TextModality
    >>> names = np.array(["red heart", "blue heart", None], dtype=object)
    >>> modality = TextModality().fit(Cells(("name",), (names,)))
    >>> modality.vocabulary_
    ['blue', 'heart', 'red']
    >>> modality.transform(Cells(("name",), (names,))).present
    array([ True,  True, False])
    """

    def __init__(
        self,
        *,
        decoder: str = "words",
        max_features: int | None = 3000,
        vocabulary: list[str] | str | None = None,
        stop_words: str | list[str] | None = None,
        vectorizer: Any = "auto",
        n_words: int = 5,
        max_length: int = 64,
        memory: Any = None,
    ) -> None:
        self.decoder = decoder
        self.max_features = max_features
        self.vocabulary = vocabulary
        self.stop_words = stop_words
        self.vectorizer = vectorizer
        self.n_words = n_words
        self.max_length = max_length
        self.memory = memory

    @property
    def words(self) -> list[str] | None:
        """The words that the outputs are a distribution over; None where they are tokens."""
        return self.vocabulary_ if self.decoder == "words" else None

    @classmethod
    def accepts(cls, name: str, column: np.ndarray | Column) -> bool:
        """Whether every observed cell of a column is a str."""
        types = Column.of(column).types
        return len(types) > 0 and all(issubclass(kind, str) for kind in types)

    @property
    def usual_weight(self) -> float:
        """One, or less for short texts: three words do not count as much as a table or a page."""
        return min(1.0, (max(self.mean_length_, 1) / FULL_LENGTH) ** 0.25)

    def expect_target(self) -> None:
        """Look at phrases, too, unless the user has said what to look at."""
        if isinstance(self.vectorizer, str) and self.vectorizer == "auto":
            self.vectorizer = ["subwords", "phrases"]

    def check_public(self, cells: Cells) -> None:
        """Refuse texts of which a private fit would have to find the words."""
        self.check_parameters()
        if self.vocabulary is None or self.vectorizer is not None or self.decoder != "words":
            raise CellError(
                "privacy needs a vocabulary that is public, and nothing beside the words",
                column=cells.names[0],
                remedy="Give TextModality(vocabulary=[...] or 'hash', vectorizer=None)",
            )

    def fit(self, cells: Cells, statistics: Statistics = PLAIN) -> Self:
        """Learn the vocabulary, and how usual each word is.

        Parameters
        ----------
        cells : Cells
            One column.
        statistics : Statistics, default=PLAIN
            What is asked about the rows.

        Returns
        -------
        self

        Raises
        ------
        CellError
            If there is more than one column, or no word in any row.
        CellTypeError
            If a cell is not a str.
        ValueError
            If a parameter is out of its range.
        """
        self.fit_transform(cells, statistics)
        return self

    def fit_transform(self, cells: Cells, statistics: Statistics = PLAIN) -> Values:
        """Fit, and return the same cells as `Values`; words are counted only once."""
        self.check_parameters()
        name, texts, present = _read(cells)
        modality = clone(self)
        if not statistics.repeatable:
            modality.memory = None
        options = {"statistics": statistics}
        learned, blocks = _remembered(_learn, modality, name, texts, present, **options)
        vars(self).update(learned)
        return self._values(texts, present, blocks)

    def transform(self, cells: Cells) -> Values:
        """Return texts as sparse weights of the view's columns.

        Parameters
        ----------
        cells : Cells

        Returns
        -------
        Values
            ``weights`` (float32), a sparse array of shape (rows, columns of the view); ``tokens``
            (int32, -1 after the end) of shape (rows, `n_tokens_`) for the "sequence" decoder;
            ``present`` where a row is not.

        Raises
        ------
        CellError
            As `fit`.
        """
        name, texts, present = _read(cells)
        blocks = _remembered(_blocks, copy(self), name, texts, present)
        return self._values(texts, present, blocks)

    def inverse_transform(self, predictions: np.ndarray) -> list[np.ndarray]:
        """Return words joined by spaces, the most telling first, or texts.

        Parameters
        ----------
        predictions : ndarray of shape (rows, n_words or `n_tokens_`), int
            Numbers of words (-1 for none) or of tokens.

        Returns
        -------
        list of one ndarray of shape (rows,), object
            Of str. A row that is predicted to be the average one comes back as the most usual
            words, as a number would come back as the mean.
        """
        if self.decoder == "sequence":
            return [decode_tokens(predictions, self.tokens_)]
        texts = np.empty(len(predictions), object)
        texts[:] = [
            " ".join(self.vocabulary_[word] for word in row if word >= 0) for row in predictions
        ]
        return [texts]

    def explain(self, names: Sequence) -> str:
        """Say what the column is taken for; see `Modality.explain`."""
        return f"text: {len(self.vocabulary_)} words"

    def output_names(self, names: Sequence) -> list[str]:
        """Return the words, or what a text is written with; see `Modality.output_names`."""
        return self.tokens_ if self.decoder == "sequence" else self.vocabulary_

    def network(
        self, n_components: int, width: int, dropout: float
    ) -> KeyWordsNetwork | SentenceNetwork:
        """Build the network of the text.

        Parameters
        ----------
        n_components, width : int
        dropout : float

        Returns
        -------
        ModalityNetwork
        """
        mean = torch.tensor(self.mean_, dtype=torch.float32)
        null_logits = torch.tensor(log_shares(self.shares_), dtype=torch.float32)
        if self.decoder == "words":
            return KeyWordsNetwork(
                mean,
                null_logits,
                self.null_deviance_,
                self.n_words,
                n_components,
                width,
                dropout,
            )
        column = {word: i for i, word in enumerate(self.vocabulary_)}
        return SentenceNetwork(
            mean,
            null_logits,
            self.null_deviance_,
            torch.tensor([column.get(token.strip().lower(), -1) for token in self.tokens_]),
            len(self.vocabulary_),
            self.n_tokens_,
            n_components,
            width,
            dropout,
        )

    def learned(self) -> set[str]:
        """Return the names of what `fit` learns, for `load`."""
        state = {"vocabulary_", "idf_", "block_scales_", "mean_", "shares_", "null_deviance_"}
        state |= {"mean_length_"}
        state |= {"vectorizers_", "offsets_"}
        for block in built_in(self.vectorizer):
            state |= {*BLOCKS[block].learned}
        return state | ({"tokens_", "n_tokens_"} if self.decoder == "sequence" else set())

    def is_sound(self, n_columns: int) -> bool:
        """Whether what a file says was learned agrees with itself, for `load`."""
        beside, offsets = beside_words(self.vectorizer), self.offsets_
        blocks = [
            [getattr(self, name) for name in BLOCKS[one].learned]
            for one in built_in(self.vectorizer)
        ]
        vocabularies = [vocabulary for vocabulary, _ in blocks]
        written = self.tokens_ if self.decoder == "sequence" else self.vocabulary_
        return (
            n_columns == 1
            and isinstance(self.vectorizers_, list)
            and list(map(type, self.vectorizers_)) == list(map(type, transformers(self.vectorizer)))
            and isinstance(offsets, list)
            and len(offsets) == len(self.vectorizers_)
            and all(is_array(offset, "f") and are_floats(offset, len(offset)) for offset in offsets)
            and all(
                are_text(t) and len(set(t)) == len(t)
                for t in (self.vocabulary_, *vocabularies, written)
            )
            and are_floats(self.idf_, len(self.vocabulary_))
            and all(are_floats(idf, len(vocabulary)) for vocabulary, idf in blocks)
            and are_floats(self.block_scales_, 1 + len(beside), above=0)
            and are_floats(self.mean_, sum(map(len, [self.vocabulary_, *vocabularies, *offsets])))
            and len(written) > 0
            and are_floats(self.shares_, len(written))
            and (self.shares_ >= 0).all()
            and is_positive(self.null_deviance_)
            and is_positive(self.mean_length_ + 1)
            and (
                self.decoder != "sequence"
                or (
                    written[0] == ""
                    and is_whole(self.n_tokens_)
                    and 0 < self.n_tokens_ <= min(self.max_length, MOST_TOKENS)
                )
            )
        )

    def check_parameters(self) -> None:
        """Refuse parameters that make no sense; raises ValueError."""
        decoders = ("words", "sequence")
        if self.decoder not in decoders:
            raise ValueError(
                f"decoder={self.decoder!r}: give 'words' or 'sequence'."
                + did_you_mean(self.decoder, decoders)
            )
        self._check_vocabulary()
        words = self.stop_words
        if not (words is None or words == "english" or are_text(words)):
            raise ValueError(f"stop_words={words!r}: give 'english', a list of words, or None.")
        check_vectorizer(self.vectorizer)
        all_words = self.max_features is None
        for name in ("n_words", "max_length", "max_features")[: 2 if all_words else 3]:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name}={value!r}: give a whole number of at least 1.")
        if self.decoder == "sequence" and self.max_length > MOST_TOKENS:
            raise ValueError(f"max_length={self.max_length!r}: give at most {MOST_TOKENS:,}.")
        find_memory(self.memory)  # raises for what is no memory

    def _check_vocabulary(self) -> None:
        words = self.vocabulary
        if isinstance(words, str) and words == "hash":
            if self.decoder != "words" or self.max_features is None:
                raise ValueError("vocabulary='hash': give decoder='words' and max_features, too.")
            return
        usable = words is None or (isinstance(words, list) and len(words) > 0 and are_text(words))
        if not usable or (words and len({word.lower() for word in words} & {*words}) < len(words)):
            raise ValueError(
                "vocabulary: give a list of different words, in lower case, or 'hash'."
            )

    def _values(self, texts, present, blocks):
        view = sparse.hstack(
            [block / scale for block, scale in zip(blocks, self.block_scales_, strict=True)],
            format="csr",
        )
        tensors = {"weights": _with_absent(view, present)}
        if self.decoder == "sequence":
            tensors["tokens"] = np.full((len(present), self.n_tokens_), -1, np.int32)
            tensors["tokens"][present] = encode_tokens(texts, self.tokens_, self.n_tokens_)
        if not present.all():
            tensors["present"] = present
        return Values(tensors, present)

    def shown(self, cells: Cells, predicted: bool = False) -> Shown:
        """Return each row's words with their shares, or sentences as they are written."""
        if self.decoder != "words":
            return super().shown(cells, predicted)
        values, rows = self.transform(cells), []
        weights = values.tensors["weights"][:, : len(self.vocabulary_)]
        for row in range(len(values.present)):
            of_row = slice(*weights.indptr[row : row + 2])
            words = [self.vocabulary_[word] for word in weights.indices[of_row]]
            shares = weights.data[of_row] / weights.data[of_row].sum()
            rows.append(dict(zip(words, shares, strict=True)))
        usual = dict(zip(self.vocabulary_, self.shares_, strict=True))
        return Words(where_present(rows, values.present), usual)


def _remembered(work, modality, name, texts, present, **options):
    """Return what work makes of a copy of a modality, and of texts, from its memory if it can."""
    memory, modality.memory = modality.memory, None
    modality.n_words = 1  # which changes nothing
    # What raises is not kept, so that the name and the rows missing, which errors tell of, are
    # left aside.
    work = find_memory(memory).cache(work, ignore=["name", "texts", "present", *options])
    seen = None if memory is None else joblib.hash(texts.tolist())
    return work(modality, name, texts, present, seen=seen, **options)


def _learn(modality, name, texts, present, *, seen, statistics):
    """Return what a modality learns, and the unscaled blocks; for `_remembered`."""
    blocks = modality._fit(name, texts, present, statistics)
    return {key: value for key, value in vars(modality).items() if key.endswith("_")}, blocks


def _blocks(modality, name, texts, present, *, seen):
    """Return the unscaled blocks of texts; for `_remembered`."""
    return modality._blocks(name, texts, present)


def _read(cells):
    """Return the name, the texts and the present rows of the one column."""
    if len(cells.names) != 1:
        raise CellError(
            f"text is one column, not {len(cells.names)} ({listing(map(repr, cells.names))})",
            remedy="Give each its own TextModality",
        )
    name, column = cells.names[0], cells.looked_at[0]
    return name, *read_texts(name, column)


def _with_absent(view, present):
    """Return the rows of a sparse array in their places, absent ones empty, in float32."""
    length = np.zeros(len(present) + 1, view.indptr.dtype)  # other sizes widen the columns', too
    length[1:][present] = np.diff(view.indptr)
    listed = view.data.astype(np.float32), view.indices, length.cumsum(dtype=length.dtype)
    return sparse.csr_array(listed, (len(present), view.shape[1]))
