"""Spoken digits and their words: a sound in, a word out, and the other way round.

Reads the data set that `benchmarks.shared_data` finds, prints what it measured, and writes
``spoken_digits.png`` and four sounds beside itself. From the project's root::

    python -m docs.studies.spoken_digits
"""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import soundfile
from matplotlib import pyplot as plt
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.shared_data import load_fsdd
from benchmarks.sounds_with_words import levels, padded, stretched
from sklearn_mmae import AudioModality, MultimodalAutoencoder, TextModality

HERE = Path(__file__).parent
SPOKEN = ("three", "seven")  # words whose sounds are written


def main():
    """Run the study."""
    frame, train, test = load_fsdd()
    train, test = frame.iloc[train], frame.iloc[test]
    mmae = MultimodalAutoencoder(
        [
            ("sound", AudioModality(max_seconds=1.0), ["sound"]),
            ("text", TextModality(), ["text"]),
        ],
        random_state=0,
    ).fit(train[["sound", "text"]])
    audio = mmae.modalities_[0][1]
    print(f"{len(train)} sounds to learn from, {len(test)} to test; {audio.sampling_rate_} Hz,")
    print(
        f"at most {audio.max_seconds_:g} s, {audio.n_mels} bands every {audio.step_seconds_:g} s."
    )

    # Embedding: of the sounds alone, beside principal components of the same spectrograms.
    known, new = (mmae.transform(rows[["sound"]]) for rows in (train, test))
    known_pixels, new_pixels = (padded(audio, rows["sound"]) for rows in (train, test))
    pca = PCA(32, random_state=0).fit(known_pixels)
    print(f"word from 32 numbers, logistic regression: {probe(known, train, new, test):.3f}")
    baseline = probe(pca.transform(known_pixels), train, pca.transform(new_pixels), test)
    print(f"the same from PCA: {baseline:.3f}")

    # Translation, both ways.
    heard = mmae.translate(test[["sound"]], to="text")["text"]
    print(f"sounds whose translation is the right word: {np.mean(heard == test['text']):.3f}")
    words = pd.DataFrame({"text": list(dict.fromkeys(train["text"]))})
    spoken = mmae.translate(words, to="sound")
    spoken.index = words["text"]
    understood = mmae.translate(spoken.reset_index(drop=True), to="text")["text"] == words["text"]
    print(f"words that it says, and then understands: {sum(understood)} of {len(words)}")

    # Rows with a missing modality: every second sound is lost, and filled in from its word.
    holes = test[["sound", "text"]].copy()
    holes.iloc[::2, 0] = None
    filled = mmae.impute(holes)["sound"].iloc[::2]
    lost = stretched(audio, test["sound"].iloc[::2])
    print(
        f"lost sounds filled in from the word: {error(stretched(audio, filled), lost):.1f} dB off;"
    )
    print(f"the mean of all sounds: {error(audio.mean_.ravel(), lost):.1f} dB off.")

    real = [test.loc[test["text"] == word, "sound"].iloc[0] for word in SPOKEN]
    for word, sound in zip(SPOKEN, real, strict=True):
        (HERE / f"{word}_real.wav").write_bytes(sound)
        made = spoken.loc[word, "sound"]
        soundfile.write(HERE / f"{word}_from_word.wav", made, audio.sampling_rate_, "PCM_16")
    draw(audio, new, test["text"], real, spoken)


def probe(known, train, new, test):
    """Return the accuracy on the test rows of a linear classifier of words."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return classifier.fit(known, train["text"]).score(new, test["text"])


def error(levels, real):
    """Return the mean distance of spectrograms in decibels."""
    return 0.4 * float(np.abs(levels - real).mean())


def draw(audio, codes, words, real, spoken):
    """Draw the test sounds in the plane, and spectrograms of real and of made ones."""
    figure = plt.figure(figsize=(10, 4.5), layout="constrained")
    left, right = figure.subfigures(1, 2)
    axes = left.subplots()
    plane = TSNE(random_state=0, perplexity=15).fit_transform(codes)
    for i, word in enumerate(dict.fromkeys(words)):
        own = (words == word).to_numpy()
        axes.scatter(*plane[own].T, s=10, color=plt.cm.tab10(i), label=word)
    left.legend(loc="outside lower center", ncols=5)
    axes.set(xticks=[], yticks=[], title="250 test sounds, by their codes (t-SNE)")
    spectrograms = right.subplots(2, len(SPOKEN), sharey=True)
    for column, (word, sound) in enumerate(zip(SPOKEN, real, strict=True)):
        rows = {f"'{word}', real": sound, f"'{word}', from the word": spoken.loc[word, "sound"]}
        for row, (title, cell) in enumerate(rows.items()):
            steps, length = levels(audio, [cell])
            axes = spectrograms[row, column]
            extent = (0, length[0] * audio.step_seconds_, 0, audio.n_mels)
            axes.imshow(
                steps[0, : length[0]].T, origin="lower", aspect="auto", extent=extent, cmap="magma"
            )
            axes.set(title=title, xlabel="s" if row else "", yticks=[])
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=80)
    plt.close(figure)
    # Few colours make a small file; those furthest apart, or the words would lose theirs.
    few = Image.open(drawn).convert("RGB").quantize(128, Image.Quantize.MAXCOVERAGE)
    few.save(HERE / "spoken_digits.png", optimize=True)


if __name__ == "__main__":
    matplotlib.use("Agg")
    main()
