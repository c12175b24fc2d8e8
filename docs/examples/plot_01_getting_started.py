"""
Getting started: a tour of the methods
======================================

A table whose rows hold a picture, a caption and four numbers becomes a table of numbers, and
comes back. What PCA does for plain columns, `MultimodalAutoencoder` does for columns of any kind.
"""

# %%
# scikit-learn's handwritten digits, each with a caption of what can be seen, and measurements.

from sklearn.model_selection import train_test_split

from sklearn_mmae import MultimodalAutoencoder
from sklearn_mmae.datasets import load_digits_frame

frame, digit = load_digits_frame(return_target=True)
train, test, digit_train, digit_test = train_test_split(frame, digit, test_size=0.3, random_state=0)
test.drop(columns="image").head()

# %%
# Fit, and get a vector of 16 numbers for each row. Which column is what is found out in `fit`.

mmae = MultimodalAutoencoder(n_components=16, max_epochs=20, random_state=0)
mmae.fit(train)
Z = mmae.transform(test)
Z.shape

# %%

print(*mmae.modalities_, sep="\n")

# %%
# Rows come back from their vectors by `inverse_transform`, with the same columns and dtypes.
# `ReconstructionDisplay` draws rows beside what comes back.

import matplotlib.pyplot as plt

from sklearn_mmae.displays import ReconstructionDisplay

ReconstructionDisplay.from_estimator(mmae, test, n_rows=3)
plt.show()

# %%
# How much comes back of rows that were not learned from: 1 is all of it, 0 what the mean row or the
# most usual words would give.

mmae.score(test)

# %%
# The vectors are a map of the rows. Nobody told the model which digit is which, but pictures and
# captions of one digit are alike. Four of the ten, in the plane of two principal components:

import numpy as np

from sklearn_mmae.displays import LatentDisplay

few = np.isin(digit_test, [0, 1, 4, 7])
LatentDisplay.from_estimator(mmae, test[few], color=digit_test[few].astype(str), method="pca")
plt.show()

# %%
# Any modality leads to the others. These pictures were drawn from nothing but their captions:

from sklearn_mmae.displays import TranslationDisplay

TranslationDisplay.from_estimator(mmae, test, given="caption", to="image", n_rows=3)
plt.show()

# %%
# What is missing is filled in, single cells and whole modalities.

holes = test.copy()
holes.iloc[0, holes.columns.get_loc("caption")] = None
holes.iloc[1, holes.columns.get_loc("ink")] = None
print("true:  ", test["caption"].iloc[0], "| ink", round(test["ink"].iloc[1], 2))
whole = mmae.impute(holes)
print("filled:", whole["caption"].iloc[0], "| ink", round(whole["ink"].iloc[1], 2))

# %%
# Rows whose modalities do not go together stand out. Here one row gets the caption of another
# digit:

odd = test.head(50).copy()
odd.iloc[7, odd.columns.get_loc("caption")] = odd["caption"].iloc[1]
scores = mmae.score_samples(odd)
print("captions of rows 7 and 1:", test["caption"].iloc[7], "|", test["caption"].iloc[1])
print("place of row 7 from the oddest on:", int((scores < scores[7]).sum()) + 1, "of 50")

# %%
# Training: the loss of each modality, on the training rows and on those held out to say when to
# stop.

from sklearn_mmae.displays import LearningCurveDisplay

LearningCurveDisplay.from_estimator(mmae)
plt.show()
