"""
Images and words: translation and retrieval
===========================================

Images with captions: generate images from words, describe images, and retrieve one by the other.
"""

# %%
# scikit-learn's digits, with captions that name the digit and describe how it was written.

from sklearn.model_selection import train_test_split

from sklearn_mmae import ImageModality, MultimodalAutoencoder, TextModality
from sklearn_mmae.datasets import load_digits_frame

frame = load_digits_frame()[["image", "caption"]]
train, test = train_test_split(frame, test_size=0.3, random_state=0)
train["caption"].head(3).to_list()

# %%
# `ImageModality` also takes paths, bytes and PIL images of any size. The list could be left out:
# "auto" would detect it.

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
# Words to images
# ---------------
#
# Describe an image. One word of the caption changes one thing in the image.

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
generated = mmae.translate(wishes, to="image")["image"]

figure, axes = plt.subplots(len(digits), len(manners), layout="constrained", figsize=(7, 5.5))
for ax, image in zip(axes.flat, generated, strict=True):
    ax.imshow(image, cmap="gray_r", vmin=0, vmax=255)
    ax.set(xticks=[], yticks=[])
for ax, manner in zip(axes[0], manners, strict=True):
    ax.set_title(manner.replace(", ", ",\n"))
for ax, name in zip(axes[:, 0], digits, strict=True):
    ax.set_ylabel(name.split(",")[0], fontsize="large")
plt.show()

# %%
# Images to words
# ---------------

from sklearn_mmae.displays import TranslationDisplay

TranslationDisplay.from_estimator(mmae, test, given="image", to="caption", n_rows=3)
plt.show()

# %%
# Retrieval
# ---------
#
# The embedding of an image alone and that of its caption alone are in one space. How often is the
# right one of 540 among the first ten? Some rows share a caption, which counts against.

from sklearn_mmae.metrics import recall_at_k

images, captions = mmae.transform(test[["image"]]), mmae.transform(test[["caption"]])
print(f"caption by image {recall_at_k(images, captions, k=10):.2f}")
print(f"image by caption {recall_at_k(captions, images, k=10):.2f}")
print(f"by chance        {10 / len(test):.2f}")

# %%
# For better retrieval, take more components, use the method `search`, and align the embeddings by
# ``extra_terms={"contrastive": 0.1}``: :doc:`../metrics`, :doc:`../fusion`. Measurements on emoji
# and names, on sounds and on video clips, beside canonical correlation analysis, are in
# :doc:`../benchmarks`.
