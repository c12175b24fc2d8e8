"""What a task is made of: rows, methods with their settings, and how one is measured."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ..peers import Peer

__all__ = ["MEASURES", "Method", "PeerError", "Run", "Task", "unique"]

# In the order in which the page shows them.
MEASURES = {
    "crossed": "one view from the others (R²)",
    "explained": "explained by k components (R²)",
    "probe": "class from the embedding, linear probe (accuracy)",
    "target": "target from the embedding of a table with text, ridge (R²)",
    "filled": "missing cells filled in, 30 % of all (R²)",
}


@dataclass(frozen=True)
class Method:
    """One way to do a task.

    Attributes
    ----------
    fit : callable
        Takes rows, a `Run`, a seed and a setting; returns what it found, by name, and the seconds
        of fitting alone.
    settings : callable
        Takes rows; returns the settings to choose from, dictionaries of keywords.
    peer : str or None
        The environment that it needs, beside this one.
    """

    fit: Callable
    settings: Callable = lambda rows: [{}]
    peer: str | None = None


@dataclass(frozen=True)
class Task:
    """One data set, split more than once, and the methods to compare on it.

    Attributes
    ----------
    k : int
        Components of all codes.
    split : callable
        Takes a seed and whether to be quick; returns rows, which have `inner()`, that is the same
        rows with a part of the training rows in the place of the test rows, and
        `measure(found)`, that is a dictionary of `MEASURES`.
    folder : str or None
        Of `shared_data`, that it needs.
    """

    k: int
    split: Callable
    methods: dict[str, Method]
    n_splits: int = 3
    folder: str | None = None


class PeerError(Exception):
    """A peer stopped; its last words."""


class Run:
    """What methods are told of the run, and the peers, each started when first asked."""

    def __init__(self, environments, *, quick=False):
        self.environments, self.quick = environments and Path(environments), quick
        self._peers = {}

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        return self

    def __exit__(self, *error):
        for peer in self._peers.values():
            peer.__exit__(*error)
        self._folder.cleanup()

    def python(self, name):
        """Return the Python of a peer's environment, or None."""
        path = self.environments and self.environments / name / "bin" / "python"
        return path if path and path.exists() else None

    @cache  # noqa: B019, a run lives as long as the process
    def version(self, name):
        """Return a peer with its version."""
        package = name.replace("_", "-")
        code = f"from importlib.metadata import version; print(version({package!r}))"
        found = subprocess.run(
            [self.python(name), "-c", code], capture_output=True, text=True, check=True
        )
        return f"{package} {found.stdout.strip()}"

    def why_absent(self, name):
        """Return the reason why a peer has no environment."""
        note = self.environments and self.environments / f"{name}.failed"
        return (
            note.read_text(encoding="utf-8").strip() if note and note.exists() else "no environment"
        )

    def ask(self, name, train, test, **request):
        """Let a peer learn from dictionaries of arrays; return its answers and its seconds."""
        arrays = {f"train/{n}": v for n, v in train.items()}
        arrays |= {f"test/{n}": v for n, v in test.items()}
        path, out = self.folder / "rows.npz", self.folder / "found.npz"
        np.savez(path, **arrays)
        paths = {"data": str(path), "out": str(out), "modalities": list(train), "task": "fit"}
        if name not in self._peers:
            self._peers[name] = Peer(name, self.python(name), self.folder).__enter__()
        try:
            self._peers[name].say(paths | request)
            seconds = self._peers[name].hear()
        except RuntimeError as error:
            self._peers.pop(name).__exit__(None, None, None)
            raise PeerError(str(error).strip().splitlines()[-1]) from error
        with np.load(out) as found:
            return dict(found), seconds

    def choose(self, method, rows):
        """Return the best of a method's settings for each measure, on training rows held out."""
        settings = method.settings(rows)
        if len(settings) == 1 or self.quick:
            return dict.fromkeys(MEASURES, settings[0])
        inner = rows.inner()
        measured = [inner.measure(method.fit(inner, self, 0, **s)[0]) for s in settings]
        return {
            name: settings[int(np.argmax([figures[name] for figures in measured]))]
            for name in MEASURES
            if name in measured[0]
        }

    def measure(self, method, rows, seed, chosen):
        """Return each measure by its own setting, and the seconds of the fit for the first."""
        measured, seconds = {}, []
        for setting in unique(chosen.values()):
            found, spent = method.fit(rows, self, seed, **setting)
            seconds.append(spent)
            figures = rows.measure(found)
            measured |= {name: figures[name] for name in figures if chosen[name] == setting}
        return measured, seconds[0]


def unique(settings):
    """Return settings, each once, in their order."""
    found = []
    for setting in settings:
        if setting not in found:
            found.append(setting)
    return found
