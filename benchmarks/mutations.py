"""Does a forged model file ever cost, open or raise what it must not?

    python -m benchmarks.mutations                      # 2,000 forgeries
    python -m benchmarks.mutations --n 100000 --seed 1

Each forgery is a file with a right checksum in which one value, or all of one kind, is another:
counts, dtypes, zones, names, arrays of other shapes, entries dropped and swapped. It has to be
refused by a `ModelFileError`, or give an estimator that works or refuses rows in words of ours. To
load it costs at most 0.5 s of CPU and 50 MB over its size, and neither that nor to use it opens
another file. What its use costs is for its cells to say, such as sounds of a minute: from 5 s of
CPU on it is counted as "slow". Memory is measured on Linux alone. Prints what went otherwise, and
the counts.
"""

from __future__ import annotations

import argparse
import copy
import os
import signal
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd

from sklearn_mmae import (
    AudioModality,
    CellError,
    ImageModality,
    ModelFileError,
    MultimodalAutoencoder,
    MultimodalVAE,
    SequenceModality,
    TabularModality,
    TextModality,
    VideoModality,
    load,
)
from sklearn_mmae._core import archive
from sklearn_mmae._core.errors import ConvergenceError
from sklearn_mmae.estimators._files import KIND

N, QUICK = 2_000, 60
SECONDS, MEGABYTES = 0.5, 50
SLOW = 5  # seconds of CPU, after which a forgery is given up
ROWS = 24
COUNTS = (0, -1, 1, 2, 3, 1000, 20_000, 2**24, 2**31, 2**40, 10**18)
FLOATS = (0.0, -1.0, 1e-30, 1e30, 1e308, float("nan"), float("inf"))
TEXTS = (
    *("", "object", "float64", "(100000000,)f8", "S500000000", "V100000000", "U99999999"),
    *("datetime64[us, dateutil//etc/passwd]", "dateutil//etc/passwd", "tzlocal()", "/etc/passwd"),
    *("../../etc/passwd", "Europe/Paris", "datetime64[999999ns]", "number", "date", "pandas"),
    *("%999999999d", "datetime64[s]|%999999999d", "float64|.99999999f", "words", "sequence"),
    "x" * 5000,
)


# Estimators --------------------------------------------------------------------------------------


def estimators():
    """Return fitted estimators of all kinds of modality, with rows that they read, by name."""
    rng = np.random.default_rng(0)
    words = ["red heart", "blue heart", "red car", "big blue car", None, "old cat"] * 4
    numbers = rng.normal(size=(ROWS, 8))
    table = pd.DataFrame(
        {
            "size": numbers[:, 0],
            "count": pd.array(np.arange(ROWS) % 5, dtype="Int64"),
            "colour": pd.Categorical(np.array(["red", "blue", "sky"])[np.arange(ROWS) % 3]),
            "yes": np.arange(ROWS) % 2 == 0,
            "day": pd.date_range("2024-01-31", periods=ROWS, tz="Europe/Paris"),
            "written": pd.date_range("2024-01-31", periods=ROWS).strftime("%d %b %Y"),
            "price": [f"{i},00{i % 10}.50" for i in range(ROWS)],
        }
    )
    texts = pd.DataFrame({"caption": words, "size": numbers[:, 0]})
    pictures = pd.DataFrame({"photo": list(rng.integers(0, 256, (ROWS, 6, 7, 3), np.uint8))})
    times = pd.DataFrame(
        {
            "sound": list(rng.normal(0, 0.1, (ROWS, 4000))),
            "signal": [rng.normal(size=(20 + i % 5, 2)) for i in range(ROWS)],
            "clip": list(rng.integers(0, 256, (ROWS, 4, 6, 6, 3), np.uint8)),
        }
    )
    words_only = texts.dropna()
    sentence = [("text", TextModality(decoder="sequence", max_length=8), ["caption"])]
    sound = ("sound", AudioModality(rate=8000), ["sound"])
    signal_ = ("signal", SequenceModality(), ["signal"])
    clip = ("clip", VideoModality(rate=4.0), ["clip"])
    each = [(f"m{i}", TabularModality(), [i]) for i in range(7)]
    cases = {
        "array": (MultimodalAutoencoder(), numbers),
        "table": (MultimodalAutoencoder(), table),
        "words": (MultimodalAutoencoder(), texts),
        "sentences": (MultimodalAutoencoder(sentence), words_only),
        "pictures": (MultimodalAutoencoder(fusion="concat"), pictures.join(table["size"])),
        "pixels": (
            MultimodalAutoencoder([("p", ImageModality(shape=(2, 4)), slice(0, 8))]),
            numbers,
        ),
        "sounds, signals": (MultimodalAutoencoder([sound, signal_]), times),
        "clips": (MultimodalAutoencoder([clip]), times),
        "target": (MultimodalAutoencoder(target_weight=1.0), table),
        "seven": (MultimodalAutoencoder(each, fusion="attention"), numbers),
        "distributions": (MultimodalVAE(objective="mmvae+"), texts),
        "distributions of a table": (MultimodalVAE(), table),
    }
    return {name: (_fitted(mmae, X), X[:3]) for name, (mmae, X) in cases.items()}


