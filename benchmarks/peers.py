"""Beside `multivae` and `multiviewae`, same nets and epochs: who translates, scores, is fast?"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from contextlib import ExitStack, suppress
from hashlib import sha1
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import torch
from sklearn.decomposition import FactorAnalysis
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from skorch.callbacks import Callback

from sklearn_mmae import MultimodalAutoencoder, MultimodalVAE
from sklearn_mmae.metrics import cross_modal_coherence
from sklearn_mmae.modalities import TabularModality

from ._table import Table
from .never_below_linear import side_by_side
from .shared_data import available, load_halves, load_mfeat
from .translation import probe_of, r2

DEFAULT = MultimodalVAE().objective
EPOCHS, BATCH_SIZE, WIDTH, PEERS_LR = 40, 32, 256, 1e-3
N_DRAWS = 500
# The peers' noise, and the scale to ask for; None is their default.
NOISES = {
    "multivae": {"1, default": None, "0.5": 0.5, "0.3": 0.3},
    "multiviewae": {"learned, by column": None},
}
ROUNDS = 5
# Our objective, and what the peers call it. None is the autoencoder.
OBJECTIVES = {
    "jmvae": {"multivae": "JMVAE", "multiviewae": "JMVAE"},
    "mvae": {"multivae": "MVAE", "multiviewae": "mVAE"},
    "mopoe": {"multivae": "MoPoE", "multiviewae": "MoPoEVAE"},
    "mmvae+": {"multivae": "MMVAE+", "multiviewae": "mmVAEPlus"},
    None: {"multiviewae": "AE"},
}
PEERS = ("multivae", "multiviewae")
COLUMNS = (
    "data",
    "model",
    "noise",
    "from the others",
    "worst of them",
    "joint",
    "coherence",
    "probe",
    "nats a row",
    "epoch, s",
    "ours / theirs",
)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows and epochs: does it run?")
    parser.add_argument(
        "--environments",
        type=Path,
        default=os.environ.get("SKLEARN_MMAE_PEERS"),
        help="folder made by benchmarks/_peers/make_environments.py; default: what the"
        " environment variable SKLEARN_MMAE_PEERS names",
    )
    parser.add_argument("--data", nargs="+", choices=SETS, default=SETS, help="default: all")
    parser.add_argument(
        "--keep",
        type=Path,
        help="folder for what the peers predict: what is there is not trained again",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = Table("peers", "Peers", COLUMNS, quick=options.quick, notes=NOTES)
    with ExitStack() as stack:
        keep = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        keep.mkdir(exist_ok=True)
        peers = {}
        for name in PEERS:
            python = Path(options.environments or "") / name / "bin" / "python"
            if options.environments and python.exists():
                peers[name] = stack.enter_context(Peer(name, python, keep))
            else:
                table.add("all", name, "not installed", *[None] * (len(COLUMNS) - 3))
        for data in options.data:
            if data == "mfeat" and not available("uci_mfeat"):
                table.absent(data)
                continue
            read, k = SETS[data]
            compare(table, data, Rows(*read(options.quick)), k, peers, options.quick)
    table.show()


class Rows:
    """A split of one data set: modalities, places in the wide array, classifiers of real rows."""

    def __init__(self, train, test, y_train, y_test):
        self.train, self.test, self.y_train, self.y_test = train, test, y_train, y_test
        self.wide_train, self.places = side_by_side(train)
        self.wide_test, _ = side_by_side(test)
        self.classifiers = {name: SVC().fit(view, y_train) for name, view in train.items()}

    def request(self, folder):
        """Write the rows to a folder; return what a runner has to know of them."""
        parts = {"train": self.train, "test": self.test}
        arrays = {f"{part}/{name}": v for part, views in parts.items() for name, v in views.items()}
        path = Path(folder) / "rows.npz"
        np.savez(path, **arrays)
        digest = sha1(b"".join(view.tobytes() for view in arrays.values())).hexdigest()
        return {"data": str(path), "digest": digest, "modalities": list(self.test)}

    def coherence(self, views):
        """Return the share of views that the classifiers take for the numeral of their row."""
        right = [
            cross_modal_coherence(self.classifiers[n], view, self.y_test)
            for n, view in views.items()
        ]
        return float(np.mean(right))

    def measure(self, found):
        """Return R2 from the others, the worst, joint, coherence, probe, and nats a row."""
        crossed = {name: found[f"crossed/{name}"] for name in self.test}
        each = [r2(self.test[name], crossed[name]) for name in self.test]
        joint = [r2(self.test[name], found[f"joint/{name}"]) for name in self.test]
        probe = probe_of(found["codes/train"], self.y_train)
        density = found.get("likelihood")
        return [
            float(np.mean(each)),
            float(np.min(each)),
            float(np.mean(joint)),
            self.coherence(crossed),
            float(probe.score(found["codes/test"], self.y_test)),
            None if density is None else f"{density.mean():.1f}",
        ]


def read_halves(quick):
    """Return halves of the digits, centred and divided by one number each."""
    left, right, y = load_halves()
    views = {"left": left * 16, "right": right * 16}
    return split(views, y, 540, quick, lambda train: np.sqrt(train.var(0).mean()))


def read_mfeat(quick):
    """Return the six views of mfeat, each column standardised."""
    views, y = load_mfeat()
    return split(views, y, 500, quick, lambda train: train.std(0))


def split(views, y, test_size, quick, measure):
    """Return training and test views, of mean 0 and divided by what `measure` says, and labels.

    Whole numbers, such as pixels, get uniform noise of width 1 first: of values that are always
    the same, or one of a few, the density has no bound.
    """
    rng = np.random.default_rng(0)
    index = np.arange(len(y))
    train, test = train_test_split(index, test_size=test_size, random_state=0, stratify=y)
    if quick:
        train, test = train[:200], test[:50]
    trained, tested = {}, {}
    for name, view in views.items():
        whole = (view == np.round(view)).all(0)
        view = view + np.where(whole, rng.random(view.shape), 0)
        mean, scale = view[train].mean(0), measure(view[train])
        trained[name] = ((view[train] - mean) / scale).astype(np.float32)
        tested[name] = ((view[test] - mean) / scale).astype(np.float32)
    return trained, tested, y[train], y[test]


def compare(table, data, rows, k, peers, quick):
    """Add all models on one data set."""
    real = rows.coherence(rows.test)
    table.add(data, "real rows", *[None] * 4, real, *[None] * 4)
    table.add(data, f"FactorAnalysis({k})", "learned, by column", *linear(rows, k), None, None)
    epochs = 1 if quick else EPOCHS
    with tempfile.TemporaryDirectory() as folder:
        request = rows.request(folder) | {
            "n_components": k,
            "width": WIDTH,
            "batch_size": BATCH_SIZE,
            "lr": PEERS_LR,
            "seed": 0,
            "n_draws": 20 if quick else N_DRAWS,
        }
        for objective, names in OBJECTIVES.items():
            rivals = {
                name: request | {"model": model}
                for name, model in names.items()
                if name in peers and not (model == "JMVAE" and too_many(name, rows))
            }
            seconds = take_turns(rows, k, objective, peers, rivals, 1 if quick else ROUNDS)
            for noise in ("column", "modality") if objective == DEFAULT else ("column",):
                found = fit_ours(rows, k, objective, epochs, request["n_draws"], noise)
                label = f"ours, {objective or 'MultimodalAutoencoder'}"
                label += ", default" * (objective == DEFAULT)
                noise = f"learned, by {noise}" if objective else None
                table.add(data, label, noise, *rows.measure(found), median(seconds["ours"]), None)
            for name, asked in rivals.items():
                theirs = seconds[name]
                ratio = median(a / b for a, b in zip(seconds["ours"], theirs, strict=True))
                asked = asked | {"max_epochs": epochs}
                add_peer(table, data, rows, peers[name], asked, quick, [median(theirs), ratio])


def too_many(name, rows):
    """Whether a peer's JMVAE cannot take these modalities: that of `multiviewae` takes two."""
    return name == "multiviewae" and len(rows.test) > 2


