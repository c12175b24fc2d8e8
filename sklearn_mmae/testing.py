"""Checks for modalities and fusions: ours, and those written outside the package."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import clone

from .fusion import CallableFusion, Fusion
from .modalities import Modality
from .modalities._base import tensors_of
from .nn._blocks import initialise
from .tables._cells import Cells

__all__ = ["check_fusion", "check_modality"]

N_COMPONENTS, WIDTH = 4, 16
GAINS = (0.25, 0.5, 1.0, 2.0, 4.0)
HOLES = (None, float("nan"), pd.NA)


def check_modality(modality: Modality, column: ArrayLike) -> None:
    """Check that a modality keeps its contract.

    It clones, fits and pickles; copes with missing values; and returns cells that it can read
    again. Its view and deviance are on the common scale, so that no modality outweighs another. A
    row depends on nothing but itself; gradients are finite; and torch's global random state stays
    untouched.

    Parameters
    ----------
    modality : Modality
        Not fitted; it stays as it is.
    column : array-like of shape (rows, ...)
        At least 8 cells that the modality can read, none missing and not all alike; some are
        removed here.

    Raises
    ------
    AssertionError
        Saying which promise is broken.

    Examples
    --------
    >>> from sklearn_mmae import TabularModality
    >>> from sklearn_mmae.testing import check_modality
    >>> check_modality(TabularModality(), [1.0, 2.0, 4.0, 8.0, 1.0, 3.0, 5.0, 9.0])
    """
    column = np.asarray(column)
    _require(len(column) >= 8, "give at least 8 cells")
    random_state = torch.get_rng_state()

    params, before = modality.get_params(deep=False), copy.deepcopy(column)
    fitted = clone(modality)
    _require(fitted.fit(_cells(column)) is fitted, "fit returns self")
    _require(_same(column, before), "the user's cells stay as they are")
    _require(
        all(fitted.get_params(deep=False)[name] is value for name, value in params.items())
        or repr(clone(fitted)) == repr(modality),
        "fit leaves the parameters as they are",
    )
    _require(
        not any(isinstance(v, torch.Tensor | torch.nn.Module) for v in vars(fitted).values()),
        "what is learned is kept in plain values and numpy arrays, not in tensors",
    )
    values = _check_values(fitted.transform(_cells(column)), len(column))
    _require(values.present.all(), "every cell that can be read is present")
    for other, how in (
        (clone(modality).fit_transform(_cells(column)), "fit_transform gives what fit and"),
        (pickle.loads(pickle.dumps(fitted)).transform(_cells(column)), "after pickling,"),
    ):
        _require(_same_values(other, values), f"{how} transform gives")

    network = _network(fitted)
    _check_scale(network, values)
    _check_rows(fitted, network, column)
    _check_linear_start(network, values)
    _check_gradients(network, values)
    _check_round_trip(fitted, network, values)
    _check_holes(modality, column)
    _require(
        torch.equal(random_state, torch.get_rng_state()),
        "torch's global random state stays untouched: build layers by `layer`, draw by generators",
    )


def check_fusion(fusion: Fusion | Callable[..., torch.Tensor]) -> None:
    """Check that a fusion keeps its contract.

    A row does not depend on the rows beside it, nor one subset of modalities on another; what is
    absent cannot leak; nothing observed is still finite; and gradients are.

    Parameters
    ----------
    fusion : Fusion or callable
        As given to `MultimodalAutoencoder`; it stays as it is.

    Raises
    ------
    AssertionError
        Saying which promise is broken.

    Examples
    --------
    >>> from sklearn_mmae.fusion import MeanFusion
    >>> from sklearn_mmae.testing import check_fusion
    >>> check_fusion(MeanFusion())
    """
    n_modalities, n_rows = 3, 7
    fuse = copy.deepcopy(fusion) if isinstance(fusion, Fusion) else CallableFusion(fusion)
    fuse.build(n_modalities, WIDTH, N_COMPONENTS)
    generator = torch.Generator().manual_seed(0)
    # Not at zero, where a fusion begins: everything that is wrong would be multiplied by it.
    initialise(fuse, generator, residuals_at_zero=False)
    fuse.eval()
    encodings = torch.randn(n_modalities, n_rows, WIDTH, generator=generator)
    present = torch.rand(2, n_modalities, n_rows, generator=generator) > 0.4
    present[..., 0], present[..., 1] = False, True
    start = torch.randn(2, n_rows, N_COMPONENTS, generator=generator)
    random_state = torch.get_rng_state()
    with torch.no_grad():
        code = fuse.forward(encodings, present, start)
        _require(code.shape == start.shape, "the embedding has the shape of the linear embedding")
        _require(code.isfinite().all(), "the embedding is finite, also where nothing is present")
        _require(
            torch.equal(fuse(encodings, present, start), code), "the same input, the same vector"
        )
        for subset in range(2):
            alone = fuse(encodings, present[subset], start[subset])
            _require(_close(alone, code[subset]), "leading dimensions are independent subsets")
        order = torch.randperm(n_rows, generator=generator)
        permuted = fuse(encodings[:, order], present[..., order], start[:, order])
        _require(_close(permuted, code[:, order]), "a row does not depend on its place")
        for row in range(n_rows):
            one = slice(row, row + 1)
            alone = fuse(encodings[:, one], present[..., one], start[:, one])
            _require(_close(alone, code[:, one]), "a row does not depend on the rows beside it")
        _require(
            not _close(fuse(encodings + 1, present, start)[:, 1], code[:, 1]),
            "what is present reaches the embedding",
        )
        for subset in range(2):
            for garbage in (1e6, torch.nan):
                there = present[subset]
                spoilt = torch.where(there[..., None], encodings, garbage)
                _require(
                    _close(fuse(spoilt, there, start[subset]), code[subset]),
                    f"what is absent does not leak into the embedding (it was {garbage})",
                )
    encodings.requires_grad_()
    fuse.train()
    fuse(encodings, present, start).square().sum().backward()
    _require(_finite_gradients(fuse), "gradients are finite")
    absent = ~present.any(0)
    _require(not encodings.grad[absent].any(), "what is absent gets no gradient")
    _require(
        torch.equal(random_state, torch.get_rng_state()),
        "torch's global random state stays untouched: draw by `SeededDropout`",
    )


def _check_values(values, n_rows):
    present = values.present
    _require(
        isinstance(present, np.ndarray) and present.dtype == bool and present.shape == (n_rows,),
        "present is an array (rows,) of bools",
    )
    _require(bool(values.tensors), "transform returns at least one array")
    for name, array in values.tensors.items():
        listed = isinstance(array, sparse.csr_array)
        _require(
            (listed or isinstance(array, np.ndarray))
            and array.dtype.kind in "biuf"
            and array.shape[0] == n_rows,
            f"{name!r} is an array of numbers, or a csr_array of them, rows first",
        )
        numbers = array.data if listed else array
        _require(np.isfinite(numbers).all(), f"{name!r} is finite, also where missing")
    return values


def _network(fitted):
    network = fitted.network(N_COMPONENTS, WIDTH, 0.1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(torch.nan)
    initialise(network, torch.Generator().manual_seed(0))
    _require(
        all(parameter.isfinite().all() for parameter in network.parameters()),
        "`initialise` draws every weight: use its layers, or give yours a method `draw`",
    )
    _require(
        all(buffer.isfinite().all() for buffer in network.buffers()), "buffers are finite numbers"
    )
    _require(
        network.null_outputs.shape == (network.n_outputs,), "null_outputs has n_outputs entries"
    )
    return network.eval()


@torch.no_grad()
def _check_scale(network, values):
    tensors, present = tensors_of(values), torch.from_numpy(values.present)
    view = network.view(tensors).to_dense()
    _require(
        view.shape == (len(present), network.n_view) and view.dtype == torch.float32,
        "the view is float32, (rows, n_view)",
    )
    _require(not view[~present].any(), "the view is 0 where missing")
    _require(view[present].mean(0).abs().max() < 1e-3, "the view is centred")
    variance = float(view[present].square().sum(1).mean())
    _require(abs(variance - 1) < 0.05, f"the view has total variance 1, not {variance:.3g}")
    constant = network.deviance(network.null_outputs.expand(len(present), -1), tensors)
    _require(constant.shape == present.shape, "deviance returns one number per row")
    mean = float(constant[present].mean())
    _require(abs(mean - 1) < 0.05, f"null_outputs has a mean deviance of 1, not {mean:.3g}")
    nudged = network.null_outputs + 0.1 * torch.randn(
        20, 1, network.n_outputs, generator=torch.Generator().manual_seed(0)
    )
    nudged = network.deviance(nudged.expand(-1, len(present), -1), tensors)[:, present].mean(1)
    _require(nudged.min() > 0.99 * mean, "null_outputs is the best constant")


@torch.no_grad()
def _check_rows(fitted, network, column):
    """Check that neither other rows nor other embeddings of a row make a difference to it."""

    def measure(cells, outputs):
        tensors = tensors_of(fitted.transform(_cells(cells)))
        return network.view(tensors).to_dense(), network.deviance(outputs, tensors)

    generator = torch.Generator().manual_seed(0)
    outputs = network.null_outputs + 0.1 * torch.randn(
        2, 3, len(column), network.n_outputs, generator=generator
    )
    view, deviance = measure(column, outputs)
    _require(deviance.shape == (2, 3, len(column)), "deviance has the outputs' leading dimensions")
    _require(
        _close(measure(column, outputs[1, 2])[1], deviance[1, 2]),
        "leading dimensions are independent embeddings of the same rows",
    )
    back, some = slice(None, None, -1), slice(2, 5)
    for part in (back, some):
        rows = torch.arange(len(column)).numpy()[part].copy()
        alone, apart = measure(column[rows], outputs[..., rows, :])
        _require(
            _close(alone, view[rows]) and _close(apart, deviance[..., rows]),
            "a row does not depend on the rows beside it",
        )


@torch.no_grad()
def _check_noise(network, values):
    tensors = tensors_of(values)
    view = network.view(tensors).to_dense()

    def corrupt(rows, noise):
        generator = torch.Generator().manual_seed(0)
        return network.corrupt(network.view(rows), noise, generator).to_dense()

    _require(torch.equal(corrupt(tensors, 0.0), view), "noise of strength 0 changes nothing")
    noisy = corrupt(tensors, 0.5)
    _require(bool(noisy.isfinite().all()), "a noisy view is finite")
    _require(not torch.equal(noisy, view), "noise makes a difference")
    _require(torch.equal(corrupt(tensors, 0.5), noisy), "noise comes from the generator alone")
    others = {name: rows[:1].expand_as(rows) for name, rows in tensors.items()}
    _require(
        torch.equal(corrupt(others, 0.5)[0], noisy[0]), "noise does not mix a row with the others"
    )


@torch.no_grad()
def _check_linear_start(network, values):
    tensors = tensors_of(values)
    view = network.view(tensors).to_dense()
    _, _, directions = torch.linalg.svd(view.double(), full_matrices=False)
    k = min(N_COMPONENTS, len(directions))
    weight = torch.zeros(network.n_view, N_COMPONENTS)
    weight[:, :k] = directions[:k].T
    code = view @ weight
    loss = []
    for gain in GAINS if network.has_link else (1.0,):
        network.gain.fill_(gain)
        network.start(weight)
        loss.append(float(network.deviance(network.decode(code), tensors).mean()))
    _require(
        min(loss) < 0.999,
        f"after `start`, decoding principal components beats the constant (got {min(loss):.3g})",
    )


def _check_gradients(network, values):
    network.train()
    tensors, generator = tensors_of(values), torch.Generator().manual_seed(0)
    initialise(network, generator, residuals_at_zero=False)
    view = network.corrupt(network.view(tensors), 0.2, generator)
    features = network.encode(view)
    _require(features.shape == (len(view), WIDTH), "the encoder returns (rows, width), however few")
    code = features[:, :N_COMPONENTS].expand(2, -1, -1)
    outputs = network.decode(code)
    _require(
        outputs.shape == (2, len(view), network.n_outputs),
        "the decoder maps (..., components) to (..., n_outputs)",
    )
    network.deviance(outputs, tensors).mean().backward()
    _require(_finite_gradients(network), "gradients are finite")
    for name in ("encoder", "decoder"):
        _require(
            any(p.grad is not None for p in getattr(network, name).parameters()),
            f"the deviance reaches the weights of the {name}",
        )
    network.zero_grad()
    network.eval()


def _check_round_trip(fitted, network, values):
    """Find the outputs nearest to the cells; as cells, they can be read again, and are near."""
    tensors, n_rows = tensors_of(values), len(values.present)
    outputs = network.null_outputs.repeat(n_rows, 1)
    with torch.no_grad():
        constant = float(network.deviance(outputs, tensors).mean())
    outputs.requires_grad_()
    search = torch.optim.LBFGS([outputs], max_iter=100, line_search_fn="strong_wolfe")

    def loss():
        search.zero_grad()
        found = network.deviance(outputs, tensors).mean()
        found.backward()
        return found

    search.step(loss)
    outputs = outputs.detach()
    with torch.no_grad():
        best = float(network.deviance(outputs, tensors).mean())
        _require(best < 0.5 * constant, f"outputs can come near to the cells (got {best:.3g})")
        predictions = network.predict(outputs).numpy()
    before = predictions.copy()
    columns = fitted.inverse_transform(predictions)
    _require(
        len(columns) == 1 and len(columns[0]) == n_rows,
        "inverse_transform returns a list, one array of cells per column",
    )
    _require(_same(predictions, before), "inverse_transform leaves the predictions as they are")
    again = _check_values(fitted.transform(_cells(columns[0])), n_rows)
    _require(again.present.all(), "cells that come back are not missing")
    with torch.no_grad():
        back = float(network.deviance(outputs, tensors_of(again)).mean())
    _require(back < 0.5 * constant, f"cells come back near to what they were (got {back:.3g})")


def _check_holes(modality, column):
    """Check missing values of every spelling in training, and a column of nothing else later."""
    hole = np.arange(len(column)) % 4 == 1
    found = []
    for spelling in HOLES:
        cells = np.empty(len(column), object)
        for row, cell in enumerate(column):
            cells[row] = spelling if hole[row] else cell
        fitted = clone(modality).fit(_cells(cells))
        found.append(_check_values(fitted.transform(_cells(cells)), len(column)))
        _require((found[-1].present == ~hole).all(), f"{spelling!r} is missing, and no other cell")
        _require(_same_values(found[-1], found[0]), "None, NaN and pd.NA are missing alike")
    network = _network(fitted)
    _check_scale(network, found[0])
    _check_noise(network, found[0])
    tensors, absent = tensors_of(found[0]), torch.from_numpy(hole)
    outputs = network.null_outputs.repeat(len(column), 1).requires_grad_()
    network.deviance(outputs, tensors)[~absent].sum().backward()
    _require(
        outputs.grad.isfinite().all() and not outputs.grad[absent].any(),
        "a missing cell has no part in the gradients of other rows",
    )
    outputs.grad = None
    deviance = network.deviance(outputs, tensors)
    _require(deviance.isfinite().all(), "the deviance of a missing cell is a finite number")
    torch.where(absent, 0, deviance).sum().backward()
    _require(
        outputs.grad.isfinite().all() and not outputs.grad[absent].any(),
        "nothing leaks from a missing cell into a gradient",
    )
    nothing = np.full(3, None, object)
    values = _check_values(fitted.transform(_cells(nothing)), 3)
    _require(not values.present.any(), "an empty column can be read once the modality is fitted")
    _require(
        not network.view(tensors_of(values)).to_dense().any(), "the view of a missing cell is 0"
    )


def _cells(column):
    return Cells(("column",), (column,))


def _same(one, other):
    if one.dtype != object:
        return np.array_equal(one, other, equal_nan=one.dtype.kind in "fM")
    return all(type(a) is type(b) and np.all(a == b) for a, b in zip(one, other, strict=True))


def _same_values(one, other):
    return (
        one.tensors.keys() == other.tensors.keys()
        and np.array_equal(one.present, other.present)
        and all(_same_array(array, other.tensors[name]) for name, array in one.tensors.items())
    )


def _same_array(one, other):
    if sparse.issparse(one):
        return one.shape == other.shape and (one != other).nnz == 0
    return np.array_equal(one, other)


def _close(one, other):
    return torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def _finite_gradients(module):
    return all(p.grad is None or p.grad.isfinite().all() for p in module.parameters())


def _require(kept, promise):
    if not kept:
        raise AssertionError(f"broken promise: {promise}")
