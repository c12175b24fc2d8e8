"""Is the probe of a default fit ever below that of its linear start?

    python -m benchmarks.probes --data wine salaries --against FOLDER

What is measured is kept in results/probes.jsonl.
"""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_mmae import MultimodalAutoencoder

from . import _rows
from ._sides import Jobs, cpu_seconds, options_of, sides, table_of
from ._table import RESULTS
from .shared_data import available
from .tables_with_text import regressors, scaled

# How rows are made, how many to draw (None: all), and the folder that they need.
SETS = {
    "salaries": (_rows.salaries, 1500, "employee_salaries"),
    "clothing": (_rows.clothing, 1500, "women_clothing_reviews"),
    "digits": (_rows.digits, None, None),
    "mfeat, 3 views": (_rows.mfeat_3, None, "uci_mfeat"),
    "wine": (_rows.wine, None, None),
    "breast cancer": (_rows.breast_cancer, None, None),
    "scene15": (_rows.scene15, None, "scene15"),
}
OF_CLASSES = ("digits", "mfeat, 3 views", "wine", "breast cancer", "scene15")
SPLITS = 3
COLUMNS = (
    *("data", "package", "probe", "linear start", "default", "difference", "standard error"),
    *("below", "score, linear start", "score, default", "CPU s"),
)
NOTES = (
    "Targets of test rows from codes that have not seen them, means over splits. Numbers: R2 of"
    " RidgeCV on standardised codes (*linear*) and of HistGradientBoostingRegressor (*trees*);"
    " classes: accuracy of LogisticRegression(C=0.1) on standardised codes and of"
    " ExtraTreesClassifier. *linear start*: max_epochs=0.",
    "*difference*: default less linear start, in pairs by split, with its *standard error*;"
    " *below*: whether by more than that, which it should nowhere be. *CPU s*: of a default fit.",
    "salaries and clothing: 1,500 training and 1,500 test rows, drawn anew for each split;"
    " components 32, but digits 8, breast cancer 8, wine 4.",
)


def main():
    """Print the table."""
    options = options_of(__doc__, *ARGUMENTS)
    table = table_of("probes", "Probes", COLUMNS, options, NOTES)
    jobs = Jobs("probes", options, RESULTS / "probes.jsonl")
    for data in options.data:
        folder = SETS[data][2]
        if folder and not available(folder):
            table.absent(data)
            continue
        for side in sides(options):
            add_rows(table, data, side, *measure_splits(jobs, data, side, options))
    table.show()


ARGUMENTS = (
    ("--data", {"nargs": "+", "choices": SETS, "default": list(SETS)}),
    ("--splits", {"type": int, "default": SPLITS}),
    ("--epochs", {"type": int, "help": "max_epochs; its default, unless given"}),
)


def measure_splits(jobs, data, side, options):
    """Return what is measured of the linear start, and of the default fit, in each split."""
    epochs = 2 if options.quick else options.epochs
    splits = range(1 if options.quick else options.splits)
    return [
        [
            jobs.run(side, data=data, split=split, epochs=epochs, quick=options.quick)
            for split in splits
        ]
        for epochs in (0, epochs)
    ]


def add_rows(table, data, side, start, fitted):
    """Add a row for each probe."""
    scores = [np.mean([row["score"] for row in rows]) for rows in (start, fitted)]
    seconds = np.mean([row["seconds"] for row in fitted])
    for probe in ("linear", "trees"):
        before, after = (np.array([row[probe] for row in rows]) for rows in (start, fitted))
        difference = (after - before).mean()
        several = len(before) > 1
        error = (after - before).std(ddof=1) / len(before) ** 0.5 if several else 0.0
        table.add(
            *(data, side.name, probe),
            *map(float, (before.mean(), after.mean(), difference)),
            float(error) if several else None,
            "yes" if difference < -max(error, 5e-4) else "no",
            *map(float, scores),
            f"{seconds:.1f}",
        )


def measure(data, split, epochs, quick):
    """Fit one split, and return what the codes are worth, the score and the seconds."""
    load, n_rows, _ = SETS[data]
    n_rows = 150 if quick else n_rows
    rows = _rows.some_rows(load(split), n_rows, n_rows, seed=split)
    settings = {} if epochs is None else {"max_epochs": epochs}
    mmae = MultimodalAutoencoder(rows.modalities, rows.k, random_state=split, **settings)
    _, seconds = cpu_seconds(mmae.fit, rows.train)
    codes, new = mmae.transform(rows.train), mmae.transform(rows.test)
    linear, trees = (
        float(probe.fit(codes, rows.y_train).score(new, rows.y_test))
        for probe in (classifiers() if data in OF_CLASSES else regressors())
    )
    score = float(mmae.score(rows.test))
    return {"linear": linear, "trees": trees, "score": score, "seconds": seconds}


def classifiers():
    """Return the probes of classes."""
    linear = make_pipeline(scaled(), LogisticRegression(C=0.1, max_iter=5000))
    return linear, ExtraTreesClassifier(500, random_state=0)


if __name__ == "__main__":
    main()