def add_peer(table, data, rows, peer, request, quick, times):
    """Add a peer's model, a row for each noise."""
    for noise, scale in list(NOISES[peer.name].items())[: 1 if quick else None]:
        found = peer.fit(request | {"scale": scale})
        noise = noise if "likelihood" in found else None
        table.add(data, f"{peer.name}, {request['model']}", noise, *rows.measure(found), *times)
        times = [None, None]


def linear(rows, k):
    """Return what `Rows.measure` does for factor analysis, but for translations."""
    model = FactorAnalysis(k, random_state=0).fit(rows.wide_train)
    codes = model.transform(rows.wide_train), model.transform(rows.wide_test)
    whole = codes[1] @ model.components_ + model.mean_
    joint = [r2(rows.test[n], whole[:, at]) for n, at in rows.places.items()]
    probe = probe_of(codes[0], rows.y_train).score(codes[1], rows.y_test)
    density = model.score_samples(rows.wide_test).mean()
    return None, None, float(np.mean(joint)), None, float(probe), f"{density:.1f}"


def make_ours(rows, k, objective, epochs, **settings):
    """Return our estimator, all else at its default."""
    common = len(rows.places) == 2  # halves: pixels of one unit; mfeat: columns are standardised
    modalities = [
        (name, TabularModality(scale="common" if common else "column"), at)
        for name, at in rows.places.items()
    ]
    settings |= {
        "n_components": k,
        "width": WIDTH,
        "batch_size": BATCH_SIZE,
        "max_epochs": epochs,
        "early_stopping": False,
        "device": "cpu",
        "random_state": 0,
    }
    if objective is None:
        return MultimodalAutoencoder(modalities, **settings)
    return MultimodalVAE(modalities, objective=objective, **settings)


