"""A fit of a Dask DataFrame in a cluster: a rank on each worker, with the rows that it computes."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

import pandas as pd

from .._core.errors import LostRankError
from .._core.ranks import ranks_at
from ..tables import Chunks

__all__ = ["find_cluster", "fit_on_cluster"]

PATIENCE = 10  # seconds in which others may tell why one has failed,
LOOK = 0.2  # and after which it is looked again which workers are still there


def find_cluster(X: Any) -> Any:
    """Return the client of a cluster, for a Dask DataFrame in a program that has one; else None."""
    distributed = sys.modules.get("distributed")
    if distributed is None or not hasattr(X, "to_delayed"):
        return None
    try:
        return distributed.default_client()
    except ValueError:
        return None


def fit_on_cluster(
    fit: Callable, X: Any, y: Any, sample_weight: Any, client: Any
) -> tuple[Any, Exception | None]:
    """Fit an estimator; return the fitted one, None if nothing was learned, and what ended the fit.

    Parameters
    ----------
    fit : method of an estimator
        ``fit(X, y, sample_weight, ranks)`` learns as one of several ranks.
    X : Dask DataFrame
    y : Dask Series or DataFrame of the same partitions, or None
    sample_weight : Dask Series of the same partitions, or None
    client : distributed.Client

    Raises
    ------
    ValueError
        For a cluster without workers, and for labels or weights that are not in partitions.
    """
    workers = sorted(client.nthreads())
    if not workers:
        raise ValueError("the cluster has no workers. Start some, or close the client.")
    parts = {"rows": X.to_delayed()}
    n, workers = len(parts["rows"]), workers[: len(parts["rows"])]
    for name, given in (("y", y), ("sample_weight", sample_weight)):
        if given is None:
            continue
        if not hasattr(given, "to_delayed") or len(given.to_delayed()) != n:
            raise ValueError(
                f"{name} has other partitions than X. Give a column of the same DataFrame."
            )
        parts[name] = given.to_delayed()
    size = len(workers)
    address = client.submit(_free_address, workers=workers[:1], pure=False).result()
    runs = []
    for rank, worker in enumerate(workers):
        at = {"workers": [worker], "allow_other_workers": False}
        own = slice(rank * n // size, (rank + 1) * n // size)
        given = {name: client.compute(list(part[own]), **at) for name, part in parts.items()}
        runs.append(client.submit(_fit_rank, fit, address, rank, size, **given, **at, pure=False))
    return _first_of(client, runs, workers)


def _first_of(client: Any, runs: list, workers: list) -> tuple[Any, Exception | None]:
    """Return what the first rank that ends has found; of errors, the one that led to the others."""
    from distributed import as_completed

    found, error = next(as_completed(runs)).result()
    if error is None:
        return found, None
    _wait_for_others(client, runs, workers)
    told = [run.result() for run in runs if run.status == "finished"]
    client.cancel(runs)
    kept = [one for one, _ in told if one is not None]
    reasons = [reason for _, reason in told]
    reasons.sort(key=lambda reason: isinstance(reason, LostRankError))
    return (kept or [None])[0], reasons[0]


def _wait_for_others(client: Any, runs: list, workers: list) -> None:
    """Wait for what ranks tell, of workers that are still there: from others nothing comes."""
    from distributed import wait

    end = monotonic() + PATIENCE
    while monotonic() < end:
        there = client.nthreads()
        ranks = zip(runs, workers, strict=True)
        pending = [run for run, worker in ranks if not run.done() and worker in there]
        if not pending:
            return
        with suppress(TimeoutError):
            wait(pending, timeout=LOOK)


def _free_address() -> tuple[str, int]:
    """Return where a worker can be reached by others."""
    from distributed import get_worker
    from distributed.comm import get_address_host

    with socket.socket() as free:
        free.bind(("", 0))
        return get_address_host(get_worker().address), free.getsockname()[1]


def _fit_rank(
    fit: Callable,
    address: tuple,
    rank: int,
    size: int,
    rows: list,
    y: list | None = None,
    sample_weight: list | None = None,
) -> tuple[Any, Exception | None]:
    """Fit on a worker; return the estimator, if it has learned anything, and an error."""
    try:
        with ranks_at(*address, rank, size) as ranks:
            labels = None if y is None else pd.concat(y, ignore_index=True)
            if sample_weight is None:
                return fit(Chunks(lambda: iter(rows)), labels, None, ranks), None
            whole = pd.concat(rows, ignore_index=True)  # whose rows are repeated
            return fit(whole, labels, pd.concat(sample_weight), ranks), None
    except Exception as error:
        estimator = fit.__self__
        return (estimator if hasattr(estimator, "net_") else None), error
