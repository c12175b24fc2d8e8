"""Film clips and their captions: one code for both, each from the other, and what is missing.

Run from the root of the project: ``python -m docs.studies.film_clips``. It prints what stands in
film_clips.md, and writes the figures beside it.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from textwrap import shorten

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._retrieval import hits
from benchmarks.shared_data import load_flutter
from sklearn_mmae import MultimodalAutoencoder, TextModality, VideoModality
from sklearn_mmae.cells import Cells

HERE = Path(__file__).parent
SHOWN = 8  # frames of a strip
BLANK = (235, 235, 235)


def main():
    frame = load_flutter()
    train, test = train_test_split(frame, test_size=24, random_state=0)
    modalities = [
        ("clip", VideoModality(size=(32, 48), fps=4, max_seconds=4), ["clip"]),
        ("text", TextModality(), ["text"]),
    ]
    # Of so few clips none is held out to say when to stop.
    settings = {"early_stopping": False, "max_epochs": 20, "random_state": 0}
    mmae = MultimodalAutoencoder(modalities, n_components=32, **settings)
    mmae.fit(train[["clip", "text"]])
    video = mmae.modalities_[0][1]
    print(f"{len(train)} clips to learn from, {len(test)} to test on.")
    print(f"At most {video.n_frames_} frames of {video.size_}, {video.fps_:g} a second.\n")

    # What is to be compared with: the clips as the model sees them, and no learning of both.
    known, new = (as_read(mmae, rows) for rows in (train, test))
    again = mmae.reconstruct(test[["clip", "text"]])["clip"]
    told = mmae.translate(test[["text"]], to="clip")["clip"]
    near = nearest(train, test, known)
    mean = np.full(len(test), None, object)
    mean[:] = [average(known)] * len(test)
    print("Share of the test clips' variance that is explained, of the frames both have:")
    for name, clips in {
        "reconstruction, from clip and caption": again,
        "from the caption alone": told,
        "the training clip with the nearest caption": near,
    }.items():
        print(f"  {name:45}{explained(new, clips, mean):6.2f}")

    codes = [mmae.transform(rows[["clip"]]) for rows in (train, test)]
    pca = PCA(32, random_state=0).fit(flat(known))
    rivals = [pca.transform(flat(clips)) for clips in (known, new)]
    print("\nKind of clip (of 9) by logistic regression on 32 numbers of the clip alone:")
    print(f"  {'code':45}{probe(codes, train, test):6.2f}")
    print(f"  {'PCA of the frames':45}{probe(rivals, train, test):6.2f}")
    found = hits(codes[1], mmae.transform(test[["text"]]))
    print("\nA clip's own caption among the nearest 1 and 10 of 24, and the other way:")
    print("  " + "  ".join(f"{share:.2f}" for share in found))

    print("\nCaptions from clips:")
    rows = pick(test)
    words = mmae.translate(test[["clip"]], to="text")["text"]
    for row in rows:
        print(f"  {shorten(test['text'].iloc[row], 70, placeholder=' ...')}")
        print(f"    -> {shorten(words.iloc[row], 90, placeholder=' ...')}")

    strips("again", test, rows, {"clip": new, "again": list(again)})
    strips("from_words", test, rows, {"clip": new, "told": list(told), "nearest": near})
    holes = test[["clip", "text"]].copy()
    holes.iloc[rows[:2], 0] = None
    holes.iloc[rows[2:], 1] = None
    whole = mmae.impute(holes)
    print("\nRows with a hole, filled:")
    for row in rows[2:]:
        print(f"  no caption -> {shorten(whole['text'].iloc[row], 80, placeholder=' ...')}")
    filled = {rows[i]: whole["clip"].iloc[rows[i]] for i in (0, 1)}
    strips("filled", test, rows[:2], {"clip": new, "filled": filled})
    animate(new[rows[0]], told.iloc[rows[0]], video.fps_)
    embed(np.concatenate(codes), [*train["family"], *test["family"]], len(train))


def as_read(mmae, rows):
    """Return clips at the size and rate that the model works at."""
    name, video, _ = mmae.modalities_[0]
    values = video.transform(Cells((name,), (rows["clip"].to_numpy(object),)))
    shape = (-1, *video.size_, 3)
    return [
        steps[:length].reshape(shape)
        for steps, length in zip(*(values.tensors[k] for k in ("steps", "length")), strict=True)
    ]


def flat(clips):
    """Return clips as rows of one length, black after their end."""
    longest = 16
    rows = np.zeros((len(clips), longest, *clips[0].shape[1:]))
    for row, clip in zip(rows, clips, strict=True):
        row[: len(clip)] = clip[:longest]
    return rows.reshape(len(clips), -1)


def average(clips):
    """Return the mean of the clips that last so long, frame by frame."""
    longest = max(map(len, clips))
    return np.stack([np.mean([c[t] for c in clips if len(c) > t], 0) for t in range(longest)])


def explained(clips, others, mean):
    """Return one minus the ratio of squared errors to those of the mean."""
    errors, spread = 0.0, 0.0
    for clip, other, centre in zip(clips, others, mean, strict=True):
        n = min(len(clip), len(other))
        errors += np.square(clip[:n].astype(float) - other[:n]).sum()
        spread += np.square(clip[:n] - centre[:n]).sum()
    return 1 - errors / spread


def nearest(train, test, known):
    """Return for each test row the training clip whose caption is nearest by TF-IDF."""
    words = TfidfVectorizer().fit(train["text"])
    index = NearestNeighbors(n_neighbors=1, metric="cosine").fit(words.transform(train["text"]))
    return [known[i] for (i,) in index.kneighbors(words.transform(test["text"]))[1]]


def probe(codes, train, test):
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return model.fit(codes[0], train["family"]).score(codes[1], test["family"])


def pick(test):
    """Return a row each of four kinds."""
    kinds = ["curve", "transition", "implicit animation", "material"]
    return [int(np.flatnonzero(test["family"] == kind)[0]) for kind in kinds]


def strips(name, test, rows, kinds):
    """Draw the frames of some rows, one line per kind of clip, evenly in time."""
    lines = [(row, kind) for row in rows for kind in kinds]
    figure, axes = plt.subplots(len(lines), figsize=(6, 0.64 * len(lines)), squeeze=False)
    for axis, (row, kind) in zip(axes[:, 0], lines, strict=True):
        clip, own = kinds[kind][row], kinds["clip"][row]
        strip = []
        for time in np.linspace(0, len(own) - 1, SHOWN).round().astype(int):
            shown = clip[time] if time < len(clip) else np.full(own[0].shape, BLANK, np.uint8)
            strip.append(np.pad(shown, ((0, 0), (0, 2), (0, 0)), constant_values=255))
        axis.imshow(np.hstack(strip), interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        axis.set_ylabel(kind, fontsize=7)
        if kind == "clip":
            axis.set_title(shorten(test["text"].iloc[row], 90), fontsize=7, loc="left", pad=2)
    figure.subplots_adjust(left=0.06, right=0.99, bottom=0.01, top=0.97, hspace=0.25)
    file = BytesIO()
    figure.savefig(file, dpi=100)
    plt.close(figure)
    small(Image.open(file).convert("RGB")).save(HERE / f"film_clips_{name}.png", optimize=True)


def embed(codes, families, n_train):
    """Draw the codes of clips alone in the plane, training clips small."""
    plane = TSNE(random_state=0, perplexity=15).fit_transform(codes)
    sizes = np.where(np.arange(len(codes)) < n_train, 12, 45)
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for i, family in enumerate(dict.fromkeys(families)):
        own = np.array(families) == family
        marker = "os^Dv<>PX"[i]
        axes.scatter(
            *plane[own].T, s=sizes[own], color=plt.cm.tab10(i), marker=marker, label=family
        )
    axes.set(xticks=[], yticks=[], title="Clips by their codes (t-SNE); test clips are large")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7)
    figure.savefig(HERE / "film_clips_embedding.png", dpi=100)
    plt.close(figure)


def animate(clip, told, fps):
    """Write a clip and, beside it, what was made of its caption."""
    n = min(len(clip), len(told))
    frames = [Image.fromarray(np.hstack([clip[t], told[t]])) for t in range(n)]
    frames = [small(frame.resize((3 * frame.width, 3 * frame.height), 0)) for frame in frames]
    path = HERE / "film_clips_from_words.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=1000 / fps, loop=0)


def small(picture):
    """Return a picture of few colours, for a small file."""
    return picture.quantize(80, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


if __name__ == "__main__":
    main()
