"""What the components of a fit stand for: their loadings."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ._model import Model

__all__ = ["components"]


def components(model: Model, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the loadings of each modality; see `BaseMultimodalAutoencoder.components_`.

    Parameters
    ----------
    model : Model
    names : sequence of str
        Of the components.
    """
    found = {}
    for m, part in enumerate(model.parts):
        # A copy: whoever writes into a frame does not write into the network.
        loadings = model.network.loadings(m).detach().cpu().numpy().T.copy()
        labels = part.modality.output_names(part.columns)
        labels = list(range(loadings.shape[1])) if labels is None else labels
        found[part.name] = pd.DataFrame(
            loadings[:, : len(labels)], index=pd.Index(names), columns=pd.Index(labels)
        )
    return found
