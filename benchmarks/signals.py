"""Signals: never below PCA, one stream from another, the pen's path and the drawn letter."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsRegressor

from sklearn_mmae import ImageModality, MultimodalAutoencoder, SequenceModality

from ._table import Table, arguments, timed
from .shared_data import available, load_ecg_ppg, load_strokes

WIDTH = 250  # samples: two seconds
STEPS = 80  # of the pen's path
SIDE = 16  # of its picture, in pixels
COLUMNS = ("data", "task", "model", "figure", "seconds a fit")
NOTES = (
    "bidmc: windows of two seconds at random places; training windows from the first 70 % of the"
    " eight minutes, test windows from the rest. *explained*: 1 - SSE / SST on test windows of both"
    " channels, each standardised. *R2*: the same of one stream, predicted from the other.",
    "letters: drawers 1 to 15 train, 16 to 20 test. *top 10*: share of test letters whose other"
    " half is among the ten nearest by the cosine of codes, of one half each; chance is 10 of"
    f" the test rows. The baseline is CCA(16) on PCA(32) of paths brought to {STEPS} steps, and of"
    f" pictures of {SIDE} x {SIDE}; the nearest neighbour knows no code.",
)


def main():
    """Print the table."""
    options = arguments(__doc__)
    table = Table("signals", "Signals", COLUMNS, quick=options.quick, notes=NOTES)
    settings = {"max_epochs": 2} if options.quick else {}
    if available("bidmc01_ecg_ppg"):
        train, test = windows_of_pulse(*((200, 100) if options.quick else (1000, 400)))
        translate(table, train, test, settings)
        for k in (8, 16, 32):
            compare_with_pca(table, train, test, k, settings)
    else:
        table.absent("bidmc")
    if available("omniglot_small1"):
        letters(table, settings)
    else:
        table.absent("letters")
    table.show()


def windows_of_pulse(n_train, n_test, seed=0):
    """Return windows, (windows, steps, 2), of the first 70 % of the record and of the rest."""
    record = load_ecg_ppg()[["II", "PLETH"]].to_numpy()
    rng, cut = np.random.default_rng(seed), int(0.7 * len(record))
    places = (
        rng.integers(0, cut - WIDTH, n_train),
        rng.integers(cut, len(record) - WIDTH, n_test),
    )
    return [np.stack([record[i : i + WIDTH] for i in starts]) for starts in places]


def compare_with_pca(table, train, test, k, settings):
    """Add the explained deviance of both channels together, ours and PCA's."""
    mean, spread = train.mean((0, 1)), train.std((0, 1))
    flat, flat_test = (((w - mean) / spread).reshape(len(w), -1) for w in (train, test))
    pca, seconds = timed(PCA(k, random_state=0).fit, flat)
    back = pca.inverse_transform(pca.transform(flat_test))
    explained = 1 - ((flat_test - back) ** 2).sum() / ((flat_test - pca.mean_) ** 2).sum()
    table.add("bidmc", f"explained, {k} components", "PCA", explained, f"{seconds:.1f}")
    mmae = MultimodalAutoencoder(
        [("both", SequenceModality(), ["both"])], n_components=k, random_state=0, **settings
    )
    _, seconds = timed(mmae.fit, pd.DataFrame({"both": list(train)}))
    explained = mmae.score(pd.DataFrame({"both": list(test)}))
    table.add("bidmc", f"explained, {k} components", "ours", explained, f"{seconds:.1f}")


def translate(table, train, test, settings):
    """Add R2 of each stream from the other."""
    names = ("ECG", "pulse")
    frames = [
        pd.DataFrame({name: list(w[..., i]) for i, name in enumerate(names)}) for w in (train, test)
    ]
    mmae = MultimodalAutoencoder(
        [(name, SequenceModality(), [name]) for name in names], random_state=0, **settings
    )
    _, seconds = timed(mmae.fit, frames[0])
    for i, name in enumerate(names):
        task = f"{name} from {names[1 - i]}: R2"
        given, wanted, known = train[..., 1 - i], train[..., i], test[..., i]
        for model, regressor in {
            "RidgeCV": RidgeCV(alphas=np.logspace(-3, 5, 17)),
            "5 nearest neighbours": KNeighborsRegressor(5),
        }.items():
            _, own = timed(regressor.fit, given, wanted)
            predicted = regressor.predict(test[..., 1 - i])
            table.add("bidmc", task, model, r2(known, predicted, wanted), f"{own:.1f}")
        predicted = np.stack(list(mmae.translate(frames[1][[names[1 - i]]], to=name)[name]))
        table.add("bidmc", task, "ours", r2(known, predicted, wanted), f"{seconds:.1f}")


