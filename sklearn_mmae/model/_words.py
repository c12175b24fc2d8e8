"""Which words a fitted estimator expects of each row."""

from __future__ import annotations

import numpy as np

from .._core.errors import listing
from .._core.threads import one_thread
from ..modalities import TextModality
from ..training._predict import shares
from ._codes import encode_rows

__all__ = ["word_shares"]


@one_thread()
def word_shares(estimator, X):
    """Return a dict; see `BaseMultimodalAutoencoder.word_shares`."""
    encoded = encode_rows(estimator, X)
    found = {}
    for m, (_, modality, columns) in enumerate(estimator.modalities_):
        if isinstance(modality, TextModality) and modality.decoder == "words":
            values = shares(estimator.net_.module_, encoded.codes, m)
            found[columns[0]] = estimator._container.frame_of(
                values, np.array(modality.vocabulary_, object), encoded.frame.index
            )
    if not found:
        names = [name for name, _, _ in estimator.modalities_]
        raise ValueError(
            "word_shares: no modality is a TextModality(decoder='words'); the modalities are"
            f" {listing(map(repr, names))}."
        )
    return found
