"""Do drawn rows hang together, and can they be told from real ones?"""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmae import MultimodalAutoencoder, MultimodalVAE

from ._table import Table, arguments, timed
from .never_below_linear import side_by_side
from .shared_data import available, load_halves, load_mfeat
from .translation import table_of

COLUMNS = (
    *("data", "components", "model", "coherence", "coherence given one"),
    *("told apart, neighbours", "told apart, trees", "told apart, one given", "seconds to draw"),
)
NOTES = (
    "Mean of 3 splits. *coherence*: share of drawn rows of which both modalities are of one class,"
    " by classifiers of real training rows (3 nearest neighbours) of each. *given one*: the second"
    " modality drawn given the first of a test row is of the row's class. *told apart*: accuracy,"
    " cross-validated, of a classifier that is to tell as many drawn rows from the test rows (15"
    " nearest neighbours, standardised; gradient boosting; neighbours, of rows drawn given their"
    " first modality); 0.5 is chance. Drawn pixels are rounded to the 17 values that real ones"
    " have. *test rows*: the same of real rows, *told apart* from others.",
)


def main():
    """Print the table."""
    options = arguments(__doc__)
    table = Table("sampling", "Sampling", COLUMNS, quick=options.quick, notes=NOTES)
    left, right, y = load_halves()
    whole = {"digits halves": ({"left": left, "right": right}, y, pixels, (16, 32))}
    if available("uci_mfeat"):
        views, y = load_mfeat()
        pair = {name: views[name] for name in ("fou", "kar")}
        whole["mfeat fou, kar"] = pair, y, np.asarray, (32,)
    else:
        table.absent("mfeat")
    for name, (views, y, rounded, sizes) in whole.items():
        for k in sizes:
            add(table, name, views, y, rounded, k, options.quick)
    table.show()


def add(table, name, views, y, rounded, k, quick):
    """Add the rows of one data set and one number of components."""
    X, places = side_by_side(views)
    settings = {"max_epochs": 2} if quick else {}
    found = {}
    for seed in range(1 if quick else 3):
        train, test, of_train, of_test = train_test_split(X, y, test_size=540, random_state=seed)
        classifiers = [KNeighborsClassifier(3).fit(train[:, p], of_train) for p in places.values()]
        _, second = places.values()
        hidden = test.copy()
        hidden[:, second] = np.nan
        for kind in (MultimodalAutoencoder, MultimodalVAE):
            model = kind(table_of(places), k, random_state=seed, **settings).fit(train)
            drawn, seconds = timed(model.sample, len(test))
            drawn, given = rounded(drawn), rounded(model.sample(1, given=hidden))
            guessed = [
                c.predict(drawn[:, p]) for c, p in zip(classifiers, places.values(), strict=True)
            ]
            found.setdefault(kind.__name__, []).append(
                [
                    np.mean(guessed[0] == guessed[1]),
                    classifiers[1].score(given[:, second], of_test),
                    *told_apart(drawn, test),
                    told_apart(given, test)[0],
                    seconds,
                ]
            )
        guessed = [c.predict(test[:, p]) for c, p in zip(classifiers, places.values(), strict=True)]
        real = classifiers[1].score(test[:, second], of_test)
        others = train[: len(test)]
        found.setdefault("test rows", []).append(
            [np.mean(guessed[0] == guessed[1]), real, *told_apart(others, test), np.nan, np.nan]
        )
    for model, rows in found.items():
        mean = [None if np.isnan(value) else value for value in np.mean(rows, 0).tolist()]
        table.add(name, str(k), model, *mean)


def pixels(values):
    """Return numbers as the pixels of digits are: 16 steps between 0 and 1."""
    return np.rint(np.clip(values, 0, 1) * 16) / 16


def told_apart(drawn, real):
    """Return how often two classifiers tell drawn from real rows."""
    rows, which = np.concatenate([drawn, real]), np.repeat([0, 1], [len(drawn), len(real)])
    judges = (
        make_pipeline(StandardScaler(), KNeighborsClassifier(15)),
        HistGradientBoostingClassifier(max_iter=60, random_state=0),
    )
    return [cross_val_score(judge, rows, which, cv=5).mean() for judge in judges]


if __name__ == "__main__":
    main()
