"""Which fusion, and how much dropout of modalities, wins on all that a code is for?"""

from __future__ import annotations

from benchmarks._table import Table, arguments
from benchmarks.shared_data import available
from benchmarks.translation import (
    MEASURES,
    add,
    measure_ours,
    splits_of_halves,
    splits_of_mfeat,
    table_of,
)

SETTINGS = [
    *((fusion, 0.5) for fusion in ("joint", "concat", "precision", "mean")),
    *(("joint", dropout) for dropout in (0.0, 0.3, 0.7)),
]
NOTES = (
    "Columns as in translation.md: 16 components on the halves of the digits, 32 on mfeat."
    " All else is the default. Means of 3 splits, of 1 for mfeat.",
)


def main():
    """Print the table."""
    options = arguments(__doc__)
    columns = ("data", "fusion, modality_dropout", *MEASURES)
    table = Table("fusion", "Fusion", columns, quick=options.quick, notes=NOTES)
    sets = {"digits halves": (splits_of_halves, 16, 3)}
    if available("uci_mfeat"):
        sets["mfeat"] = splits_of_mfeat, 32, 1
    else:
        table.absent("mfeat")
    for data, (splits, k, n_splits) in sets.items():
        for fusion, dropout in SETTINGS:
            measured = [
                measure_ours(
                    *split,
                    table_of,
                    n_components=k,
                    fusion=fusion,
                    modality_dropout=dropout,
                    random_state=seed,
                    **{"max_epochs": 1} if options.quick else {},
                )
                for seed, split in enumerate(splits(1 if options.quick else n_splits))
            ]
            add(table, data, f"{fusion}, {dropout}", measured)
    table.show()


if __name__ == "__main__":
    main()
