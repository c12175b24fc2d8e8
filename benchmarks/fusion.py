"""Which fusion, and which extra term, wins on all that a code is for?"""

from __future__ import annotations

from time import process_time

import numpy as np
from sklearn.model_selection import train_test_split

from sklearn_mmae import AudioModality, ImageModality, MultimodalAutoencoder, TextModality
from sklearn_mmae.fusion import FUSIONS

from ._table import Table, arguments
from .never_below_linear import side_by_side
from .shared_data import available, load_emoji, load_fsdd, load_halves, load_mfeat
from .translation import probe_of, table_of

N_SPLITS = 5
SETTINGS = {
    **{name: {"fusion": name} for name in FUSIONS},
    "joint, agreement": {"extra_terms": "agreement"},
    "joint, contrastive": {"extra_terms": "contrastive"},
    "joint, contrastive, noise 0.35": {"extra_terms": "contrastive", "noise": 0.35},
}
SHORT = {"early_stopping": False, "max_epochs": 15}
FEW = (400, 400)  # training and test rows
MEASURES = (
    "joint",
    "each from the others",
    "worst of them",
    "probe, all",
    "probe, one alone",
    "probe of one",
)
NOTES = (
    "Means of 5 splits, and their standard errors; 32 components. *digits halves*: the defaults,"
    " 1,257 training and 540 test rows. To be done in half an hour of one core, the others are"
    " `early_stopping=False, max_epochs=15`, with 400 training and 400 test rows (mfeat with its"
    " columns standardised; emoji as pictures of 16 x 16): fusions as trained, where the default"
    " would often keep to the linear start.",
    "*joint*: deviance explained on the test rows, the mean over modalities, all of them"
    " reconstructed from all. *each from the others*: the same of each modality from all others."
    " Of numbers it is R2 = 1 - SSE / SST over all cells of a modality; words count by their own"
    " loss, as in `score`. A value below 0 is worse than the constant.",
    "*probe*: accuracy of a logistic regression on the standardised codes of all modalities;"
    " *one alone*: the same regression fed with codes of each modality alone, the mean; *of one*:"
    " trained on codes of that modality, too. It tells the numeral, in fsdd the speaker, of whom"
    " the word alone says nothing (chance is 0.2). Emoji have no labels.",
    "*behind*: in how many columns the row is more than a standard error below the first, in how"
    " many if it is that of the differences from the first, split by split.",
)


def main():
    """Print the table."""
    options = arguments(__doc__)
    columns = ("data", "fusion, extra terms", *MEASURES, "behind", "processor seconds a fit")
    table = Table("fusion", "Fusion", columns, quick=options.quick, notes=NOTES)
    for data, (folder, load) in SETS.items():
        if folder is None or available(folder):
            add(table, data, compare(load, range(2 if options.quick else N_SPLITS), options.quick))
        else:
            table.absent(data)
    table.show()


def halves():
    """Return cells, modalities, labels, numbers of training and test rows, and settings."""
    left, right, y = load_halves()
    X, places = side_by_side({"left": left, "right": right})
    return X, table_of(places), y, (1257, 540), {}


def mfeat():
    """Return the same for mfeat."""
    views, y = load_mfeat()
    X, places = side_by_side(views)
    return (X - X.mean(0)) / X.std(0), table_of(places), y, FEW, SHORT


def fsdd():
    """Return the same for spoken digits with their words."""
    frame, *_ = load_fsdd()
    modalities = [("sound", AudioModality(), ["sound"]), ("text", TextModality(), ["text"])]
    return frame, modalities, frame["speaker"].to_numpy(), FEW, SHORT


def emoji():
    """Return the same for emoji with their names."""
    frame, *_ = load_emoji()
    modalities = [
        ("picture", ImageModality(size=16), ["picture"]),
        ("name", TextModality(), ["name"]),
    ]
    return frame, modalities, None, FEW, SHORT


SETS = {
    "digits halves": (None, halves),
    "mfeat": ("uci_mfeat", mfeat),
    "fsdd + words": ("fsdd", fsdd),
    "emoji + names": ("noto_emoji", emoji),
}


def compare(load, seeds, quick):
    """Return what `MEASURES` names and seconds, (split, measure), for each of the settings."""
    X, modalities, y, sizes, settings = load()
    if quick:
        sizes, settings = (100, 100), SHORT | {"max_epochs": 1}
    found = {name: [] for name in SETTINGS}
    for seed in seeds:
        train, test = train_test_split(
            np.arange(len(X)), train_size=sizes[0], test_size=sizes[1], random_state=seed
        )
        for name, setting in SETTINGS.items():
            mmae = MultimodalAutoencoder(modalities, random_state=seed, **settings | setting)
            start = process_time()
            mmae.fit(rows_of(X, train))
            seconds = process_time() - start
            found[name].append([*measure(mmae, X, y, train, test), seconds])
    return {name: np.array(runs) for name, runs in found.items()}


def measure(mmae, X, y, train, test):
    """Return what `MEASURES` names."""
    train_rows, test_rows, n = rows_of(X, train), rows_of(X, test), len(mmae.modalities_)
    model = mmae._model
    everything, codes = encoded(mmae, test_rows)
    joint = list(model.explained_deviance(everything, codes).values())
    crossed = []
    for m in range(n):
        _, from_others = encoded(mmae, test_rows, np.arange(n) == m)
        found = model.explained_deviance(everything, from_others)
        crossed.append(found[model.names[m]])
    figures = [np.mean(joint), np.mean(crossed), np.min(crossed)]
    if y is None:
        return [*figures, *[np.nan] * 3]
    probe = probe_of(mmae.transform(train_rows), y[train])
    fed, own = [], []
    for m in range(n):
        others = np.arange(n) != m
        known, new = (encoded(mmae, rows, others)[1].numpy() for rows in (train_rows, test_rows))
        fed.append(probe.score(new, y[test]))
        own.append(probe_of(known, y[train]).score(new, y[test]))
    return [*figures, probe.score(codes.numpy(), y[test]), np.mean(fed), np.mean(own)]


def encoded(mmae, X, hidden=None):
    """Return rows as the model reads them, and their codes."""
    read = mmae._model.read(X, mmae, hidden)
    return read, mmae._model.encode(read)


def rows_of(X, rows):
    """Return rows of an array or a frame."""
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def add(table, data, found):
    """Add the rows of one data set."""
    runs = np.stack(list(found.values()))[..., :-1]  # (setting, split, measure)
    best = runs.mean(1).argmax(0)
    first = np.take_along_axis(runs, best[None, None], 0)[0]
    lag = (first - runs).mean(1)
    behind = (lag > error(first)).sum(1), (lag > error(first - runs, 1) + 1e-9).sum(1)
    for i, (name, own) in enumerate(found.items()):
        *figures, seconds = own.mean(0)
        cells = [
            None if np.isnan(figure) else f"{figure:.3f} ± {e:.3f}"
            for figure, e in zip(figures, error(own), strict=False)
        ]
        table.add(data, name, *cells, f"{behind[0][i]}, {behind[1][i]}", f"{seconds:.1f}")


def error(runs, axis=0):
    """Return the standard error of the mean over splits."""
    return runs.std(axis, ddof=1) / runs.shape[axis] ** 0.5


if __name__ == "__main__":
    main()
