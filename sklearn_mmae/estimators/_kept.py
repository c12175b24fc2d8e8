"""`Kept`: an estimator pickled, saved and exported, and its network built again."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from .._core.typing import PathLike
from ..model._model import Model
from ..training._joint import JointNetwork
from ._files import save
from ._fitted import Fitted

__all__ = ["Kept"]


class Kept(Fitted):
    """The ways to keep an estimator. None has code: weights are arrays, all else plain values."""

    _build_network: Callable[[Model, torch.Tensor], JointNetwork]

    def __getstate__(self):
        """Return plain values and numpy arrays; a pickled net would be code."""
        state = super().__getstate__().copy()
        state = {k: v for k, v in state.items() if not k.startswith("_callback")}
        if state.pop("net_", None) is not None:
            state["_weights"] = self._model.weights()
            state["_model"] = copy.copy(self._model)  # without the net
        return state

    def __setstate__(self, state):
        """Rebuild the network from its weights."""
        state = dict(state)
        weights = state.pop("_weights", None)
        super().__setstate__(state)
        if weights is not None:
            self._restore(weights)

    def save(self, path: PathLike) -> None:
        """Write the fitted estimator to one file, which `sklearn_mmae.load` reads; no pickle.

        Parameters
        ----------
        path : str or path-like
            An older file of that name stays as it was until the new one is complete.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            For what no file without code can hold: a vectorizer that has learned something, a
            callable as fusion.

        Notes
        -----
        Parameters, fitted attributes and weights are kept, but not `device`, `callbacks`,
        `verbose`, any `memory`, a ``RandomState`` and the state of the optimizer.
        """
        check_is_fitted(self)
        save(self, path)

    def export(self, path: PathLike) -> None:
        """Write encoder and decoder as programs that need only torch, or a runtime of ONNX, to run.

        Parameters
        ----------
        path : path
            A folder, made if need be: ``encode.pt2``, ``decode.pt2``, and ``model.json``, which
            says what they take and give. If it ends in ``.onnx``, the folder has ``encode.onnx``
            and ``decode.onnx`` instead.

        Raises
        ------
        FileExistsError
            If the path is that of a file.
        ImportError
            If the extra ``onnx`` is needed, and absent.
        RuntimeError
            If vectors of the ONNX program differ from those of `transform`.

        Notes
        -----
        ``encode`` takes a dict of tensors, and returns what `transform` does. Of a table named
        "tabular" it takes "tabular.numbers" (float64; numbers and dates in their units, NaN in the
        missing values) and "tabular.codes" (places in the lists of categories, -1 where missing);
        of another modality what its `transform` makes of cells, and "name.present". ``decode``
        takes vectors, and returns numbers in their units, logits of categories, and pixels or
        logits of words. Among more than six modalities, a row that has a part of them which the
        network has not learned by itself is encoded by the largest part within it that it has.
        """
        from ..model._export import export_model, write_pt2
        from ..model._onnx import check_onnx, write_onnx

        check_is_fitted(self)
        if not os.fspath(path).endswith(".onnx"):
            export_model(self._model, path, write_pt2, ".pt2")
            return
        export_model(self._model, path, write_onnx, ".onnx")
        check_onnx(self, Path(path) / "encode.onnx")

    def _rebuild_network(self, patterns: torch.Tensor) -> JointNetwork:
        """Build the network of the last fit, weights not yet set."""
        as_fitted = copy.copy(self)
        vars(as_fitted).update(self._model.built)
        return as_fitted._build_network(self._model, patterns)

    def _restore(self, weights: dict[str, np.ndarray]) -> None:
        """Rebuild the network of the last fit with its weights, and keep it."""
        from ..model._learn import restore_net

        tensors = {name: torch.tensor(value) for name, value in weights.items()}
        network = self._rebuild_network(tensors["patterns"])
        network.load_state_dict(tensors)
        restore_net(self._model, self, network)
        self._keep(self._model)
