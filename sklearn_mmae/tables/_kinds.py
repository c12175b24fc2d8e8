"""The kinds of containers: what tells them apart, and which module reads and writes each."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import pandas as pd
import scipy.sparse

__all__ = ["KINDS", "kind_of", "library"]

KINDS = {"pandas": "_pandas", "polars": "_polars", "array": "_arrays", "slicedict": "_slicedict"}


def kind_of(X: Any) -> str:
    """Say of which kind a container is; "slicedict" for any dict, "array" for all else."""
    if isinstance(X, pd.DataFrame):
        return "pandas"
    if type(X).__module__.partition(".")[0] == "polars":
        return "polars"
    # A dok_matrix is a dict, too.
    return "slicedict" if isinstance(X, dict) and not scipy.sparse.issparse(X) else "array"


def library(kind: str) -> ModuleType:
    """Return the module that reads and writes containers of a kind; some need optional packages."""
    return import_module(f".{KINDS[kind]}", __package__)
