"""Measure with the package of this checkout and of another one, each time in a fresh process.

A script calls `Jobs.run(side, **job)`; its own function ``measure(**job)`` is then called in a new
process of one thread that imports `sklearn_mmae` from the side's folder, and the script from here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import sha1
from pathlib import Path
from time import process_time

from ._table import Table

__all__ = ["NO_SIDE", "Jobs", "Side", "cpu_seconds", "options_of", "sides", "table_of"]

HERE = Path(__file__).resolve().parents[1]
ANSWER = Path(__file__).with_name("_answer.py")


@dataclass(frozen=True)
class Side:
    """A checkout of the package, and how tables name it."""

    name: str
    folder: Path
    of_package: bool = True

    @cached_property
    def digest(self):
        """What tells this state of the package from others; nothing where it is not measured."""
        files = sorted((self.folder / "sklearn_mmae").rglob("*.py")) if self.of_package else []
        return sha1(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


NO_SIDE = Side("-", HERE, of_package=False)  # of baselines


def options_of(description, *arguments):
    """Read `--quick`, `--against` and a script's own arguments: (flag, keywords) each.

    `whole` says whether the latter are as they come, so that the table is all of the script's.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few rows and epochs: does it run?")
    parser.add_argument("--against", type=Path, help="folder of another checkout")
    parser.add_argument("--again", action="store_true", help="measure anew what has been kept")
    added = [parser.add_argument(flag, **keywords) for flag, keywords in arguments]
    options = parser.parse_args()
    options.whole = all(getattr(options, action.dest) == action.default for action in added)
    return options


def table_of(script, title, columns, options, notes):
    """Return a table to fill, which is kept in results/ if it will be whole."""
    return Table(script, title, columns, quick=options.quick, keep=options.whole, notes=notes)


def sides(options):
    """Return this checkout and, if there is one, the other."""
    other = [Side(options.against.name, options.against.resolve())] if options.against else []
    return [Side("this", HERE), *other]


class Jobs:
    """Runs the jobs of a script, and keeps each result as a line of JSON where `keep` is a path.

    What is kept is asked for again only with the same package, to the last byte of its code.
    """

    def __init__(self, script, options, keep=None):
        self.script, self.keep = script, None if options.quick else keep
        self._kept = {}
        if self.keep and self.keep.exists() and not options.again:
            lines = self.keep.read_text(encoding="utf-8").splitlines()
            self._kept = {_key(record): record["found"] for record in map(json.loads, lines)}

    def run(self, side, **job):
        """Return what `measure` returns for a job with the package of a side."""
        record = {"side": side.name, "package": side.digest, "job": job}
        if _key(record) in self._kept:
            return self._kept[_key(record)]
        record["found"] = _in_fresh_process(side, self.script, job)
        if self.keep:
            self._write(record)
        return record["found"]

    def _write(self, record):
        self._kept[_key(record)] = record["found"]
        self.keep.parent.mkdir(exist_ok=True)
        now = datetime.now().isoformat(timespec="seconds")
        with self.keep.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record | {"at": now}) + "\n")


def cpu_seconds(work, *args):
    """Return what a work returns, and the seconds of CPU that it took this process."""
    start = process_time()
    result = work(*args)
    return result, process_time() - start


def _key(record):
    return record["package"], json.dumps(record["job"], sort_keys=True)


def _in_fresh_process(side, script, job):
    environment = os.environ | {"PYTHONPATH": str(side.folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ANSWER), script, json.dumps(job)]
    # Warnings and errors go to our own stderr.
    answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(answer.stdout.splitlines()[-1])
