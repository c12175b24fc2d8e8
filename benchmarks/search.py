"""What does a grid search cost over its fits, and what does it save to remember what was read?"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.model_selection import GridSearchCV

from sklearn_mmae import ImageModality, MultimodalAutoencoder, TextModality
from sklearn_mmae.datasets import load_digits_frame

from ._table import Table, arguments, timed
from .shared_data import available, load_clothing

GRID = {"n_components": [4, 8, 16], "weight_decay": [0.0, 1e-4, 1e-3, 1e-2]}
FOLDS, EPOCHS = 3, 5
MOST = 1.2  # seconds of the search over those of its fits
COLUMNS = ("data", "rows", "memory", "fits, s", "search, s", "ratio", "scoring", "the rest")
NOTES = (
    f"{len(GRID['n_components']) * len(GRID['weight_decay'])} candidates, {FOLDS} folds,"
    " refit=False, one process. *fits*: the sum of `mean_fit_time` over candidates and folds, of"
    f" the same search; *ratio*: seconds of the search over them (target {MOST}). *scoring* and"
    " *the rest* (cutting rows, copies, bookkeeping): shares of the search.",
    "*memory*: a folder, empty at first, for what is read of pictures and texts. What it saves is"
    " a part of fits, so that no ratio shows it: compare *search, s* of the two rows. Fits are"
    f" short on purpose ({EPOCHS} epochs): longer ones bring every ratio nearer to 1.",
)


def main():
    """Print the table."""
    options = arguments(__doc__)
    table = Table("search", "Search", COLUMNS, quick=options.quick, notes=NOTES)
    with tempfile.TemporaryDirectory() as folder:
        for name, (make, modalities) in SETS.items():
            X = make(Path(folder), options.quick)
            if X is None:
                table.absent(name)
                continue
            read_anew = [str(Path(folder) / name)] if name in TO_BE_READ else []
            for memory in (None, *read_anew):
                compare(table, name, X, modalities, memory, options.quick)
    table.show()


def compare(table, name, X, modalities, memory, quick):
    """Add the row of one search."""
    modalities = [(part, kind(memory=memory), [part]) for part, kind in modalities.items()]
    search = GridSearchCV(
        MultimodalAutoencoder(
            modalities or "auto", max_epochs=1 if quick else EPOCHS, random_state=0
        ),
        GRID,
        cv=FOLDS,
        refit=False,
        error_score="raise",
    )
    _, seconds = timed(search.fit, X)
    fits, scores = (
        FOLDS * float(search.cv_results_[f"mean_{part}_time"].sum()) for part in ("fit", "score")
    )
    table.add(
        name,
        len(X),
        "-" if memory is None else "a folder",
        f"{fits:.1f}",
        f"{seconds:.1f}",
        seconds / fits,
        f"{scores / seconds:.1%}",
        f"{1 - (fits + scores) / seconds:.1%}",
    )


def numbers(folder, quick):
    """Return four numbers a row."""
    return load_digits_frame()[["ink", "width", "slant", "balance"]][: 90 if quick else 600]


def pictures_in_memory(folder, quick):
    """Return small pictures, each an array in a cell."""
    return load_digits_frame()[["image"]][: 90 if quick else 600]


def photographs(folder, quick):
    """Return paths of JPEG files of 640 x 480 pixels."""
    rng = np.random.default_rng(0)
    paths = [str(folder / f"{row}.jpg") for row in range(30 if quick else 300)]
    for path in paths:
        few = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        few.resize((640, 480), Image.Resampling.BICUBIC).save(path)
    return pd.DataFrame({"photo": paths})


def reviews(folder, quick):
    """Return reviews of clothes, or None where they are absent."""
    if not available("women_clothing_reviews"):
        return None
    return load_clothing()[0][["Review Text"]].dropna()[: 90 if quick else 1000]


SETS = {
    "numbers": (numbers, {}),
    "pictures in memory": (pictures_in_memory, {"image": ImageModality}),
    "photographs in files": (photographs, {"photo": ImageModality}),
    "reviews": (reviews, {"Review Text": TextModality}),
}
TO_BE_READ = ("photographs in files", "reviews")


if __name__ == "__main__":
    main()
