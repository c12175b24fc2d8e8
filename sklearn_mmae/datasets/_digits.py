"""Handwritten digits as images, words and numbers."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
import pandas as pd
from scipy.ndimage import label
from sklearn.datasets import load_digits

from .._core.typing import Array
from ._frames import as_frame

__all__ = ["load_digits_frame"]

_WORDS = (
    "zero, even",
    "one, odd",
    "two, even prime",
    "three, odd prime",
    "four, even",
    "five, odd prime",
    "six, even",
    "seven, odd prime",
    "eight, even",
    "nine, odd",
)
_LOOPS = ("no loop", "one loop", "two loops")


@overload
def load_digits_frame(
    *, as_words: bool = True, return_target: Literal[False] = False
) -> pd.DataFrame: ...


@overload
def load_digits_frame(
    *, as_words: bool = True, return_target: Literal[True]
) -> tuple[pd.DataFrame, Array]: ...


def load_digits_frame(*, as_words=True, return_target=False):
    """Load scikit-learn's handwritten digits as a table of images, words and numbers.

    It comes with scikit-learn, so nothing is downloaded, and nothing is random. The words name the
    digit and describe it, so that images can be retrieved by words and back.

    Parameters
    ----------
    as_words : bool, default=True
        Whether to have the column "caption".
    return_target : bool, default=False
        Whether to return the digits, too.

    Returns
    -------
    frame : DataFrame of 1,797 rows
        - "image": uint8 array (8, 8), 0 paper to 255 ink;
        - "caption": str, "seven, odd prime, no loop, thin ink, leans right, wide": the digit,
          its closed loops, the ink (thin, medium, heavy), which way it leans, and narrow or wide
          where it is;
        - "ink": mean darkness, 0 to 1;
        - "width": pixels from the first to the last column with a pixel at least half dark;
        - "slant": pixels to the right per pixel upwards (regression of one on the other);
        - "balance": share of the ink in the upper half, 0 to 1.
    target : ndarray of shape (1797,), int
        The digits; only with ``return_target=True``.

    Examples
    --------
    >>> from sklearn_mmae.datasets import load_digits_frame
    >>> frame = load_digits_frame()
    >>> frame["caption"][0]
    'zero, even, one loop, medium ink, upright'
    >>> frame["image"][0].shape
    (8, 8)
    """
    digits = load_digits()
    darkness = digits.images / 16
    numbers = _measure(darkness)
    captions = {"caption": _captions(digits.target, darkness, numbers)} if as_words else {}
    image = np.rint(255 * darkness).astype(np.uint8)
    frame = as_frame(image=image, **captions, **numbers)
    return (frame, digits.target) if return_target else frame


def _measure(darkness):
    total = darkness.sum((1, 2))
    right, up = np.arange(8.0), np.arange(8.0)[::-1, None]
    right = right - ((darkness * right).sum((1, 2)) / total)[:, None, None]
    up = up - ((darkness * up).sum((1, 2)) / total)[:, None, None]
    dark_columns = (darkness >= 0.5).any(1)
    return {
        "ink": darkness.mean((1, 2)),
        "width": 8 - dark_columns.argmax(1) - dark_columns[:, ::-1].argmax(1),
        "slant": (darkness * right * up).sum((1, 2)) / (darkness * up**2).sum((1, 2)),
        "balance": darkness[:, :4].sum((1, 2)) / total,
    }


def _captions(target, darkness, numbers):
    # The bounds cut the digits into parts of similar size, "upright" apart.
    ink = pd.cut(numbers["ink"], [-1, 0.285, 0.32, 2], labels=["thin", "medium", "heavy"])
    lean = pd.cut(
        numbers["slant"], [-9, -0.1, 0.1, 9], labels=["leans left", "upright", "leans right"]
    )
    width = pd.cut(numbers["width"], [0, 4, 5, 8], labels=[", narrow", "", ", wide"])
    return [
        f"{_WORDS[digit]}, {_LOOPS[_count_loops(picture)]}, {a} ink, {b}{c}"
        for digit, picture, a, b, c in zip(target, darkness, ink, lean, width, strict=True)
    ]


def _count_loops(picture):
    # Patches of paper that the ink cuts off from the paper around.
    _, patches = label(np.pad(picture < 0.4, 1, constant_values=True))
    return min(patches - 1, 2)
