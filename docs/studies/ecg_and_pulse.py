"""Heart and pulse: two signals of one patient, each predicted from the other, and their lag.

Run from the project's folder: ``python -m docs.studies.ecg_and_pulse``. It needs the
data that ``benchmarks/shared_data.py`` finds, and the extra ``plot``; it takes a minute.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.signal import find_peaks
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsRegressor

from benchmarks.shared_data import load_ecg_ppg
from sklearn_mmae import DelayAligner, MultimodalAutoencoder, SequenceModality

HERE = Path(__file__).parent
RATE = 125  # Hz
WIDTH = 2 * RATE  # samples of a window
STREAMS = ("ECG", "pulse")


def main():
    """Run the study: print its figures, draw its pictures."""
    record = load_ecg_ppg()[["II", "PLETH"]].set_axis(STREAMS, axis=1)
    train, test, starts = windows(record)
    mmae = MultimodalAutoencoder(
        [(name, SequenceModality(sampling_rate=RATE), [name]) for name in STREAMS],
        n_components=16,
        random_state=0,
    ).fit(train)
    print(f"{len(train)} windows to learn from, {len(test)} to test; {mmae.n_iter_} epochs")

    explained(mmae, train, test)
    translated = translation(mmae, train, test)
    missing(mmae, test)
    draw_translation(test, translated)
    draw_embedding(mmae.transform(test), phases(record, starts))
    lag(record)


def windows(record, n_train=1500, n_test=500):
    """Return windows at random places, training ones from the first 70 %, and the test starts."""
    rng, cut = np.random.default_rng(0), int(0.7 * len(record))
    places = rng.integers(0, cut - WIDTH, n_train), rng.integers(cut, len(record) - WIDTH, n_test)
    frames = [
        pd.DataFrame(
            {name: [record[name].to_numpy()[i : i + WIDTH] for i in p] for name in STREAMS}
        )
        for p in places
    ]
    return *frames, places[1]


def explained(mmae, train, test):
    """Print how much of both streams the codes keep, and PCA's scores."""
    flat, flat_test = (
        np.hstack([stack(f[n]) / spread(train[n]) for n in STREAMS]) for f in (train, test)
    )
    pca = PCA(mmae.n_components_).fit(flat)
    back = pca.inverse_transform(pca.transform(flat_test))
    halves = [slice(0, WIDTH), slice(WIDTH, None)]
    linear = np.mean([r2(flat_test[:, h], back[:, h], flat[:, h]) for h in halves])
    print(f"explained, both streams: {mmae.score(test):.3f}; PCA {linear:.3f}")


def translation(mmae, train, test):
    """Print how well each stream is predicted from the other; return the predictions."""
    translated = {}
    for wanted, given in (STREAMS, STREAMS[::-1]):
        translated[wanted] = stack(mmae.translate(test[[given]], to=wanted)[wanted])
        known, learned = stack(test[wanted]), stack(train[wanted])
        ridge = RidgeCV(np.logspace(-3, 5, 17)).fit(stack(train[given]), learned)
        nearest = KNeighborsRegressor(5).fit(stack(train[given]), learned)
        figures = [
            r2(known, prediction, learned)
            for prediction in (
                translated[wanted],
                ridge.predict(stack(test[given])),
                nearest.predict(stack(test[given])),
            )
        ]
        print(
            f"{wanted} from {given}: R2 {figures[0]:.3f}; ridge {figures[1]:.3f};"
            f" 5 nearest neighbours {figures[2]:.3f}"
        )
    return translated


def missing(mmae, test):
    """Print what happens to rows whose pulse is not there, wholly or for half a second."""
    holed = test.copy()
    holed["pulse"] = [
        None if i % 2 else np.where(np.arange(WIDTH) // 62 == 2, np.nan, pulse)
        for i, pulse in enumerate(test["pulse"])
    ]
    filled, known = stack(mmae.impute(holed)["pulse"]), stack(test["pulse"])
    gap = slice(124, 186)
    scale = known.std()
    print(
        "error of a filled pulse, in standard deviations:"
        f" {np.sqrt(((filled - known)[1::2] ** 2).mean()) / scale:.2f} where all of it is missing,"
        f" {np.sqrt(((filled - known)[::2, gap] ** 2).mean()) / scale:.2f} where half a second is"
    )


def lag(record):
    """Print how long after the heart beat the pulse rises fastest."""
    streams = pd.DataFrame({"ECG": record["ECG"], "slope": np.gradient(record["pulse"])})
    aligner = DelayAligner(max_lag=1.0, sampling_rate=RATE).fit(streams)
    low, high = aligner.lag_intervals_["slope"]
    print(
        f"the pulse's slope follows the ECG by {aligner.lags_['slope']:.3f} s,"
        f" 95 % interval {low:.3f} to {high:.3f} s"
    )


def phases(record, starts):
    """Return how far the beat is at the start of each window, 0 to 1, by the ECG's peaks."""
    peaks, _ = find_peaks(record["ECG"], prominence=0.3, distance=40)
    after = np.searchsorted(peaks, starts, side="right").clip(1, len(peaks) - 1)
    return (starts - peaks[after - 1]) / (peaks[after] - peaks[after - 1])


def draw_translation(test, translated):
    """Draw three test windows, each stream as it was and as the other tells it."""
    seconds = np.arange(WIDTH) / RATE
    figure, axes = plt.subplots(2, 3, figsize=(8, 3.4), sharex=True, sharey="row")
    for row, name in zip(axes, STREAMS, strict=True):
        for axis, i in zip(row, (10, 200, 350), strict=True):
            axis.plot(seconds, test[name][i], color="0.6", linewidth=2, label="measured")
            axis.plot(seconds, translated[name][i], color="C3", linewidth=1, label="predicted")
        row[0].set_ylabel(f"{name} from\nthe other")
    axes[0, 0].legend(frameon=False, fontsize=7)
    axes[1, 1].set_xlabel("seconds")
    save(figure, "ecg_and_pulse_translation.png")


def draw_embedding(codes, phase):
    """Draw the two leading directions of the codes, coloured by where in the beat they begin."""
    flat = PCA(2).fit_transform(codes)
    figure, axis = plt.subplots(figsize=(4.2, 3.4))
    points = axis.scatter(*flat.T, c=phase % 1, cmap="twilight", s=8)
    figure.colorbar(points, label="part of the beat that is over")
    axis.set_xlabel("first direction")
    axis.set_ylabel("second")
    save(figure, "ecg_and_pulse_embedding.png")


def save(figure, name):
    """Write a picture beside this file."""
    figure.tight_layout()
    figure.savefig(HERE / name, dpi=90)
    plt.close(figure)


def stack(cells):
    """Return cells of one length as one array."""
    return np.stack(list(cells))


def spread(cells):
    """Return the standard deviation over all numbers of some cells."""
    return stack(cells).std()


def r2(known, predicted, learned):
    """Return one minus the ratio of squared errors to squared deviations from training means."""
    return 1 - ((known - predicted) ** 2).sum() / ((known - learned.mean(0)) ** 2).sum()


if __name__ == "__main__":
    main()