def fit_ours(rows, k, objective, epochs, n_draws, noise_scale):
    """Return what a runner of the peers returns, of our estimator."""
    settings = {"noise_scale": noise_scale} if objective else {}
    model = make_ours(rows, k, objective, epochs, **settings).fit(rows.wide_train)
    whole = model.reconstruct(rows.wide_test)
    found = {
        "codes/train": model.transform(rows.wide_train),
        "codes/test": model.transform(rows.wide_test),
    }
    for name, at in rows.places.items():
        found[f"joint/{name}"] = whole[:, at]
        found[f"crossed/{name}"] = model.translate(rows.wide_test, to=name)
    if objective:
        found["likelihood"] = model.score_samples(rows.wide_test, n_draws=n_draws)
    return found


def take_turns(rows, k, objective, peers, rivals, rounds):
    """Return CPU seconds an epoch of ours and of the rivals, who take turns; the first is warm-up.

    Each side has one thread, so CPU seconds are what an undisturbed core would take.
    """
    turns = Turns({name: peers[name] for name in rivals})
    for name, request in rivals.items():
        peers[name].say(request | {"task": "time", "scale": None, "max_epochs": rounds + 1})
    make_ours(rows, k, objective, rounds + 1, callbacks=[turns]).fit(rows.wide_train)
    return {name: found[1:] for name, found in turns.seconds.items()}


class Turns(Callback):
    """Before each epoch of ours, lets every rival train one."""

    def __init__(self, rivals):
        self.rivals = rivals
        self.seconds = {name: [] for name in ("ours", *rivals)}

    def on_epoch_begin(self, net, **kwargs):
        """Let the rivals go first."""
        for name, rival in self.rivals.items():
            rival.say("go")
            self.seconds[name].append(rival.hear())
        self.start = process_time()

    def on_epoch_end(self, net, **kwargs):
        """Note our own seconds."""
        self.seconds["ours"].append(process_time() - self.start)


