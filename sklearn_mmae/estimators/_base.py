"""`BaseMultimodalAutoencoder`: what both estimators are, one face beside the other."""

from __future__ import annotations

from typing import Any, Self

from sklearn.utils.metaestimators import _BaseComposition

from .._core.errors import listing
from ._diagram import diagram
from ._distributions import PredictsDistributions
from ._embeddings import Embeds
from ._fitting import Learns
from ._kept import Kept
from ._predicted import PredictsRows
from ._scores import Scores
from ._supervised import PredictsTarget

__all__ = ["BaseMultimodalAutoencoder"]


class BaseMultimodalAutoencoder(
    Learns,
    Embeds,
    PredictsRows,
    PredictsDistributions,
    PredictsTarget,
    Scores,
    Kept,
    _BaseComposition,
):
    """A transformer of rows of several modalities, and the way back.

    What a fit has learned is a `Model`, which every face asks. A subclass has parameters of its
    own, with their constraints, and builds the network.
    """

    OF_NETWORK = ("width", "fusion")  # parameters that the network is built of
    FACTS = ()  # what the subclass learns besides: names of arrays of one number per component

    def _sk_visual_block_(self):
        """Return the diagram that a notebook shows."""
        return diagram(self, self._model if hasattr(self, "net_") else None)

    @property
    def _named_modalities(self):
        """The list without its columns, for `get_params` and `set_params`."""
        try:
            named = [(name, modality) for name, modality, _ in self.modalities]
            return [] if any(isinstance(modality, type) for _, modality in named) else named
        except (TypeError, ValueError):  # "auto", or a list that `fit` will refuse
            return []

    @_named_modalities.setter
    def _named_modalities(self, value):
        self.modalities = [
            (name, modality, columns)
            for (name, modality), (_, _, columns) in zip(value, self.modalities, strict=True)
        ]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, those of the modalities as ``name__parameter``.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        dict
        """
        return self._get_params("_named_modalities", deep=deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also ``name__parameter`` of a modality, or ``name="drop"``.

        Parameters
        ----------
        **params

        Returns
        -------
        self
        """
        try:
            return self._set_params("_named_modalities", **params)
        except ValueError as error:
            names = [name for name, _ in self._named_modalities]
            known = {*names, *self.get_params(deep=False)}
            given = params.get("modalities", "auto")
            if isinstance(self.modalities, str) and isinstance(given, str):
                hint = (
                    "With modalities='auto' there are no modalities to set yet: fit once and give"
                    " modalities=mmae.modalities_, which lists them."
                )
            elif names and {name.partition("__")[0] for name in params} - known:
                hint = f"The modalities are {listing(map(repr, names))}."
            else:
                raise
            raise ValueError(f"{error} {hint}") from None

    def __sklearn_tags__(self):
        """Say what the estimator takes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.target_tags.required = self.target_weight > 0
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
