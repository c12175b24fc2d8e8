"""The history of a training in a file: one array per key, as long trainings have many epochs."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._core.plain import check, fields
from .._core.values import is_array, is_whole

__all__ = ["history_from_plain", "history_to_plain"]


def history_to_plain(history: list[dict]) -> dict[str, Any]:
    """Return the history of epochs, key by key."""
    columns: dict[str, Any] = {}
    for i, epoch in enumerate(history):
        for key, value in epoch.items():
            column = columns.setdefault(key, {"epochs": [], "values": []})
            column["epochs"].append(i)
            column["values"].append(value)
    for column in columns.values():
        column["epochs"] = np.array(column["epochs"], np.int64)
        if all(type(value) is type(column["values"][0]) for value in column["values"]):
            values = np.array(column["values"])
            column["values"] = values if values.dtype.kind in "bif" else column["values"]
    return {"n_epochs": len(history), "columns": columns}


def history_from_plain(node: Any) -> list[dict]:
    """Return the history that `history_to_plain` gave, checked."""
    n_epochs, columns = fields(node, "n_epochs", "columns")
    check(is_whole(n_epochs) and n_epochs >= 0 and isinstance(columns, dict), "its history")
    longest = max((len(c.get("epochs", ())) for c in columns.values()), default=0)
    check(n_epochs == longest, "its history")  # every epoch has its number and its time
    history: list[dict] = [{} for _ in range(n_epochs)]
    for key, column in columns.items():
        epochs, values = fields(column, "epochs", "values")
        values = values.tolist() if isinstance(values, np.ndarray) else values
        check(is_array(epochs, "i") and isinstance(values, list), "its history")
        for epoch, value in zip(epochs.tolist(), values, strict=True):
            check(0 <= epoch < n_epochs, "its history")
            history[epoch][key] = value
    return history
