"""
Image search by words
=====================

Type a few words, get the images that fit. Images and captions are learned together, so that words
find images that never had a caption.
"""

# %%
# The images are made here: one shape each, of some colour, size and place, and noise. A caption
# says what is in the image. One image in five has no caption.

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

COLOURS = {
    "red": (214, 69, 65),
    "blue": (65, 105, 214),
    "green": (70, 160, 90),
    "yellow": (240, 200, 60),
}
SHAPES = {"circle": 60, "square": 4, "triangle": 3}  # corners
SIZES = {"small": 0.16, "large": 0.3}  # radius, as a share of the image's side
PLACES = {"left": 0.32, "right": 0.68}


def draw(colour, shape, size, place, rng):
    side = 24
    image = Image.new("RGB", (4 * side, 4 * side), tuple(rng.integers(215, 250, 3).tolist()))
    middle = [4 * side * PLACES[place] + rng.normal(0, 4), 4 * side * 0.5 + rng.normal(0, 10)]
    tone = np.clip(np.array(COLOURS[colour]) + rng.integers(-20, 20, 3), 0, 255)
    ImageDraw.Draw(image).regular_polygon(
        (*middle, 4 * side * SIZES[size]), SHAPES[shape], fill=tuple(tone.tolist())
    )
    pixels = np.asarray(image.resize((side, side), Image.Resampling.LANCZOS), dtype=float)
    return (pixels + rng.normal(0, 6, pixels.shape)).clip(0, 255).astype(np.uint8)


rng = np.random.default_rng(0)
kinds = [
    [str(rng.choice(list(words))) for words in (COLOURS, SHAPES, SIZES, PLACES)] for _ in range(900)
]
album = pd.DataFrame(
    {
        "photo": [draw(*kind, rng) for kind in kinds],
        "caption": [f"a {z} {c} {s} on the {p}" for c, s, z, p in kinds],
    }
)
train, archive = album[:700].copy(), album[700:].reset_index(drop=True)
train.loc[rng.random(len(train)) < 0.2, "caption"] = None
train["caption"].head().to_frame()

# %%
# Both columns are detected. More components keep more of what tells one image from another.

from sklearn_mmae import MultimodalAutoencoder

mmae = MultimodalAutoencoder(n_components=48, max_epochs=12, random_state=0).fit(train)
mmae.modalities_

# %%
# The archive has 200 images, of which only the pixels are looked at. `search` returns the rows that
# fit best, and how well they fit.

queries = pd.DataFrame(
    {"caption": ["red triangle", "large yellow circle", "small blue square right"]}
)
found = mmae.search(queries, archive, to="photo", n=6)
found.scores.round(2)

# %%

import matplotlib.pyplot as plt

figure, axes = plt.subplots(len(queries), 6, layout="constrained", figsize=(8, 4.6))
figure.suptitle("The six images of the archive that fit best")
for line, query, rows in zip(axes, queries["caption"], found.rows, strict=True):
    for ax, row in zip(line, rows, strict=True):
        ax.imshow(archive["photo"][row])
        ax.set(xticks=[], yticks=[])
    line[0].set_title(f'"{query}"', loc="left")
plt.show()

# %%
# How good is it? The captions of the archive were not used. Here each is a query: how many of the
# first five images have its colour, shape, size and place?

words = np.array(kinds[700:])
best = mmae.search(archive, archive, to="photo", n=5).rows
hits = (words[best] == words[:, None]).mean(axis=(0, 1))
chance = [(words[:, None, k] == words[:, k]).mean() for k in range(4)]
names = ["colour", "shape", "size", "place"]
pd.DataFrame({"first five": hits, "by chance": chance}, index=names).round(2)

# %%
# The other way round, `translate` writes the words of an image: :doc:`plot_03_pictures_with_text`.
# For photographs, feed in the embeddings of a pretrained network as columns of numbers, and search
# these: nothing here is pretrained. :doc:`../metrics` measures retrieval.
