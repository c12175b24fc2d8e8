"""What several test files share; and the suite runs alike, however and wherever it was started."""

import copy
import importlib
import importlib.util
import os
import signal
import sys
from pathlib import Path

# Before SciPy is imported: without it, scikit-learn skips its check of array API input.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# Before torch is: more threads only wait for one another here; tests of threads set their number.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# And no test opens a window.
os.environ.setdefault("MPLBACKEND", "Agg")

import joblib
import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]

# Processes that tests start have the package that is tested, too, in whatever folder they run.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
)

WORDS = {
    "red": "warm bright ripe sweet cherry tomato",
    "blue": "cold deep wide calm ocean winter",
    "green": "fresh young leafy quiet forest meadow",
}


def make_frame(n_rows=40, seed=0, *, holes=False):
    """Return a table of numbers, dates, categories, texts and pictures that tell of one another."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(1, 9, n_rows)
    colour = rng.choice(list(WORDS), n_rows)
    channel = {"red": 0, "green": 1, "blue": 2}
    pictures = np.empty(n_rows, object)
    texts = []
    for i in range(n_rows):
        picture = rng.integers(0, 60, (8, 8, 3))
        picture[: int(size[i]), :, channel[colour[i]]] += 180
        pictures[i] = picture.astype(np.uint8)
        texts.append(" ".join(rng.choice(WORDS[colour[i]].split(), 5)))
    frame = pd.DataFrame(
        {
            "size": size,
            "count": rng.poisson(3 * size),
            "ripe": size > 5,
            "colour": pd.Categorical(colour, categories=sorted(WORDS)),
            "grade": pd.Categorical(
                np.where(size < 3, "low", np.where(size < 6, "mid", "high")),
                categories=["low", "mid", "high"],
                ordered=True,
            ),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.rint(10 * size), "D"),
            "moment": pd.Timestamp("2024-01-01", tz="Europe/Paris")
            + pd.to_timedelta(np.rint(5000 * size), "s"),
            "note": texts,
            "photo": pictures,
        }
    )
    if holes:
        for name in ("size", "colour", "day", "note", "photo"):
            frame.loc[rng.random(n_rows) < 0.2, name] = None
    return frame


@pytest.fixture
def frame():
    """Forty rows of every kind of column."""
    return make_frame()


_FITTED = {}


def fit_once(estimator, X):
    """Return the estimator fitted to the rows: learned once for all tests that only ask it.

    Each gets a copy, of which it may change parameters and fit again, but no networks.
    """
    key = joblib.hash((estimator, X))
    if key not in _FITTED:
        _FITTED[key] = estimator.fit(X)
    return copy.copy(_FITTED[key])


def load_benchmark(name):
    """Return a module of the folder `benchmarks`, whatever else is called so where tests run."""
    if "project_benchmarks" not in sys.modules:
        file = ROOT / "benchmarks" / "__init__.py"
        spec = importlib.util.spec_from_file_location("project_benchmarks", file)
        package = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(package)
    return importlib.import_module(f"project_benchmarks.{name}")


@pytest.fixture
def ctrl_c():
    """Let SIGINT interrupt, also where a shell started the tests in the background, without it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
