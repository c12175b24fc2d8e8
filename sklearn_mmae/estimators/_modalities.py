"""`Modalities`: the entries of a fit, printed with what each column was taken for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sklearn.base import clone

from ..modalities import Modality

__all__ = ["Modalities"]


class Modalities(list):
    """Entries ``(name, modality, columns)``; what is printed can be pasted back.

    Parameters
    ----------
    entries : iterable of (str, Modality, list)
        The modalities are fitted.
    names : iterable, default=()
        All columns of `fit`. skops makes lists of their entries alone.
    """

    def __init__(self, entries: Iterable[tuple[str, Modality, list]], names: Iterable = ()) -> None:
        super().__init__(entries)
        used = {column for *_, columns in self for column in columns}
        self._reasons = {name: modality.explain(columns) for name, modality, columns in self}
        self._left_out = [name for name in names if name not in used]

    def __repr__(self) -> str:
        """Return a line for each entry, with the kinds of its columns as a comment."""
        lines = []
        for i, entry in enumerate(self):
            end = "]" if i == len(self) - 1 else ","
            reason = " ".join(self._reasons.get(entry[0], "").split())
            lines.append(f"{entry!r}{end}" + (f"  # {reason}" if reason else ""))
        if self._left_out:
            lines.append(f"# left out: {', '.join(map(repr, self._left_out))}")
        return "[" + "\n ".join(lines) if self else "[]"

    def __sklearn_clone__(self) -> Any:
        """Return the entries with modalities that are not fitted, as of any list."""
        return clone(list(self), safe=False)
