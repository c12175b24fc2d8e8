"""A step on a device never waits for it: tensors on "meta" have no numbers that one could read."""

import copy
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from sklearn_mmae import MultimodalAutoencoder, MultimodalVAE, TabularModality, TextModality
from sklearn_mmae.cells import Cells
from sklearn_mmae.model._read import as_rows
from sklearn_mmae.objectives import OBJECTIVES
from sklearn_mmae.training._gradients import FlatWeights, PlainGradients

ESTIMATORS = {
    "autoencoder": MultimodalAutoencoder,
    **{name: partial(MultimodalVAE, objective=name) for name in OBJECTIVES},
}
N_ROWS = 40


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(N_ROWS, 4)), columns=list("abcd"))
    frame["kind"] = np.where(frame["a"] > 0, "high", "low")
    frame["text"] = ["red apple" if b > 0 else "green pear tree" for b in frame["b"]]
    frame.loc[::5, "b"] = np.nan
    return frame


@pytest.fixture(params=ESTIMATORS, scope="module")
def on_meta(request, rows):
    """A network and a batch without numbers."""
    table, text = [*"abcd", "kind"], ["text"]
    modalities = [("table", TabularModality(), table), ("text", TextModality(), text)]
    options = {"n_components": 4, "width": 16, "max_epochs": 0, "random_state": 0}
    mmae = ESTIMATORS[request.param](modalities, **options).fit(rows)
    batch = mmae._model.read(rows, mmae).rows.take(torch.arange(N_ROWS))
    network = mmae.net_.module_
    network.guard(False)
    return copy.deepcopy(network).to("meta"), batch.to(torch.device("meta"))


def test_batches_of_rows_on_a_device_read_no_number(rows):
    cells = Cells(("text",), (rows["text"].to_numpy(object),))
    values = TextModality().fit(cells).transform(cells)
    on_device = as_rows([values], np.zeros(N_ROWS, int)).to(torch.device("meta"))
    batch = on_device.take(torch.arange(3, device="meta"))
    assert batch.values[0]["weights"].device.type == "meta"


def test_a_training_step_reads_no_number(on_meta):
    network, batch = on_meta
    weights, generator = FlatWeights([list(network.parameters())]), torch.Generator()
    gradients = PlainGradients(network, generator, weights, N_ROWS)
    gradients.train(True)
    shown = network.draw(batch.pattern, generator)
    losses = gradients.teach(lambda n, g, some, seen: n(some, seen, 0.3, g), batch, shown)
    weights.average(0.9)
    assert losses.device.type == weights.gradients[0].device.type == "meta"


def test_codes_and_held_out_losses_read_no_number(on_meta):
    network, batch = on_meta
    network.eval()
    code = network.encode(network.views(batch.values), batch.pattern)
    assert code.shape == (N_ROWS, 4)
    assert network.judged(batch, torch.Generator).shape == (N_ROWS,)


def test_a_number_that_is_read_is_noticed(on_meta):
    network, batch = on_meta
    with pytest.raises((RuntimeError, NotImplementedError)):
        network.encode(network.views(batch.values), batch.pattern).sum().item()
