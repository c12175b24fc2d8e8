"""What is a code worth that knows the target, beside one that does not?

    python -m benchmarks.targets
    python -m benchmarks.targets --data wine digits --methods without with

What is measured is kept in results/targets.jsonl.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from sklearn_mmae import MultimodalAutoencoder

from . import _rows
from ._sides import NO_SIDE, Jobs, cpu_seconds, options_of, table_of
from ._table import RESULTS
from .probes import classifiers
from .shared_data import available
from .tables_with_text import regressors

# How rows are made, how many splits, the folder that they need, components; classes or numbers.
SETS = {
    "salaries": (_rows.salaries, 3, "employee_salaries", 64),
    "clothing": (partial(_rows.clothing, recommended=False), 1, "women_clothing_reviews", 64),
    "clothing with Recommended IND": (_rows.clothing, 1, "women_clothing_reviews", 64),
    "wine": (_rows.wine, 5, None, 4),
    "breast cancer": (_rows.breast_cancer, 5, None, 8),
    "diabetes": (_rows.diabetes, 5, None, 4),
    "mfeat, 3 views": (_rows.mfeat_3, 3, "uci_mfeat", 32),
    "nutrimouse": (_rows.nutrimouse, 5, "nutrimouse", 8),
    "digits": (_rows.digits, 5, None, 8),
    "scene15": (_rows.scene15, 3, "scene15", 32),
}
OF_NUMBERS = ("salaries", "clothing", "clothing with Recommended IND", "diabetes")
START, START_WITH = "without, linear start", "with, linear start"
FIT, FIT_WITH = "without", "with"
METHODS = [START, START_WITH, FIT, FIT_WITH]
COLUMNS = (
    *("data", "components", "fit", "target", "linear", "trees", "predict", "score"),
    *("difference, linear", "error", "difference, trees", "error of trees", "CPU s"),
)
NOTES = (
    "Targets of test rows, means over splits. Numbers: R2 of RidgeCV on standardised codes"
    " (*linear*) and of HistGradientBoostingRegressor (*trees*); classes: accuracy of"
    " LogisticRegression(C=0.1) on standardised codes and of ExtraTreesClassifier. *predict*: of"
    " the estimator's own.",
    "*target*: fit(X, y) with target_weight=1, or without one. *linear start*: max_epochs=0."
    " *difference*: to the same fit without a target, in pairs by split, with its standard error.",
    "salaries: 3 folds of all rows; clothing: the split of Shi et al. (2021) without the column"
    " Recommended IND, unless it is named.",
)


def main():
    """Print the table."""
    options = options_of(__doc__, *ARGUMENTS)
    table = table_of("targets", "Targets", COLUMNS, options, NOTES)
    jobs = Jobs("targets", options, RESULTS / "targets.jsonl")
    for data in options.data:
        _, splits, folder, k = SETS[data]
        if folder and not available(folder):
            table.absent(data)
            continue
        measured = {}
        for method in options.methods:
            measured[method] = [
                jobs.run(
                    NO_SIDE,
                    **{"data": data, "split": split, "method": method},
                    k=options.components or k,
                    quick=options.quick,
                )
                for split in range(1 if options.quick else min(splits, options.splits))
            ]
            add_row(table, data, options.components or k, method, measured)
    table.show()


ARGUMENTS = (
    ("--data", {"nargs": "+", "choices": SETS, "default": list(SETS)}),
    ("--methods", {"nargs": "+", "choices": METHODS, "default": METHODS}),
    ("--components", {"type": int, "help": "for all sets; their own, unless given"}),
    ("--splits", {"type": int, "default": 5, "help": "at most"}),
)


def add_row(table, data, k, method, measured):
    """Add the row of one method, beside that without a target if it was measured."""
    start, target = method in (START, START_WITH), method in (START_WITH, FIT_WITH)
    rows = measured[method]
    without = measured.get(START if start else FIT) if target else None
    means = [
        None if rows[0][name] is None else float(np.mean([row[name] for row in rows]))
        for name in ("linear", "trees", "predict", "score")
    ]
    differences = []
    for name in ("linear", "trees"):
        if without is None:
            differences += [None, None]
            continue
        gains = np.array([a[name] - b[name] for a, b in zip(rows, without, strict=True)])
        error = float(gains.std(ddof=1) / len(gains) ** 0.5) if len(gains) > 1 else None
        differences += [float(gains.mean()), error]
    seconds = np.mean([row["seconds"] for row in rows])
    fit = "linear start" if start else "default"
    table.add(data, k, fit, "yes" if target else "no", *means, *differences, f"{seconds:.1f}")


def measure(data, split, method, k, quick):
    """Fit one split, and return what the codes are worth, and the seconds."""
    rows = _rows.some_rows(SETS[data][0](split), *((150, 150) if quick else (None, None)), seed=0)
    target = method in (START_WITH, FIT_WITH)
    settings = {"max_epochs": 0} if method in (START, START_WITH) else {}
    if quick and not settings:
        settings = {"max_epochs": 2}
    mmae = MultimodalAutoencoder(
        rows.modalities, k, target_weight=float(target), random_state=split, **settings
    )
    y = rows.y_train.astype(float) if data in OF_NUMBERS else rows.y_train
    codes, seconds = cpu_seconds(mmae.fit_transform, rows.train, y if target else None)
    new = mmae.transform(rows.test)
    linear, trees = (
        float(probe.fit(codes, rows.y_train).score(new, rows.y_test))
        for probe in (regressors() if data in OF_NUMBERS else classifiers())
    )
    return {
        **{"linear": linear, "trees": trees, "seconds": seconds},
        "predict": _of_predict(mmae, rows, data) if target else None,
        "score": float(mmae.score(rows.test)),
    }


def _of_predict(mmae, rows, data):
    """Return R2 or accuracy of what the estimator itself predicts."""
    predicted = mmae.predict(rows.test)
    if data not in OF_NUMBERS:
        return float((predicted == rows.y_test).mean())
    wrong = ((predicted - rows.y_test) ** 2).mean()
    return float(1 - wrong / np.var(rows.y_test))


if __name__ == "__main__":
    main()
