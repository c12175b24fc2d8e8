"""All comparisons in one table and one figure: docs/proof.md and docs/proof.png.

    OMP_NUM_THREADS=1 python -m benchmarks.proof --environments FOLDER

Each task, method and split leaves a line in benchmarks/results/proof.jsonl as soon as it is done; a
second run goes on where the first was stopped, and `--again` begins anew.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from datetime import date
from itertools import product
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from benchmarks._proof import _holes, _page, _tables, _views
from benchmarks._proof._task import PeerError, Run
from benchmarks._table import RESULTS, timed
from benchmarks.shared_data import available

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
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        # The figures of a quick run mean nothing: they shall not stand beside those of others.
        home = Path(folder) if options.quick else None
        results = Results(options.results or (home or RESULTS) / "proof.jsonl", options.again)
        before = torch.get_num_threads()
        torch.set_num_threads(1)  # as all peers have
        try:
            with threadpool_limits(1), Run(options.environments, quick=options.quick) as run:
                absent = compare(options.tasks, run, results)
        finally:
            torch.set_num_threads(before)
        tasks = {name: TASKS[name] for name in options.tasks}
        page = options.page or (home / PAGE.name if home else PAGE)
        _page.write(page, tasks, results.found, absent, quick=options.quick)


def compare(names, run, results):
    """Compute what is not known yet; return what cannot be, and why.

    All first splits come first, so that a run that is stopped has something of everything.
    """
    absent, open_pairs = {}, []
    for name in names:
        task = TASKS[name]
        if task.folder is not None and not available(task.folder):
            absent[name] = f"no data set {task.folder!r}"
            continue
        for method_name, method in task.methods.items():
            reason = why_absent(method_name, method, run)
            if reason is None:
                open_pairs.append((name, method_name))
            else:
                absent[method_name] = reason
    n_splits = 1 if run.quick else max(task.n_splits for task in TASKS.values())
    for split, (name, method_name) in product(range(n_splits), open_pairs):
        known = (name, method_name, split) in results.found
        gone = f"{method_name}, {name}"
        if known or gone in absent or split >= TASKS[name].n_splits:
            continue
        try:
            results.add(measure(name, method_name, split, run, results))
        except PeerError as error:
            absent[gone] = str(error)
    return absent


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


class Results:
    """Records of a file, one a line, by task, method and split."""

    def __init__(self, path, again=False):
        self.path, self.found = path, {}
        if again:
            path.unlink(missing_ok=True)
        whole = []
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                record = json.loads(line)
            except ValueError:
                continue  # a run was killed while it wrote
            self.found[record["task"], record["method"], record["split"]] = record
            whole.append(line)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in whole), encoding="utf-8")

    def add(self, record):
        """Keep a record, and say so."""
        with open(self.path, "a", encoding="utf-8") as file:
            print(json.dumps(record), file=file, flush=True)
        self.found[record["task"], record["method"], record["split"]] = record
        figures = ", ".join(f"{name} {x:.3f}" for name, x in record["measured"].items())
        print(
            f"{record['task']} | {record['method']} | {record['split']} | {figures} |"
            f" {record['seconds']:.1f} s",
            file=sys.stderr,
            flush=True,
        )


if __name__ == "__main__":
    main()
