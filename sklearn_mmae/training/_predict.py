"""Embeddings, outputs and deviances of many rows, in blocks of one fixed size.

Every block has the same number of rows, the last one padded: a matrix product takes another path
for another shape, and the bits of a row would depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from .._core.threads import side_by_side
from ._batches import Rows
from ._joint import JointNetwork
from ._translation import Translation

__all__ = [
    "agreements",
    "block_size",
    "decode",
    "decode_average",
    "deviances",
    "encode",
    "for_blocks",
    "read_outputs",
]

MOST_NUMBERS = 2**23  # of the regressions of patterns that are held at once
LEAST_BLOCKS = 4  # below that, starting helpers costs more than they save


def block_size(network: JointNetwork) -> int:
    """Return the rows per block: many for small networks, few for large ones."""
    columns = sum(part.largest for part in network.networks)
    size = 2 ** int(np.log2(2**20 / columns)) if columns < 2**20 else 1
    return int(np.clip(size, 32, 1024))


def for_blocks(n: int, size: int, work: Callable[[slice, Tensor, int], None]) -> None:
    """Call ``work(rows, index, n)`` per block: where its results go, the rows to take, how many."""

    def block(start: int) -> None:
        stop = min(start + size, n)
        with torch.inference_mode():  # holds for the thread that enters it
            work(
                slice(start, stop), torch.arange(start, start + size).clamp_max(n - 1), stop - start
            )

    starts = range(0, n, size)
    if len(starts) < LEAST_BLOCKS:
        for start in starts:
            block(start)
    else:
        side_by_side(block, starts)


def encode(network: JointNetwork, rows: Rows, unknown: np.ndarray | None = None) -> Tensor:
    """Return the embeddings of rows, (rows, components) float32 on the CPU.

    Parameters
    ----------
    network : JointNetwork
    rows : Rows
        On the CPU.
    unknown : ndarray of shape (patterns, modalities), bool, optional
        Patterns of presence beyond the network's own, as `index_patterns` numbers them.
    """
    device, size = network.patterns.device, block_size(network)
    patterns = network.patterns
    if unknown is not None and len(unknown):
        patterns = torch.cat([patterns, torch.as_tensor(unknown, device=device)])
    codes = torch.empty(len(rows), len(network.scale))
    for used, places in _by_patterns(network, rows):
        paths = None if used is None else network.paths_of(patterns[used.to(device)])

        def work(here: slice, index: Tensor, n: int, used=used, places=places, paths=paths) -> None:
            batch = rows.take(places[index])
            pattern = batch.pattern if used is None else torch.searchsorted(used, batch.pattern)
            views = network.views(batch.to(device).values)
            code = network.encode(views, pattern.to(device), paths)
            codes[places[here]] = (code * network.scale)[:n].cpu()

        for_blocks(len(places), size, work)
    return codes


def _by_patterns(network: JointNetwork, rows: Rows) -> Iterator[tuple[Tensor | None, Tensor]]:
    """Yield patterns that occur, some at a time, and the places of the rows that have them.

    None for all of them, where the network has few.
    """
    numbers = rows.pattern if rows.rows is None else rows.pattern[rows.rows]
    if network.has_few_paths:
        yield None, torch.arange(len(rows))
        return
    width = sum(projection.out_features for projection in network.projections)
    most = max(1, MOST_NUMBERS // (width * len(network.scale)))
    for used in numbers.unique().split(most):
        yield used, torch.isin(numbers, used).nonzero().flatten()


def decode(
    network: JointNetwork,
    codes: Tensor,
    m: int,
    seed: int | None = None,
    beside: Translation | None = None,
    log_scales: Tensor | None = None,
) -> np.ndarray:
    """Return the predictions of one of the decoders for embeddings, as an array.

    Parameters
    ----------
    network : JointNetwork
    codes : Tensor of shape (rows, components)
    m : int
    seed : int, optional
        Draw them, noise and all.
    beside : Translation, optional
        What else is known of rows that lack the modality.
    log_scales : Tensor, optional
        Of that noise; see `ModalityNetwork.draw`. Also of each row, (rows, n_scales).
    """
    part, device = network.decoders[m], network.patterns.device

    def draw(outputs: Tensor, first: int) -> Tensor:
        generator = torch.Generator(device).manual_seed(seed + first)
        own = log_scales
        if own.dim() == 2:
            rows = torch.arange(first, first + len(outputs)).clamp_max(len(own) - 1)
            own = own[rows.to(device)]
        return part.draw(outputs, own, generator)

    if seed is None:
        return read_outputs(network, codes, m, part.predict, beside)
    return _read(network, codes, m, draw)


def decode_average(network: JointNetwork, m: int) -> np.ndarray:
    """Return the prediction for the average row's embedding: one row, which costs little."""
    with torch.inference_mode():
        code = network.scale.new_zeros(1, len(network.scale))
        return network.decoders[m].predict(network.outputs(code, m)).cpu().numpy()