def _fitted(mmae, X):
    mmae.set_params(n_components=3, width=8, max_epochs=2, random_state=0)
    return mmae.fit(X, np.arange(len(X)) % 3 if mmae.target_weight else None)


# Forgeries ---------------------------------------------------------------------------------------


def forge(tree, rng):
    """Change a tree of values in one place, or several counts at once; say how."""
    places = list(_places(tree))
    if rng.random() < 0.7:  # most are weights, of which one is like another
        places = [place for place in places if place[0] is not tree["weights"]]
    holder, key = _pick(places, rng)
    value = holder[key]
    if rng.random() < 0.2:
        counts = _places(_pick(tree["attributes"]["modalities"], rng))
        counts = [(other, at) for other, at in counts if type(other[at]) is int]
        some = [counts[i] for i in rng.integers(len(counts), size=rng.integers(1, 5))]
        new = _pick(COUNTS, rng)
        for other, at in some:
            other[at] = new
        return f"{', '.join(str(at) for _, at in some)}: {new}"
    if type(value) is int and value > 1 and rng.random() < 0.5:
        new = _pick(COUNTS, rng)
        for other, at in places:  # so that what has to agree does
            if type(other[at]) is int and other[at] == value:
                other[at] = new
        return f"{key}: every {value} is {new}"
    if isinstance(holder, dict) and rng.random() < 0.05:
        del holder[key]
        return f"{key} is not there"
    if rng.random() < 0.05:
        other, at = _pick(places, rng)
        holder[key] = copy.deepcopy(other[at])
        return f"{key} is what {at} is"
    holder[key] = new = _other(value, rng)
    return f"{key}: {_short(value)} is {_short(new)}"


def _places(node):
    """Yield every container of a tree with each of its keys."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        value = node[key]
        if isinstance(value, tuple):  # as a list, so that it can be changed
            value = node[key] = _Pair(value)
        if isinstance(value, dict | list):
            yield from _places(value)


class _Pair(list):
    """A tuple, while it is changed."""


def _as_written(node):
    if isinstance(node, dict):
        return {key: _as_written(value) for key, value in node.items()}
    if isinstance(node, list):
        return (tuple if isinstance(node, _Pair) else list)(map(_as_written, node))
    return node


def _pick(values, rng):
    return values[rng.integers(len(values))]


def _other(value, rng):
    """Return another value of the same kind, or now and then of another."""
    if rng.random() < 0.1:
        value = _pick((True, 7, 0.5, "text", None, [], {}, np.zeros(3)), rng)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return _pick((*COUNTS, value + 1, 2 * value), rng)
    if isinstance(value, float):
        return _pick((*FLOATS, -value, 1000 * value), rng)
    if isinstance(value, str):
        return _pick((*TEXTS, value + "_", value[:-1]), rng)
    if isinstance(value, np.ndarray):
        return _other_array(value, rng)
    if isinstance(value, list) and value:
        return type(value)(_pick((value[:-1], value + value[-1:], value[::-1], value * 50), rng))
    return _pick((None, 3, "auto"), rng)


def _other_array(array, rng):
    return _pick(
        (
            array[:-1] if array.ndim else array + 1,
            np.zeros_like(array),
            -array if array.dtype != bool else ~array,
            np.full_like(array, np.nan if array.dtype.kind == "f" else 1),
            np.full_like(array, 1e30 if array.dtype.kind == "f" else 1),
            array.astype(np.float16 if array.dtype.kind == "f" else np.float64),
            np.concatenate([array] * 3) if array.ndim else array[None],
            np.zeros((0, *array.shape[1:]), array.dtype),
        ),
        rng,
    )


def _short(value):
    text = f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else repr(value)
    return text if len(text) < 60 else text[:57] + "..."


# What a file costs -------------------------------------------------------------------------------


class _TooLong(BaseException):
    """A forgery has taken its time: no `Exception`, which `load` would make one of its own."""


class Opened:
    """The files that were opened, but for those of Python's packages and of time zones."""

    def __init__(self):
        self.names, self.listens = [], False
        sys.addaudithook(self._hear)

    def _hear(self, event, arguments):
        if self.listens and event == "open" and isinstance(arguments[0], str | bytes):
            name = os.fsdecode(arguments[0])
            known = (*sys.path[1:], sys.prefix, sys.base_prefix, "/proc/self/")
            if not name.startswith(known) and "zoneinfo" not in name:
                self.names.append(name)


