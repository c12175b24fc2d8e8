"""Encoder and decoder of a model as programs of `torch.export`, which need nothing of this package.

Rows go in as tensors: of a table its numbers, NaN where missing, and the codes of its categories,
-1 where values are missing, which the program scales and fills itself; of other modalities what
their `transform` makes of cells, and which rows have any.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._core.typing import PathLike
from ..modalities import TabularModality
from ..modalities._base import tensors_of
from ..statistics._factors import DECIMALS, Expectation
from ._model import Model
from ._parts import Part

__all__ = ["export_model", "inputs_of", "write_pt2"]

N_SHOWN = 2  # rows that a program is traced with, of any number


class _Table(nn.Module):
    """What `TabularModality.transform` does, of numbers and codes."""

    def __init__(self, modality: TabularModality):
        super().__init__()
        table = Expectation(modality.shares_, modality.loadings_, modality.noise_)
        self.fills = modality.loadings_.shape[1] > 0
        sizes = list(map(len, modality.shares_))
        for name, value in {
            "mean": modality.mean_,
            "scale": modality.scale_,
            "share": np.concatenate([[], *modality.shares_]),
            "unit": np.repeat(table._indicator_scales(), sizes),
            "loadings": modality.loadings_,
            "noise": modality.noise_,
            "column": np.repeat(np.arange(len(sizes)), sizes),
            "code": np.concatenate([np.empty(0, int), *map(np.arange, sizes)]),
        }.items():
            self.register_buffer(name, torch.as_tensor(value))

    def forward(self, given: dict[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
        """Return the tensors of a table, and which rows have anything."""
        numbers, codes = given["numbers"], given.get("codes")
        observed = ~numbers.isnan()
        standardised = torch.where(observed, (numbers - self.mean) / self.scale, 0)
        tensors = {"numbers": standardised.float(), "observed": observed}
        present, there, centred = observed.any(1), observed, standardised
        if codes is not None:
            tensors["codes"], known = codes, codes >= 0
            present = present | known.any(1)
            spread = known[:, self.column]
            indicator = (codes[:, self.column] == self.code).double() - self.share
            there = torch.cat([observed, spread], 1)
            centred = torch.cat([standardised, torch.where(spread, indicator * self.unit, 0)], 1)
        if self.fills:
            means, n = self._expected(centred, there), numbers.shape[1]
            filled = torch.where(observed, tensors["numbers"], means[:, :n].float())
            tensors["numbers"] = filled
            if codes is not None:
                tensors["expected"] = (self.share + means[:, n:] / self.unit).float()
        return tensors, present

    def _expected(self, centred: Tensor, there: Tensor) -> Tensor:
        """Return what is expected of all cells given those that are there."""
        weight = there / self.noise
        one = torch.eye(self.loadings.shape[1], dtype=weight.dtype, device=weight.device)
        precision = (weight[:, None] * self.loadings.T) @ self.loadings + one
        towards = (centred * weight) @ self.loadings
        factors = _solved(precision, towards)
        return (factors @ self.loadings.T).round(decimals=DECIMALS)


def _solved(matrices: Tensor, right: Tensor) -> Tensor:
    """Return what `torch.linalg.solve` does, of positive matrices, by operations that ONNX has."""
    both = torch.cat([matrices, right[:, :, None]], 2)
    for i, here in enumerate(torch.eye(matrices.shape[1], dtype=torch.bool)):
        row = both[:, i : i + 1] / both[:, i : i + 1, i : i + 1]
        both = torch.where(here[:, None], row, both - both[:, :, i : i + 1] * row)
    return both[:, :, -1]


class _Encoder(nn.Module):
    """Tensors to vectors, as `transform`."""

    def __init__(self, model: Model):
        super().__init__()
        self.network, self.names = model.network, model.names
        self.tables = nn.ModuleDict(
            {
                f"of_{m}": _Table(part.modality)
                for m, part in enumerate(model.parts)
                if isinstance(part.modality, TabularModality)
            }
        )

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the vectors of rows."""
        values, present = [], []
        for m, name in enumerate(self.names):
            start = len(name) + 1
            given = {key[start:]: v for key, v in inputs.items() if key.startswith(f"{name}.")}
            there = given.get("present")
            if f"of_{m}" in self.tables:
                given, there = self.tables[f"of_{m}"](given)
            values.append(given)
            present.append(there)
        network, shown = self.network, torch.stack(present, 1)
        # The largest known pattern within a row's: of few modalities, its own.
        within = (shown[:, None] | ~network.patterns).all(2)
        pattern = torch.where(within, network.patterns.sum(1), -1).argmax(1)
        return network.encode(network.views(values), pattern) * network.scale