class Peer:
    """A runner of `_peers` in an environment of its own; its predictions are files in `keep`."""

    def __init__(self, name, python, keep):
        self.name, self.keep = name, keep
        self.command = [python, Path(__file__).parent / "_peers" / f"run_{name}.py"]

    def __enter__(self):
        with ExitStack() as stack:
            self.errors = stack.enter_context(tempfile.TemporaryFile("w+"))
            self.process = stack.enter_context(
                subprocess.Popen(
                    self.command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self.errors,
                    text=True,
                    env=os.environ | {"OMP_NUM_THREADS": "1"},
                )
            )
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        with suppress(BrokenPipeError):  # it has ended already
            self.stack.__exit__(*error)  # closes its stdin, on which it ends

    def say(self, content):
        """Send a line; if there is nobody left to read it, `hear` says why."""
        with suppress(BrokenPipeError):
            print(json.dumps(content), file=self.process.stdin, flush=True)

    def hear(self):
        """Return the answer, or raise what the runner died of."""
        answer = self.process.stdout.readline()
        if not answer:
            self.errors.seek(0)
            raise RuntimeError(f"{self.name} stopped:\n{self.errors.read()[-3000:]}")
        return json.loads(answer)

    def fit(self, request):
        """Train a model; return its predictions."""
        known = {name: value for name, value in request.items() if name != "data"}
        key = sha1(json.dumps(known, sort_keys=True).encode()).hexdigest()
        out = self.keep / f"{self.name}-{key}.npz"
        if not out.exists():
            self.say(request | {"task": "fit", "out": str(out)})
            self.hear()
        with np.load(out) as found:
            return dict(found)


SETS = {"halves-16": (read_halves, 16), "halves-32": (read_halves, 32), "mfeat": (read_mfeat, 32)}
NOTES = (
    "*halves-16*, *-32*: halves of scikit-learn's digits, 16 and 32 components; *mfeat*: six views"
    " of 2,000 numerals, 32 components.",
    f"Same rows, {EPOCHS} epochs, batches of {BATCH_SIZE}, all training rows, no early stopping,"
    f" one split and seed, one thread. Hidden layers of {WIDTH} units on both sides: encoders and"
    " decoders of the peers have two (ReLU), as ours do; ours have a linear path beside them, and"
    " begin at factor analysis (the autoencoder at principal components). Adam with"
    f" {PEERS_LR} for the peers: the default of multiviewae; 1e-4, that of multivae, learns little"
    " in so few steps. All else is each package's default, ours included: multivae keeps the epoch"
    " of least training loss, multiviewae does not shuffle. The joint code has as many components"
    " for all; half of those of MMVAE+ are private, shared out among the modalities.",
    "*noise*: standard deviation of the decoders' Gaussians. multivae has a fixed one, 1 by"
    " default; what is best differs between the columns.",
    "R2 = 1 - SSE / SST on held-out rows, means over modalities, of predictions from the mean of"
    " the code given all other modalities, and given all (*joint*). *coherence*: share of these"
    " predictions from the others that an SVC, trained on real rows of the modality, takes for the"
    " numeral of their row. *probe*: accuracy of a logistic regression on the joint codes.",
    f"*nats a row*: held-out log density by importance sampling, {N_DRAWS} draws a row from each"
    " model's own posterior (of a mixture as many from each expert, weighted by the density of the"
    " whole), in the units that all were given: halves of the digits divided by one number each,"
    " columns of mfeat standardised, whole numbers with uniform noise of width 1, since densities"
    " of constant pixels have no bound. Autoencoders have no density.",
    f"*epoch*: CPU seconds, the median of {ROUNDS} after one of warm-up; ours and theirs by turns,"
    " ratios within a turn, on a machine that others used too. multivae: the trainer's steps,"
    " without the copies of the model that it makes between epochs; multiviewae: Lightning's"
    " epochs, logging every 50 steps, not every 2.",
)


if __name__ == "__main__":
    main()
