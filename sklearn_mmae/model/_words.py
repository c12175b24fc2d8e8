"""Which words a fitted estimator expects of each row."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .._core.errors import listing
from .._core.threads import one_thread
from ..modalities import TextModality
from ..training._predict import read_outputs
from ._codes import encode_rows

__all__ = ["word_shares"]


@one_thread()
def word_shares(estimator, X):
    """Return a dict; see `BaseMultimodalAutoencoder.word_shares`."""
    encoded = encode_rows(estimator, X)
    found = {}
    for m, (_, modality, columns) in enumerate(estimator.modalities_):
        if isinstance(modality, TextModality) and modality.decoder == "words":
            network = estimator.net_.module_
            values = read_outputs(network, encoded.codes, m, network.networks[m].probabilities)
            found[columns[0]] = _frame_of(estimator, values, modality, encoded)
    if not found:
        names = [name for name, _, _ in estimator.modalities_]
        raise ValueError(
            "word_shares: no modality is a TextModality(decoder='words'); the modalities are"
            f" {listing(map(repr, names))}."
        )
    return found


def _frame_of(estimator, values, modality, encoded):
    if estimator._container["kind"] == "polars":
        import polars as pl

        return pl.DataFrame(dict(zip(modality.vocabulary_, values.T, strict=True)))
    return pd.DataFrame(values, columns=np.array(modality.vocabulary_, object)).set_axis(
        range(len(values)) if encoded.frame.index is None else encoded.frame.index
    )
