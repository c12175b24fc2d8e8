"""
Pictures and words
==================

Pictures with captions: draw pictures from words, describe pictures, find the one by the other.
"""

# %%
# scikit-learn's digits, with captions that name the digit and tell how it was written.

from sklearn.model_selection import train_test_split

from sklearn_mmae import ImageModality, MultimodalAutoencoder, TextModality
from sklearn_mmae.datasets import load_digits_frame

frame = load_digits_frame()[["image", "caption"]]
train, test = train_test_split(frame, test_size=0.3, random_state=0)
train["caption"].head(3).to_list()

# %%
# `ImageModality` also takes paths, bytes and PIL pictures of any size. The list could be left out:
# "auto" would find it.

mmae = MultimodalAutoencoder(
    [
        ("image", ImageModality(), ["image"]),
        ("caption", TextModality(n_words=8), ["caption"]),
    ],
    n_components=32,
    max_epochs=20,
    random_state=0,
).fit(train)

# %%
# Words to pictures
# -----------------
#
# Write what you want to see. One word of the caption changes one thing in the picture.

import matplotlib.pyplot as plt
import pandas as pd

digits = ["two, even prime, no loop", "seven, odd prime, no loop", "nine, odd, one loop"]
manners = [
    "thin ink, upright, narrow",
    "heavy ink, upright, narrow",
    "heavy ink, leans right, narrow",
    "heavy ink, leans right, wide",
]
wishes = pd.DataFrame({"caption": [f"{d}, {m}" for d in digits for m in manners]})
drawn = mmae.translate(wishes, to="image")["image"]

figure, axes = plt.subplots(len(digits), len(manners), layout="constrained", figsize=(7, 5.5))
for ax, picture in zip(axes.flat, drawn, strict=True):
    ax.imshow(picture, cmap="gray_r", vmin=0, vmax=255)
    ax.set(xticks=[], yticks=[])
for ax, manner in zip(axes[0], manners, strict=True):
    ax.set_title(manner.replace(", ", ",\n"))
for ax, name in zip(axes[:, 0], digits, strict=True):
    ax.set_ylabel(name.split(",")[0], fontsize="large")
plt.show()

# %%
# Pictures to words
# -----------------

from sklearn_mmae.displays import TranslationDisplay

TranslationDisplay.from_estimator(mmae, test, given="image", to="caption", n_rows=3)
plt.show()

# %%
# Finding one by the other
# ------------------------
#
# The vector of a picture alone and that of its caption alone are in one space. How often is the
# right one of 540 among the first ten? Some rows share a caption, which counts against.

from sklearn_mmae.metrics import recall_at_k

pictures, captions = mmae.transform(test[["image"]]), mmae.transform(test[["caption"]])
print(f"caption by picture {recall_at_k(pictures, captions, k=10):.2f}")
print(f"picture by caption {recall_at_k(captions, pictures, k=10):.2f}")
print(f"by chance          {10 / len(test):.2f}")

# %%
# To make finding better, take more components, standardise the vectors, and pull them together by
# ``extra_terms={"contrastive": 0.1}``: :doc:`../fusion`. What was measured on emoji and names, on
# sounds and on clips, beside canonical correlation analysis, stands in :doc:`../benchmarks`.