def read_outputs(
    network: JointNetwork,
    codes: Tensor,
    m: int,
    read: Callable[[Tensor], Tensor],
    beside: Translation | None = None,
) -> np.ndarray:
    """Return what ``read(outputs)`` makes of the outputs of a modality for vectors, as an array."""
    return _read(network, codes, m, lambda outputs, first: read(outputs), beside)


def _read(
    network: JointNetwork,
    codes: Tensor,
    m: int,
    read: Callable[[Tensor, int], Tensor],
    beside: Translation | None = None,
) -> np.ndarray:
    """Return what ``read(outputs, first row)`` makes of each block, as an array."""
    device, size = network.patterns.device, block_size(network)
    blocks = {}

    def work(here: slice, index: Tensor, n: int) -> None:
        code = codes.index_select(0, index).to(device) / network.scale
        outputs = network.outputs(code, m) if beside is None else beside.outputs(code, index)
        predicted = read(outputs, here.start)
        blocks[here.start] = predicted[:n].cpu().numpy()

    for_blocks(len(codes), size, work)
    return np.concatenate([blocks[start] for start in sorted(blocks)])


def agreements(network: JointNetwork, rows: Rows, present: np.ndarray) -> np.ndarray:
    """Return how far the others of a row speak for each of its modalities, in nats.

    Parameters
    ----------
    network : JointNetwork
        Of several modalities.
    rows : Rows
        On the CPU.
    present : ndarray of shape (rows, modalities), bool

    Returns
    -------
    ndarray of shape (rows, modalities), float64
        Pointwise mutual information; NaN where the modality is absent.
    """
    device, found = network.patterns.device, np.full(present.shape, np.nan)
    patterns, which = np.unique(present, axis=0, return_inverse=True)
    told = [
        network.direct.information(pattern) if pattern.any() else {}
        for pattern in torch.from_numpy(patterns)
    ]

    def work(here: slice, index: Tensor, n: int) -> None:
        batch = rows.take(index).to(device)
        reduced = network.reduce(network.views(batch.values)).double()
        of_rows = which.ravel()[index.numpy()[:n]]
        for p in np.unique(of_rows):
            for m, information in told[p].items():
                values = information.of(reduced)[:n].cpu().numpy()
                found[here, m] = np.where(of_rows == p, values, found[here, m])

    for_blocks(len(rows), block_size(network), work)
    return found


def deviances(
    network: JointNetwork, rows: Rows, codes: Tensor, present: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the deviances of embeddings, and of the best constant.

    Parameters
    ----------
    network : JointNetwork
    rows : Rows
    codes : Tensor of shape (rows, components)
    present : ndarray of shape (rows, modalities), bool

    Returns
    -------
    model, null : ndarray of shape (rows, modalities), float64
        NaN where the modality is absent.
    """
    device, size = network.patterns.device, block_size(network)
    model, null = np.full((2, len(rows), present.shape[1]), np.nan)

    def work(here: slice, index: Tensor, n: int) -> None:
        batch = rows.take(index).to(device)
        code = codes.index_select(0, index).to(device) / network.scale
        for m, (part, values) in enumerate(zip(network.networks, batch.values, strict=True)):
            constant = part.null_outputs.expand(size, -1)
            model[here, m] = part.deviance(network.outputs(code, m), values)[:n].cpu()
            null[here, m] = part.deviance(constant, values)[:n].cpu()

    for_blocks(len(rows), size, work)
    model[~present], null[~present] = np.nan, np.nan
    return model, null