class _Decoder(nn.Module):
    """Vectors to what `Modality.inverse_transform` takes; the numbers of tables in their units."""

    def __init__(self, model: Model):
        super().__init__()
        self.network, self.names = model.network, model.names
        for m, part in enumerate(model.parts):
            if isinstance(part.modality, TabularModality):
                self.register_buffer(f"mean_{m}", torch.as_tensor(part.modality.mean_))
                self.register_buffer(f"scale_{m}", torch.as_tensor(part.modality.scale_))

    def forward(self, codes: Tensor) -> dict[str, Tensor]:
        """Return the predictions of each modality."""
        found, codes = {}, codes / self.network.scale
        for m, name in enumerate(self.names):
            outputs = self.network.outputs(codes, m)
            predicted = self.network.networks[m].predict(outputs)
            if hasattr(self, f"mean_{m}"):
                mean, scale = getattr(self, f"mean_{m}"), getattr(self, f"scale_{m}")
                found[f"{name}.numbers"] = predicted[:, : len(mean)] * scale + mean
                if predicted.shape[1] > len(mean):
                    found[f"{name}.logits"] = predicted[:, len(mean) :]
            else:
                found[name] = predicted
        return found


def export_model(
    model: Model, path: PathLike, write: Callable[[Any, Path, list[str]], None], suffix: str
) -> None:
    """Write ``encode``, ``decode``, each with a suffix, and ``model.json`` into a folder.

    Parameters
    ----------
    model : Model
    path : path
        Of the folder, which is made if need be.
    write : callable
        ``write(program, path, outputs)`` writes a program, given names of what it returns.
    suffix : str
        Of the programs' files.
    """
    folder = Path(os.fspath(path))
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{str(path)!r} is a file. Give a folder, which need not exist yet.")
    folder.mkdir(parents=True, exist_ok=True)
    device = model.network.patterns.device
    inputs = {
        f"{part.name}.{key}": tensor.to(device)
        for part in model.parts
        for key, tensor in inputs_of(part, model.columns.holes(part.places, N_SHOWN)).items()
    }
    rows, shapes = torch.export.Dim("rows"), {}
    for m, name in enumerate(model.names):
        # A text is a list of weights and of their columns, of any length.
        longest = torch.export.Dim(f"words_{m}")
        for key in [key for key in inputs if key.startswith(f"{name}.")]:
            shapes[key] = {0: rows}
            if key.endswith((".weights_at", ".weights")):
                inputs[key] = nn.functional.pad(inputs[key], (0, N_SHOWN))
                shapes[key][1] = longest
    codes = torch.zeros(N_SHOWN, len(model.network.scale), device=device)
    encoder, decoder = _Encoder(model).eval(), _Decoder(model).eval()
    with torch.no_grad():
        decoded = list(decoder(codes))
    for name, module, given, sizes, outputs in (
        ("encode", encoder, inputs, shapes, ["codes"]),
        ("decode", decoder, codes, {0: rows}, decoded),
    ):
        program = torch.export.export(module, (given,), dynamic_shapes=(sizes,), strict=False)
        # Weights are slices of one tensor, all of which would be written for each.
        program.state_dict.update({key: _own(value) for key, value in program.state_dict.items()})
        write(program, folder / f"{name}{suffix}", outputs)
    described = {"inputs": {key: str(v.dtype) for key, v in inputs.items()}, "modalities": {}}
    for part in model.parts:
        described["modalities"][part.name] = _described(part)
    text = json.dumps(described, indent=1, default=str)
    (folder / "model.json").write_text(text, encoding="utf-8")


def write_pt2(program: Any, path: Path, outputs: list[str]) -> None:
    """Write a program of `torch.export`, which knows the names of what it returns."""
    torch.export.save(program, path)


def _own(tensor: Tensor) -> Tensor:
    """Return a tensor with memory of its own."""
    own = tensor.detach().clone()
    return nn.Parameter(own, requires_grad=False) if isinstance(tensor, nn.Parameter) else own


def inputs_of(part: Part, cells: Any) -> dict[str, Tensor]:
    """Return what a program takes of the cells of one modality.

    Parameters
    ----------
    part : Part
    cells : Cells

    Returns
    -------
    dict of str to Tensor
    """
    if isinstance(part.modality, TabularModality):
        numbers, codes = part.modality.numbers_and_codes(cells)
        given = {"numbers": numbers.astype(np.float64)} | (
            {} if codes is None else {"codes": codes}
        )
        return {key: torch.tensor(array) for key, array in given.items()}
    values = part.read(cells)
    return tensors_of(values) | {"present": torch.tensor(values.present)}


def _described(part: Part) -> dict[str, Any]:
    """Return what a service has to know of a modality."""
    about = {"class": type(part.modality).__name__, "columns": part.columns}
    if isinstance(part.modality, TabularModality):
        about |= {name: getattr(part.modality, f"{name}_") for name in ("kinds", "dtypes")}
        about["categories"] = part.modality.labels()
    return about
