"""Exported programs need nothing of the package, and give what the estimator gives."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose

from sklearn_mmae import (
    ImageModality,
    MultimodalAutoencoder,
    MultimodalVAE,
    TabularModality,
    TextModality,
)
from sklearn_mmae.model import _onnx
from sklearn_mmae.model._export import inputs_of
from sklearn_mmae.tables import read

WORDS = np.array(["warm", "cold", "young", "wide", "calm", "deep"])


def make_rows(n_rows=120):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n_rows, 2)) @ rng.normal(size=(2, 3)), columns=[*"abc"])
    frame["colour"] = rng.choice(["red", "blue", "green"], n_rows)
    frame["when"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, n_rows), "D")
    frame["note"] = [" ".join(rng.choice(WORDS, 3)) for _ in range(n_rows)]
    frame["photo"] = list(rng.integers(0, 255, (n_rows, 8, 8), np.uint8))
    for i, name in enumerate(("a", "colour", "when", "note", "photo")):
        frame.loc[i :: 7 + i, name] = None
    return frame


PARTS = [
    ("table", TabularModality(), ["a", "b", "c", "colour", "when"]),
    ("note", TextModality(), ["note"]),
    ("photo", ImageModality(), ["photo"]),
]


@pytest.mark.parametrize(
    ("kind", "parts"),
    # An autoencoder of a table: docs/serving.md.
    [(MultimodalAutoencoder, PARTS), (MultimodalVAE, PARTS), (MultimodalVAE, PARTS[:1])],
)
def test_programs_give_what_the_estimator_gives(tmp_path, kind, parts):
    rows = make_rows()
    rows = rows[[name for *_, columns in parts for name in columns]]
    estimator = kind(parts, n_components=3, max_epochs=2, random_state=0).fit(rows)
    estimator.export(tmp_path / "model")
    encode, decode = (
        torch.export.load(tmp_path / "model" / f"{name}.pt2").module()
        for name in ("encode", "decode")
    )
    described = json.loads((tmp_path / "model" / "model.json").read_text())
    codes = estimator.transform(rows)
    for n_rows in (1, 50, len(rows)):
        table = read(rows[:n_rows], estimator)
        given = {
            f"{part.name}.{key}": tensor
            for part in estimator._model.parts
            for key, tensor in inputs_of(part, table.cells(part.places)).items()
        }
        assert given.keys() == described["inputs"].keys()
        found = encode(given).detach().numpy()
        assert_allclose(found, codes[:n_rows], rtol=1e-4, atol=1e-4)
    back, found = estimator.inverse_transform(codes), decode(torch.from_numpy(codes))
    numbers = found["table.numbers"].detach().numpy()
    assert_allclose(numbers[:, :3], back[["a", "b", "c"]], rtol=1e-3, atol=1e-3)
    (colours,) = described["modalities"]["table"]["categories"]
    assert [colours[i] for i in found["table.logits"].argmax(1)] == list(back["colour"])
    if len(parts) > 1:
        pixels = np.stack(back["photo"]).reshape(len(rows), -1)
        assert_allclose(found["photo"].detach().round(), pixels, atol=1)


@pytest.mark.slow
def test_onnx_gives_what_the_estimator_gives(tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    rows = make_rows()
    estimator = MultimodalAutoencoder(PARTS, n_components=3, max_epochs=2, random_state=0).fit(rows)
    folder = tmp_path / "model.onnx"
    estimator.export(folder)
    assert {file.suffix for file in folder.iterdir()} == {".onnx", ".json"}
    encode, decode = (
        onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in ("encode", "decode")
    )
    table, codes = read(rows, estimator), estimator.transform(rows)  # many cells are missing
    given = {
        f"{part.name}.{key}": tensor.numpy()
        for part in estimator._model.parts
        for key, tensor in inputs_of(part, table.cells(part.places)).items()
    }
    assert_allclose(encode.run(["codes"], given)[0], codes, rtol=1e-4, atol=1e-4)
    (numbers,) = decode.run(["table.numbers"], {"codes": codes})
    back = estimator.inverse_transform(codes)
    assert_allclose(numbers[:, :3], back[["a", "b", "c"]], rtol=1e-3, atol=1e-3)
    monkeypatch.setattr(_onnx, "TOLERANCE", 0)
    with pytest.raises(RuntimeError, match="its vectors differ from those of `transform`"):
        _onnx.check_onnx(estimator, folder / "encode.onnx")


def test_a_file_is_no_folder_for_programs(tmp_path):
    (tmp_path / "file").touch()
    mmae = MultimodalAutoencoder(n_components=1, max_epochs=0).fit(np.eye(5))
    with pytest.raises(FileExistsError, match="Give a folder"):
        mmae.export(tmp_path / "file")
