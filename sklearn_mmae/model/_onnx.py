"""Exported programs as ONNX, which other runtimes than torch's run, compared with `transform`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .._core.optional import optional
from ..tables import read
from ._export import inputs_of

__all__ = ["check_onnx", "write_onnx"]

WHY = "export to a path that ends in .onnx"
N_COMPARED = 16  # rows
TOLERANCE = 1e-3  # of embeddings, whose components are about 1


def write_onnx(program: Any, path: Path, outputs: list[str]) -> None:
    """Write a program of `torch.export`, whose inputs keep their names.

    Parameters
    ----------
    program : torch.export.ExportedProgram
    path : Path
    outputs : list of str
        Names of what it returns.

    Raises
    ------
    ImportError
        Naming the extra.
    """
    opset = optional("onnxscript", extra="onnx", why=WHY).opset18

    def sorted_stably(values: Any, stable: bool = True, dim: int = -1, descending: bool = False):
        """Sort as TopK of all does, which keeps the order of equal values."""
        n = opset.Gather(opset.Shape(values), opset.Constant(value_ints=[dim]))
        return opset.TopK(values, n, axis=dim, largest=int(descending), sorted=1)

    (given,), _ = program.example_inputs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about torch's own calls
        written = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            input_names=list(given) if isinstance(given, dict) else ["codes"],
            output_names=outputs,
            custom_translation_table={torch.ops.aten.sort.stable: sorted_stably},
        )
    written.save(str(path))


def check_onnx(estimator: Any, path: Path) -> None:
    """Compare a written encoder with `transform`, of rows that embeddings are decoded to.

    Parameters
    ----------
    estimator : BaseMultimodalAutoencoder
    path : Path
        Of the encoder.

    Raises
    ------
    RuntimeError
        If the vectors differ.
    """
    runtime = optional("onnxruntime", extra="onnx", why=WHY)
    model = estimator._model
    drawn = np.random.default_rng(0).normal(size=(N_COMPARED, estimator.n_components_))
    rows = estimator.inverse_transform(drawn)
    table = read(rows, estimator)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = {
        f"{part.name}.{key}": tensor.numpy()
        for part in model.parts
        for key, tensor in inputs_of(part, table.cells(part.places)).items()
    }
    (found,) = session.run(None, given)
    off = float(np.abs(found - np.asarray(estimator.transform(rows))).max())
    if not off < TOLERANCE:
        raise RuntimeError(
            f"{str(path)!r}: its vectors differ from those of `transform` by {off:.2g}. Export to a"
            " path without .onnx, as programs of torch, and report this with the versions of torch"
            " and onnxscript."
        )
