"""Methods that return something for each row, of `Chunks` one chunk after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from ..tables import Chunks
from ..tables._chunks import chunked, naming_chunk, write_parquet

__all__ = ["TakesChunks", "by_chunk"]

OF_ROWS = {
    *("transform", "fit_transform", "inverse_transform", "reconstruct", "translate", "impute"),
    *("posterior", "score_samples", "predict_interval", "category_probabilities", "category_sets"),
    *("word_shares",),
}


def by_chunk(method: Callable) -> Callable:
    """Let a method take chunks, too, of which it returns an iterator or writes a file."""

    @wraps(method)
    def taking_chunks(self: Any, X: Any, *args: Any, **options: Any) -> Any:
        X = chunked(X)
        if not isinstance(X, Chunks):
            return method(self, X, *args, **options)
        if method.__name__ == "fit_transform":
            return self.fit(X, *args, **options).transform(X)
        check_is_fitted(self)
        path = None if method.__name__ == "translate" else options.pop("to", None)
        results = _results(self, method, X, args, options)
        if path is None:
            return results
        return write_parquet((_as_frame(self, method.__name__, found) for found in results), path)

    return taking_chunks


def _results(
    estimator: Any, method: Callable, chunks: Chunks, args: tuple, options: dict
) -> Iterator[Any]:
    for name, rows in chunks.named():
        with naming_chunk(name):
            found = method(estimator, rows, *args, **options)
        yield found


def _as_frame(estimator: Any, method: str, found: Any) -> Any:
    """Return what a method found of some rows as a data frame."""
    if not isinstance(found, np.ndarray):
        if isinstance(found, dict | list | tuple):
            raise TypeError(
                f"to=: {method} returns several tables, and one file holds one. Leave `to` out, and"
                " write what comes chunk by chunk."
            )
        return found
    if found.ndim == 1:
        return pd.DataFrame({method: found})
    names = map(str, range(found.shape[1]))
    return pd.DataFrame(
        found, columns=list(estimator.get_feature_names_out() if method == "transform" else names)
    )


class TakesChunks:
    """An estimator whose methods take `Chunks`.

    Outside of what `set_output` makes of `transform`, so that it makes that of each chunk.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        """Wrap the methods of a subclass."""
        super().__init_subclass__(**options)
        for name in OF_ROWS & vars(cls).keys():
            setattr(cls, name, by_chunk(vars(cls)[name]))
