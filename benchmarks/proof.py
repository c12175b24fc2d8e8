"""All comparisons in one table and one figure: docs/proof.md and docs/proof.png.

    OMP_NUM_THREADS=1 python -m benchmarks.proof --jobs 2 --environments FOLDER

Each task, method and split leaves a line in benchmarks/results/proof.jsonl as soon as it is done; a
second run goes on where the first was stopped, and `--again` begins anew.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import date
from itertools import product
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from ._proof import _holes, _page, _tables, _views
from ._proof._task import PeerError, Run
from ._table import RESULTS, timed
from .shared_data import available

TASKS = _views.TASKS | _tables.TASKS | _holes.TASKS
PAGE = Path(__file__).parents[1] / "docs" / "proof.md"


def main(arguments=None):
    """Compare what has not been compared yet, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few rows and epochs: does it run?")
    parser.add_argument(
        "--environments",
        default=os.environ.get("SKLEARN_MMAE_PEERS"),
        help="folder made by benchmarks/_peers/make_environments.py; default: what the"
        " environment variable SKLEARN_MMAE_PEERS names",
    )
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), metavar="TASK")
    parser.add_argument("--results", type=Path, help="default: benchmarks/results/proof.jsonl")
    parser.add_argument("--page", type=Path, help="default: docs/proof.md, and proof.png beside it")
    parser.add_argument("--again", action="store_true", help="forget earlier results")
    parser.add_argument("--jobs", type=int, default=1, help="processes of one thread each")
    parser.add_argument("--share", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        # The figures of a quick run mean nothing: they shall not stand beside those of others.
        home = Path(folder) if options.quick else None
        path = options.results or (home or RESULTS) / "proof.jsonl"
        if options.share is None:
            repair(path, forget=options.again)
        results = Results(path)
        with Run(options.environments, quick=options.quick) as run:
            pairs, absent = plan(options.tasks, run)
            if options.share is not None:
                first, step = options.share
                compare(pairs[first::step], run, results)
                return
            if options.jobs == 1:
                compare(pairs, run, results)
            else:
                share_out(options, path)
                results = Results(path)
        tasks = {name: TASKS[name] for name in options.tasks}
        found = {method for _, method, _ in results.found}  # perhaps where it could be run
        absent = {name: why for name, why in absent.items() if name not in found}
        page = options.page or (home / PAGE.name if home else PAGE)
        absent |= {f"{method}, {name}": why for (name, method), why in results.failed.items()}
        _page.write(page, tasks, results.found, absent, quick=options.quick)


def share_out(options, path):
    """Let each of some processes compare its share."""
    command = [sys.executable, "-m", "benchmarks.proof", "--results", str(path)]
    command += ["--quick"] * options.quick + ["--tasks", *options.tasks]
    if options.environments:
        command += ["--environments", options.environments]
    with ExitStack() as stack:
        processes = []
        for first in range(options.jobs):
            share = ["--share", str(first), str(options.jobs)]
            process = subprocess.Popen([*command, *share], cwd=PAGE.parents[1])
            processes.append(stack.enter_context(process))
            stack.callback(process.terminate)  # if we are interrupted; else it has ended by then
        if any([process.wait() for process in processes]):
            sys.exit("a process failed; what is done is kept, and the same command goes on")


def plan(names, run):
    """Return the pairs of task and method that can be compared here, and why others cannot."""
    pairs, absent = [], {}
    for name in names:
        task = TASKS[name]
        if task.folder is not None and not available(task.folder):
            absent[name] = f"no data set {task.folder!r}"
            continue
        for method_name, method in task.methods.items():
            reason = why_absent(method_name, method, run)
            if reason is None:
                pairs.append((name, method_name))
            else:
                absent[method_name] = reason
    return pairs, absent


def compare(pairs, run, results):
    """Compute what is not known yet.

    All first splits come first, so that a run that is stopped has something of everything.
    """
    n_splits = 1 if run.quick else max(task.n_splits for task in TASKS.values())
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as all peers have
    try:
        with threadpool_limits(1):
            for split, (name, method) in product(range(n_splits), pairs):
                known = (name, method, split) in results.found
                if known or split >= TASKS[name].n_splits or (name, method) in results.failed:
                    continue
                try:
                    results.add(measure(name, method, split, run, results))
                except PeerError as error:
                    results.add({"task": name, "method": method, "error": str(error)})
    finally:
        torch.set_num_threads(before)


def why_absent(name, method, run):
    """Return why a method cannot be run here, or None."""
    if method.peer is not None and run.python(method.peer) is None:
        return run.why_absent(method.peer)
    if name.startswith("skrub"):
        try:
            import skrub  # noqa: F401
        except ImportError:
            return "not installed"
    return None


def measure(name, method_name, split, run, results):
    """Return the record of one method on one split; the first split's rows choose settings."""
    task = TASKS[name]
    method = task.methods[method_name]

    def work():
        rows = task.split(split, run.quick)
        first = results.found.get((name, method_name, 0))
        chosen = run.choose(method, rows) if first is None else first["chosen"]
        return *run.measure(method, rows, split, chosen), chosen

    (measured, seconds, chosen), spent = timed(work)
    return {
        "task": name,
        "method": method_name,
        "split": split,
        "measured": measured,
        "chosen": {measure: chosen[measure] for measure in measured},
        "seconds": round(seconds, 4),
        "spent": round(spent, 2),
        "date": date.today().isoformat(),
        "peer": method.peer and run.version(method.peer),
    }


def repair(path, *, forget):
    """Leave out of a file of results what a killed run has half written, and errors: try again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() and not forget else []
    whole = [line for line in lines if "measured" in (as_record(line) or ())]
    path.write_text("".join(f"{line}\n" for line in whole), encoding="utf-8")


def as_record(line):
    """Return the record of a line, or None."""
    try:
        return json.loads(line)
    except ValueError:
        return None


class Results:
    """Records of a file, one a line: what was found by task, method and split, and what failed."""

    def __init__(self, path):
        self.path, self.found, self.failed = path, {}, {}
        for line in path.read_text(encoding="utf-8").splitlines():
            self._take(as_record(line))

    def _take(self, record):
        if "error" in record:
            self.failed[record["task"], record["method"]] = record["error"]
        else:
            self.found[record["task"], record["method"], record["split"]] = record

    def add(self, record):
        """Keep a record, and say so."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")  # at once: others may write to it, too
        self._take(record)
        figures = ", ".join(f"{name} {x:.3f}" for name, x in record.get("measured", {}).items())
        said = [record["task"], record["method"], figures or record.get("error")]
        print(" | ".join(said), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
