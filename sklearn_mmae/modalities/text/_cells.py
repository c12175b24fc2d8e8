"""Text: reading cells, what counts as a word, and tokens that join to the same text again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import islice
from unicodedata import category, normalize

import numpy as np

from ..._core.errors import CellTypeError, listing, warn
from ...statistics import PLAIN, Statistics
from ...tables._cells import Column

__all__ = ["END", "decode_tokens", "encode_tokens", "learn_tokens", "read_texts", "word_pattern"]

LONGEST = 1_000_000  # characters of a cell that are read
_LAST_MARK = 0x1EFFF  # beyond are selectors of variants only
_BEYOND_LATIN = "(?=[\u0300-\U0010ffff])"  # looked at first: Latin text shall not pay for others
_JOINERS = "\u200c\u200d"  # within words of India and Persia, and between pictographs
# A pictograph with its skin tone and those joined to it, or the two letters of a flag.
_ONE = "[\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff][\U0001f3fb-\U0001f3ff]?"
_PICTOGRAPH = (
    f"{_BEYOND_LATIN}(?:[\U0001f1e6-\U0001f1ff]{{2}}"
    f"|{_ONE}(?:\ufe0f?\u200d{_ONE})*[\U000e0020-\U000e007f]*)"
)
_MOST_CHARACTERS = 500
END = 0  # the token that ends a text; it also stands before the first


@cache
def word_pattern() -> str:
    r"""Return the pattern of a word with its apostrophes, or of a pictograph by itself.

    Other marks say too little. Combining marks, which ``\w`` leaves out, belong to the word: vowel
    signs of India, tones of Thailand, points of Hebrew.
    """
    return rf"(?u)\w+(?:['\u2019]\w+|{_joined()})*|{_PICTOGRAPH}"


@cache
def _pieces() -> re.Pattern:
    """Return the pattern of pieces: each character is in one, so they join to the same text."""
    return re.compile(rf" ?\w+(?:{_joined()})*| ?{_PICTOGRAPH}| ?[^\w\s]|\s")


def _joined() -> str:
    return rf"{_BEYOND_LATIN}(?:[{_marks()}]+\w*|[{_JOINERS}]\w+)"


@cache
def _marks() -> str:
    """Return Unicode's combining marks, for a character class."""
    return "".join(c for c in map(chr, range(0x300, _LAST_MARK)) if category(c)[0] == "M")


def read_texts(name: str | int, column: Column) -> tuple[np.ndarray, np.ndarray]:
    """Check and normalise a column of text.

    Parameters
    ----------
    name : str or int
        Of the column, for messages.
    column : Column

    Returns
    -------
    texts : ndarray of shape (present rows,), object
        Unicode's composed form (NFC), so that one letter is written in one way; a lone surrogate
        becomes U+FFFD.
    present : ndarray of shape (rows,), bool

    Raises
    ------
    CellTypeError
        If a cell is neither str nor missing.

    Warns
    -----
    DataWarning
        If a cell is longer than a million characters, of which the rest is not read.
    """
    rows, cells = np.flatnonzero(column.observed), list(column.values[column.observed])
    odd = [not isinstance(cell, str) for cell in cells]
    if any(odd):
        kinds = sorted({type(cell).__name__ for cell in cells if not isinstance(cell, str)})
        raise CellTypeError(
            f"holds {listing(kinds)} where text (str) is expected",
            remedy="Turn the cells into str, or give None where the text is missing",
            column=name,
            row=rows[odd].tolist(),
        )
    texts = np.empty(len(cells), object)
    texts[:] = [_normalise(cell[:LONGEST]) for cell in cells]
    long = [len(cell) > LONGEST for cell in cells]
    if any(long):
        warn(
            f"column {name!r}, row {listing(rows[long].tolist())}: longer than {LONGEST:,}"
            " characters, of which the rest is not read."
        )
    return texts, column.observed


def _normalise(text):
    text = normalize("NFC", str(text))
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def learn_tokens(
    texts: Iterable[str],
    max_pieces: int | None,
    max_length: int,
    statistics: Statistics = PLAIN,
) -> list[str]:
    """Choose the tokens in which texts are written.

    Parameters
    ----------
    texts : iterable of str
    max_pieces : int or None
        The most words and marks to keep (a word together with the space before it), by frequency.
    max_length : int
        Pieces of a text that are looked at.
    statistics : Statistics, default=PLAIN

    Returns
    -------
    list of str
        First the empty string (`END`), then pieces and, for spelling what is not among them, the
        500 most frequent characters.
    """
    pieces, characters = Counter(), Counter()
    for text in texts:
        for piece in islice(_pieces().finditer(text), max_length):
            pieces[piece[0]] += 1
            characters.update(piece[0])
    most_used = {
        *statistics.frequent("pieces", pieces, max_pieces),
        *statistics.frequent("characters", characters, _MOST_CHARACTERS),
    }
    return ["", *sorted(most_used)]


def encode_tokens(texts, tokens, length):
    """Write texts in tokens.

    Parameters
    ----------
    texts : sequence of str
    tokens : list of str
        From `learn_tokens`.
    length : int
        The most tokens of a text; what comes after is left out, and so is `END`.

    Returns
    -------
    ndarray of shape (texts, length), int32
        -1 after the end. Unknown pieces are spelled; unknown characters are left out.
    """
    number = {token: i for i, token in enumerate(tokens)}
    codes = np.full((len(texts), length), -1, np.int32)
    for row, text in zip(codes, texts, strict=True):
        written = []
        for piece in islice(_pieces().finditer(text), length):
            spelling = [piece[0]] if piece[0] in number else piece[0][:length]
            written += [number[token] for token in spelling if token in number]
        written = [*written, END][:length]
        row[: len(written)] = written
    return codes


def decode_tokens(codes, tokens):
    """Return token numbers, (rows, length), as an object array of texts; stops at `END`."""
    texts = np.empty(len(codes), object)
    texts[:] = ["".join(tokens[code] for code in row[: _length(row)]) for row in codes]
    return texts


def _length(row):
    ends = np.flatnonzero(row == END)
    return ends[0] if len(ends) else len(row)
