"""The first minute: ``python -m sklearn_mmae`` learns images, words and numbers together.

Trains on scikit-learn's digits, prints how well each modality is reconstructed and predicted from
the others, beside PCA and the mean, and writes one figure. The only file that prints.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Self

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .datasets import load_digits_frame
from .estimators import MultimodalAutoencoder

NUMBERS = ["ink", "width", "balance", "slant"]
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SHOWN = 10  # images a row
ZOOM = 6  # screen pixels per pixel of a digit


class JointPCA:
    """The baseline: PCA of pixels, TF-IDF words and numbers side by side, each block of weight 1.

    A modality that is missing stands at its mean.
    """

    def __init__(self, n_components: int) -> None:
        self.n_components = n_components

    def fit(self, frame: pd.DataFrame) -> Self:
        """Learn words, weights and components."""
        self.words = TfidfVectorizer().fit(frame["caption"])
        blocks = self._raw(frame)
        self.means = [block.mean(0) for block in blocks]
        scales = [np.sqrt(block.var(0)) for block in blocks]
        scales[2] = np.where(scales[2] > 0, scales[2], 1)
        self.scales = [
            np.sqrt((scales[0] ** 2).sum()),
            np.sqrt((scales[1] ** 2).sum()),
            scales[2] * np.sqrt(len(NUMBERS)),
        ]
        self.pca = PCA(self.n_components).fit(np.hstack(self._blocks(frame)))
        return self

    def _raw(self, frame):
        pixels = np.stack(frame["image"].to_list()).reshape(len(frame), -1).astype(float)
        words = self.words.transform(frame["caption"]).toarray()
        return [pixels, words, frame[NUMBERS].to_numpy(float)]

    def _blocks(self, frame):
        raw = self._raw(frame)
        return [(b - m) / s for b, m, s in zip(raw, self.means, self.scales, strict=True)]

    def predict(self, frame: pd.DataFrame, seen: Sequence[int] = (0, 1, 2)) -> list[np.ndarray]:
        """Return pixels, words and numbers, predicted from the blocks that may be seen."""
        blocks = [b if i in seen else 0 * b for i, b in enumerate(self._blocks(frame))]
        back = self.pca.inverse_transform(self.pca.transform(np.hstack(blocks)))
        ends = np.cumsum([b.shape[1] for b in blocks])[:-1]
        parts = np.split(back, ends, 1)
        return [p * s + m for p, m, s in zip(parts, self.means, self.scales, strict=True)]

    def digit_words(self, words: np.ndarray) -> np.ndarray:
        """Return the digit of largest weight among the predicted words of each row."""
        at = [self.words.vocabulary_[word] for word in DIGITS]
        return np.array(DIGITS)[words[:, at].argmax(1)]


def r2(true: np.ndarray, predicted: np.ndarray, mean: np.ndarray) -> float:
    """Return the share of the variance explained, 0 for the mean of the training rows."""
    return 1 - ((true - predicted) ** 2).sum() / ((true - mean) ** 2).sum()


def pixels(column: pd.Series) -> np.ndarray:
    """Return images as rows of pixels."""
    return np.stack([np.asarray(cell) for cell in column]).reshape(len(column), -1).astype(float)


def first_digit(captions: pd.Series) -> np.ndarray:
    """Return the first word of each caption that names a digit."""
    return np.array(
        [next((w for w in str(c).replace(",", "").split() if w in DIGITS), "") for c in captions]
    )


def main(arguments: Sequence[str] | None = None) -> MultimodalAutoencoder:
    """Train, compare, print a table and write the figure."""
    parser = argparse.ArgumentParser(prog="python -m sklearn_mmae", description=__doc__)
    parser.add_argument("--output", default="digits.png", help="the figure to write")
    parser.add_argument("--components", type=int, default=16, help="length of the vector")
    parser.add_argument("--epochs", type=int, default=25, help="the most epochs")
    options = parser.parse_args(arguments)

    frame, digit = load_digits_frame(return_target=True)
    train, test, y_train, y_test = train_test_split(frame, digit, test_size=0.3, random_state=0)
    print(f"scikit-learn's digits: {len(train)} rows to learn from, {len(test)} held out")
    print(test.head(3).drop(columns="image").to_string(), "\n")

    started = time.perf_counter()
    mmae = MultimodalAutoencoder(
        n_components=options.components, max_epochs=options.epochs, verbose=1, random_state=0
    ).fit(train)
    seconds = time.perf_counter() - started
    print(f"\nmodalities_ = {mmae.modalities_}")
    print(f"fitted in {seconds:.0f} s, {mmae.n_iter_} epochs\n")
    pca = JointPCA(options.components).fit(train)

    back, linear = mmae.reconstruct(test), pca.predict(test)
    true, mean = pixels(test["image"]), pixels(train["image"]).mean(0)
    numbers, middle = test[NUMBERS].to_numpy(float), train[NUMBERS].to_numpy(float).mean(0)
    scale = train[NUMBERS].to_numpy(float).std(0)
    word = np.array(DIGITS)[y_test]
    usual = np.mean(word == np.array(DIGITS)[np.bincount(y_train).argmax()])

    def row(name, ours, theirs, nothing):
        print(f"{name:<48}{ours:>8.3f}{theirs:>8.3f}{nothing:>8.3f}")

    print(f"{'held-out rows':<48}{'MMAE':>8}{'PCA':>8}{'mean':>8}")
    print("-" * 72)
    row(
        "image reconstructed, R2",
        r2(true, pixels(back["image"]), mean),
        r2(true, linear[0], mean),
        0,
    )
    row(
        "numbers reconstructed, R2",
        r2(numbers / scale, back[NUMBERS].to_numpy() / scale, middle / scale),
        r2(numbers / scale, linear[2] / scale, middle / scale),
        0,
    )
    row(
        "digit's word reconstructed, share right",
        np.mean(first_digit(back["caption"]) == word),
        np.mean(pca.digit_words(linear[1]) == word),
        usual,
    )
    only_words, only_picture = test[["caption"]], test[["image"]]
    drawn = mmae.translate(only_words, to="image")
    row(
        "image from words, R2",
        r2(true, pixels(drawn["image"]), mean),
        r2(true, pca.predict(test, [1])[0], mean),
        0,
    )
    row(
        "digit's word from image, share right",
        np.mean(first_digit(mmae.translate(only_picture, to="caption")["caption"]) == word),
        np.mean(pca.digit_words(pca.predict(test, [0])[1]) == word),
        usual,
    )
    row(
        "numbers from image, R2",
        r2(
            numbers / scale,
            mmae.translate(only_picture, to="tabular")[NUMBERS].to_numpy() / scale,
            middle / scale,
        ),
        r2(numbers / scale, pca.predict(test, [0])[2] / scale, middle / scale),
        0,
    )
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    learned = probe.fit(mmae.transform(train[["image"]]), y_train)
    ours = learned.score(mmae.transform(only_picture), y_test)
    flat = PCA(options.components).fit(pixels(train["image"]))
    learned = probe.fit(flat.transform(pixels(train["image"])), y_train)
    theirs = learned.score(flat.transform(true), y_test)
    row("digit by a linear probe on the image's embedding", ours, theirs, usual)

    _draw(test, back, drawn, y_test).save(options.output)
    print(f"\nwrote {options.output}: originals, reconstructions, images from words")
    return mmae


def _draw(test, back, drawn, digit):
    """Draw one column per digit: the original, the whole row's reconstruction, from words."""
    shown = [int(np.flatnonzero(digit == d)[0]) for d in range(SHOWN)]
    cell, left, gap = 8 * ZOOM, 118, 8
    rows = [("original", test), ("reconstruction", back), ("from its words", drawn)]
    sheet = Image.new("L", (left + SHOWN * (cell + gap), len(rows) * (cell + gap) + 26), 255)
    pen = ImageDraw.Draw(sheet)
    for i, (label, frame) in enumerate(rows):
        top = gap + i * (cell + gap)
        pen.text((gap, top + cell // 2 - 6), label, fill=0, font_size=13)
        for j, place in enumerate(shown):
            ink = 255 - np.asarray(frame["image"].iloc[place], np.uint8)
            picture = Image.fromarray(ink).resize((cell, cell), Image.Resampling.NEAREST)
            sheet.paste(picture, (left + j * (cell + gap), top))
    for j, place in enumerate(shown):
        name = DIGITS[digit[place]]
        pen.text((left + j * (cell + gap) + 6, sheet.height - 20), name, fill=0, font_size=13)
    return sheet


if __name__ == "__main__":
    main()
