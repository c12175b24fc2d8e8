"""How long does a grid search over a table with texts take, as a user runs it?

python -m benchmarks.search_text --against FOLDER
"""

from __future__ import annotations

from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_mmae import MultimodalAutoencoder

from ._rows import clothing, some_rows
from ._sides import Jobs, options_of, sides, table_of
from ._table import timed
from .shared_data import available
from .tables_with_text import regressors

ROWS, FOLDS, MOST = 5000, 3, 180
GRID = {"n_components": [8, 16, 32], "noise": [0.0, 0.2, 0.4, 0.6]}
COLUMNS = ("data", "package", "rows", "jobs", "search, s", "target", "fits, s", "best R2", "best")
NOTES = (
    "clothing, all columns but the rating, which a ridge regression predicts from the code: 12"
    f" candidates (components 8, 16, 32; noise 0, .2, .4, .6), {FOLDS} folds, then the best again"
    " on all rows. *search, s*: on the wall, the start of the workers among it; *fits, s*: sum of"
    " `mean_fit_time` over candidates and folds. *best R2*: mean over folds.",
)


def main():
    """Print the table."""
    options = options_of(__doc__, *ARGUMENTS)
    table = table_of("search_text", "Search, with text", COLUMNS, options, NOTES)
    jobs = Jobs("search_text", options)
    if not available("women_clothing_reviews"):
        table.absent("clothing")
    else:
        for side in sides(options):
            n_rows = 150 if options.quick else options.rows
            add(table, jobs, side, n_rows, 1 if options.quick else options.epochs, options.n_jobs)
    table.show()


ARGUMENTS = (
    ("--rows", {"type": int, "default": ROWS}),
    ("--epochs", {"type": int, "help": "max_epochs; its default, unless given"}),
    ("--n-jobs", {"type": int, "default": 2}),
)


def add(table, jobs, side, n_rows, epochs, n_jobs):
    """Add the row of one side."""
    found = jobs.run(side, n_rows=n_rows, epochs=epochs, n_jobs=n_jobs)
    seconds, fits = f"{found['seconds']:.0f}", f"{found['fits']:.0f}"
    best = ", ".join(f"{name} {value}" for name, value in found["best"].items())
    table.add("clothing", side.name, n_rows, n_jobs, seconds, MOST, fits, found["score"], best)


def measure(n_rows, epochs, n_jobs):
    """Search, and return seconds and what was best."""
    rows = some_rows(clothing(0), n_rows, 1, seed=0)
    settings = {} if epochs is None else {"max_epochs": epochs}
    pipeline = make_pipeline(MultimodalAutoencoder(random_state=0, **settings), regressors()[0])
    grid = {f"multimodalautoencoder__{name}": values for name, values in GRID.items()}
    search = GridSearchCV(pipeline, grid, cv=FOLDS, n_jobs=n_jobs, error_score="raise")
    _, seconds = timed(search.fit, rows.train, rows.y_train)
    return {
        "seconds": seconds,
        "fits": FOLDS * float(search.cv_results_["mean_fit_time"].sum()),
        "score": float(search.best_score_),
        "best": {name.split("__")[1]: value for name, value in search.best_params_.items()},
    }


if __name__ == "__main__":
    main()