def letters(table, settings):
    """Add how often the pen's path finds its picture, and how well it draws it."""
    frame = load_strokes()
    train = (frame["drawer"] <= 15).to_numpy()
    columns = frame[["picture", "path"]]
    path = SequenceModality(max_steps=STEPS)
    mmae = MultimodalAutoencoder(
        [("picture", ImageModality(size=SIDE), ["picture"]), ("path", path, ["path"])],
        random_state=0,
        **settings,
    )
    _, seconds = timed(mmae.fit, columns[train])
    test = columns[~train]
    codes = [mmae.transform(test[["picture"]]), mmae.transform(test[["path"]])]
    pixels, flat = flat_letters(columns, train)
    (a, b), own = timed(codes_of_cca, pixels, flat, train)
    for task, order in (("picture from path", (1, 0)), ("path from picture", (0, 1))):
        for model, halves, took in (("PCA + CCA", (a, b), own), ("ours", codes, seconds)):
            found = top(halves[order[0]], halves[order[1]])
            table.add("letters", f"{task}: top 10", model, found, f"{took:.1f}")
    drawn = np.stack(list(mmae.translate(test[["path"]], to="picture")["picture"]))
    drawn = drawn.reshape(len(drawn), -1)
    for model, regressor in {
        "RidgeCV": RidgeCV(alphas=np.logspace(-3, 5, 17)),
        "5 nearest neighbours": KNeighborsRegressor(5),
    }.items():
        _, took = timed(regressor.fit, flat[train], pixels[train])
        predicted = regressor.predict(flat[~train])
        figure = r2(pixels[~train], predicted, pixels[train])
        table.add("letters", "picture from path: R2", model, figure, f"{took:.1f}")
    figure = r2(pixels[~train], drawn, pixels[train])
    table.add("letters", "picture from path: R2", "ours", figure, f"{seconds:.1f}")


def flat_letters(columns, train):
    """Return pictures and resampled, standardised paths as flat rows, for the baselines."""
    pixels = np.stack([small_picture(file).ravel() for file in columns["picture"]])
    grid = np.linspace(0, 1, STEPS)
    flat = np.stack(
        [
            np.stack([np.interp(grid, np.linspace(0, 1, len(p)), channel) for channel in p.T], 1)
            for p in columns["path"]
        ]
    )
    flat = (flat - flat[train].mean((0, 1))) / flat[train].std((0, 1))
    return pixels, flat.reshape(len(flat), -1)


def small_picture(file):
    """Return the bytes of a picture as an array of `SIDE` x `SIDE`."""
    with Image.open(BytesIO(file)) as picture:
        return np.asarray(
            picture.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS), float
        )


def codes_of_cca(pixels, flat, train):
    """Return the canonical variates of test rows, pictures first."""
    halves = [PCA(32, random_state=0).fit(half[train]) for half in (pixels, flat)]
    known = [p.transform(half) for p, half in zip(halves, (pixels, flat), strict=True)]
    cca = CCA(16, max_iter=5000).fit(known[0][train], known[1][train])
    return cca.transform(known[0][~train], known[1][~train])


def top(asked, among, n=10):
    """Return the share of rows whose own partner is among the `n` nearest by cosine."""
    asked, among = (c / np.linalg.norm(c, axis=1, keepdims=True) for c in (asked, among))
    likeness = asked @ among.T
    return float(((likeness > np.diag(likeness)[:, None]).sum(1) < n).mean())


def r2(known, predicted, train):
    """Return one minus the ratio of squared errors to squared deviations from training means."""
    return float(1 - ((known - predicted) ** 2).sum() / ((known - train.mean(0)) ** 2).sum())


if __name__ == "__main__":
    main()