def try_file(path, X, opened):
    """Load a file and use what comes; return what became of it, and what was wrong with that."""
    wrong, size = [], path.stat().st_size / 1e6
    opened.names.clear()
    try:
        with _watched("load", size, opened, wrong):
            mmae = load(path)
        with _watched("use", np.inf, opened, []):
            became = _use(mmae, X)
    except ModelFileError:
        became = "refused"
    except _TooLong:
        became = "slow"
    except BaseException as error:
        became = "other error"
        wrong.append(f"{type(error).__name__}: {_short(str(error))}")
    others = set(opened.names) - {str(path)}
    return became, wrong + ([f"opened {others}"] if others else [])


class _watched:  # noqa: N801
    """Measure CPU and memory of what is done within; add what was too much to a list."""

    def __init__(self, what, size, opened, wrong):
        self.what, self.size, self.opened, self.wrong = what, size, opened, wrong

    def __enter__(self):
        self.before = _peak(reset=True)
        signal.setitimer(signal.ITIMER_PROF, SLOW)
        self.opened.listens, self.start = True, process_time()

    def __exit__(self, *error):
        seconds = process_time() - self.start
        signal.setitimer(signal.ITIMER_PROF, 0)
        self.opened.listens = False
        megabytes = _peak() - self.before - self.size
        if seconds > SECONDS:
            self.wrong.append(f"{self.what} took {seconds:.1f} s")
        if megabytes > MEGABYTES:
            self.wrong.append(f"{self.what} took {megabytes:.0f} MB")


def _use(mmae, X):
    try:
        codes = mmae.transform(X)
        mmae.inverse_transform(codes)
        mmae.impute(X)
        scores = mmae.score_samples(X)
    except (CellError, ConvergenceError):
        return "refuses rows"
    return "works" if np.isfinite(codes).all() and np.isfinite(scores).all() else "not finite"


def _peak(*, reset=False):
    """Return the most memory that this process has taken, in MB; reset, that it takes now."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1e3
    except OSError:
        return float("nan")


def main():
    """Print what a forgery did that it must not, and how many were refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=N, help="how many forgeries")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="the name of one estimator")
    parser.add_argument("--quick", action="store_true", help="few forgeries: does it run?")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGPROF, _stop)
    counts, faults = run(QUICK if options.quick else options.n, options.seed, options.only)
    for fault in faults:
        print(fault)
    print(", ".join(f"{became}: {n}" for became, n in counts.most_common()))
    print(f"faults: {len(faults)}, target 0")


def _stop(*_):
    raise _TooLong


def run(n, seed=0, only=None):
    """Forge, load and use `n` files.

    Returns
    -------
    counts : Counter
        What became of them.
    faults : list of str
        What was wrong, and with which forgery.
    """
    rng, opened, counts, faults = np.random.default_rng(seed), Opened(), Counter(), []
    with tempfile.TemporaryDirectory() as folder:
        path, trees = Path(folder) / "model.mmae", {}
        for name, (mmae, X) in estimators().items():
            mmae.save(path)
            trees[name] = archive.read(path, kind=KIND), X
            try_file(path, X, opened)  # what is imported late is not for a forgery to pay
        names = [only] if only else list(trees)
        for _ in range(n):
            name = _pick(names, rng)
            tree, X = copy.deepcopy(trees[name][0]), trees[name][1]
            how = forge(tree, rng)
            try:
                archive.write(path, _as_written(tree), kind=KIND)
            except (TypeError, ValueError):
                counts["no file"] += 1
                continue
            became, wrong = try_file(path, X, opened)
            counts[became] += 1
            faults += [f"{name}, {how}: {became}, {fault}" for fault in wrong]
            if became == "not finite":
                faults.append(f"{name}, {how}: {became}")
    return counts, faults


if __name__ == "__main__":
    main()
