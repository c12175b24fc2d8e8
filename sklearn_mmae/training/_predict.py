"""Codes, outputs and deviances of many rows, in blocks of one fixed size.

Every block has the same number of rows, the last one padded: a matrix product takes another path
for another shape, and the bits of a row would depend on its neighbours.
"""

from __future__ import annotations

import numpy as np
import torch

from .._core.threads import side_by_side
from ._batches import Batch, Rows

__all__ = [
    "block_size",
    "decode",
    "deviances",
    "encode",
    "for_blocks",
    "index_contained",
    "index_patterns",
    "on_device",
    "shares",
    "to_device",
]

LEAST_BLOCKS = 4  # below that, starting helpers costs more than they save


def block_size(network):
    """Return the rows per block: many for small networks, few for large ones."""
    columns = sum(part.n_view for part in network.networks)
    size = 2 ** int(np.log2(2**20 / columns)) if columns < 2**20 else 1
    return int(np.clip(size, 32, 1024))


def index_patterns(present, patterns):
    """Return the number of each row's pattern of presence.

    Parameters
    ----------
    present : ndarray of shape (rows, modalities), bool
    patterns : ndarray of shape (patterns, modalities), bool
        Those that are known.

    Returns
    -------
    index : ndarray of shape (rows,), int64
        Among the known ones, then the unknown ones.
    unknown : ndarray of shape (others, modalities), bool
    """
    known = {tuple(p): i for i, p in enumerate(patterns.tolist())}
    if present.all():  # the usual case; sorting the rows would cost more than to encode them
        return np.full(len(present), known[(True,) * present.shape[1]]), present[:0]
    found, inverse = np.unique(present, axis=0, return_inverse=True)
    unknown, numbers = [], []
    for pattern in map(tuple, found.tolist()):
        if pattern not in known:
            known[pattern] = len(known)
            unknown.append(pattern)
        numbers.append(known[pattern])
    unknown = np.array(unknown, bool).reshape(-1, present.shape[1])
    return np.array(numbers, np.int64)[inverse.ravel()], unknown


def index_contained(present, patterns):
    """Give each row the number of its pattern or, for training, of the largest one within it.

    Among many modalities not every pattern has a regression of its own (see `list_patterns`). A
    row of another one is learned from as if it had only what the largest known part of it has.

    Parameters
    ----------
    present : ndarray of shape (rows, modalities), bool
    patterns : ndarray of shape (patterns, modalities), bool
        Those that are known; nothing at all is one of them.

    Returns
    -------
    ndarray of shape (rows,), int64
    """
    index, unknown = index_patterns(present, patterns)
    within = (unknown[:, None] | ~patterns).all(2)
    largest = np.where(within, patterns.sum(1), -1).argmax(1)
    return np.concatenate([np.arange(len(patterns)), largest])[index]


def for_blocks(n, size, work):
    """Call ``work(rows, index, n)`` per block: where its results go, the rows to take, how many."""

    def block(start):
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


def on_device(batch, device):
    """Return a batch whose tensors are on a device."""
    if device.type == "cpu":
        return batch
    return Batch(
        [{k: v.to(device) for k, v in tensors.items()} for tensors in batch.values],
        batch.pattern.to(device),
    )


def to_device(rows, device):
    """Return rows whose tensors are on a device."""
    if rows.pattern.device == device:
        return rows
    return Rows(
        [{k: v.to(device) for k, v in tensors.items()} for tensors in rows.values],
        rows.pattern.to(device),
    )


def encode(network, rows, unknown=None):
    """Return the codes of rows, (rows, components) float32 on the CPU.

    Parameters
    ----------
    network : MultimodalNetwork
    rows : Rows
        On the CPU.
    unknown : ndarray of shape (patterns, modalities), bool, optional
        Patterns of presence beyond the network's own, as `index_patterns` numbers them.
    """
    device, size = network.patterns.device, block_size(network)
    patterns = table = None
    if unknown is not None and len(unknown):
        others = torch.as_tensor(unknown, device=device)
        patterns = torch.cat([network.patterns, others])
        table = torch.cat([network.table, network.regressions(others)])
    codes = torch.empty(len(rows), len(network.scale))

    def work(here, index, n):
        batch = on_device(rows.take(index), device)
        code = network.encode(network.views(batch.values), batch.pattern, patterns, table)
        codes[here] = (code * network.scale)[:n].cpu()

    for_blocks(len(rows), size, work)
    return codes


def decode(network, codes, m, seed=None):
    """Return the predictions of one modality for codes, as an array.

    Parameters
    ----------
    network : MultimodalNetwork
    codes : Tensor of shape (rows, components)
    m : int
    seed : int, optional
        Draw them, noise and all, from a `VariationalNetwork`.
    """
    part, device = network.networks[m], network.patterns.device

    def read(outputs, first):
        if seed is None:
            return part.predict(outputs)
        generator = torch.Generator(device).manual_seed(seed + first)
        return part.draw(outputs, network.noise_scales(m), generator)

    return _read_outputs(network, codes, m, read)


def shares(network, codes, m):
    """Return the distribution over the words of a text for codes, (rows, words) float32.

    Parameters
    ----------
    network : MultimodalNetwork
    codes : Tensor of shape (rows, components)
    m : int
        A modality whose outputs are logits.
    """
    return _read_outputs(network, codes, m, lambda outputs, first: outputs.softmax(-1))


def _read_outputs(network, codes, m, read):
    """Return what ``read(outputs, first row)`` makes of the outputs of a modality, as an array."""
    device, size = network.patterns.device, block_size(network)
    found = {}

    def work(here, index, n):
        code = codes.index_select(0, index).to(device) / network.scale
        predicted = read(network.outputs(code, m), here.start)
        found[here.start] = predicted[:n].cpu().numpy()

    for_blocks(len(codes), size, work)
    return np.concatenate([found[start] for start in sorted(found)])


def deviances(network, rows, codes, present):
    """Return the deviances of codes, and of the best constant.

    Parameters
    ----------
    network : MultimodalNetwork
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

    def work(here, index, n):
        batch = on_device(rows.take(index), device)
        code = codes.index_select(0, index).to(device) / network.scale
        for m, (part, values) in enumerate(zip(network.networks, batch.values, strict=True)):
            constant = part.null_outputs.expand(size, -1)
            model[here, m] = part.deviance(network.outputs(code, m), values)[:n].cpu()
            null[here, m] = part.deviance(constant, values)[:n].cpu()

    for_blocks(len(rows), size, work)
    model[~present], null[~present] = np.nan, np.nan
    return model, null
