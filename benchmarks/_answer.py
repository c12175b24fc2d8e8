"""The fresh process of `_sides`: print what `measure` of a script returns for a job, as JSON.

    PYTHONPATH=FOLDER python benchmarks/_answer.py SCRIPT JOB

The package is that of FOLDER, the script that of this checkout.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path


def main(script, job):
    """Measure."""
    sys.path.pop(0)  # this folder, whose modules are no top-level ones
    import_benchmarks()
    import sklearn_mmae

    if not Path(sklearn_mmae.__file__).is_relative_to(os.environ["PYTHONPATH"]):
        raise ImportError(f"sklearn_mmae comes from {sklearn_mmae.__file__}")
    measure = importlib.import_module(f"benchmarks.{script}").measure
    print(json.dumps(measure(**json.loads(job))))


def import_benchmarks():
    """Import this folder as the package `benchmarks`, which the other checkout has, too."""
    file = Path(__file__).with_name("__init__.py")
    spec = importlib.util.spec_from_file_location("benchmarks", file)
    package = sys.modules["benchmarks"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)


if __name__ == "__main__":
    main(*sys.argv[1:])
