"""
Getting started: a tour of the methods
======================================

A table has an image, a caption and four numbers in each row. `MultimodalAutoencoder` turns each row
into a vector, and the vector back into the row, as PCA does for plain columns of numbers.
"""

# %%
# scikit-learn's handwritten digits, each with a caption that describes it, and measurements.

from sklearn.model_selection import train_test_split

from sklearn_mmae import MultimodalAutoencoder
from sklearn_mmae.datasets import load_digits_frame

frame, digit = load_digits_frame(return_target=True)
train, test, digit_train, digit_test = train_test_split(frame, digit, test_size=0.3, random_state=0)
test.drop(columns="image").head()

# %%
# Fit, and get a vector of 16 numbers for each row. Column types are detected automatically.

mmae = MultimodalAutoencoder(n_components=16, max_epochs=20, random_state=0)
mmae.fit(train)
Z = mmae.transform(test)
Z.shape

# %%

print(*mmae.modalities_, sep="\n")

# %%
# A notebook shows a fitted estimator as a diagram. A click on a box shows the layers behind it.

mmae

# %%
# `inverse_transform` reconstructs rows from their vectors, with the same columns and dtypes.
# `ReconstructionDisplay` shows rows beside their reconstructions.

import matplotlib.pyplot as plt

from sklearn_mmae.displays import ReconstructionDisplay

ReconstructionDisplay.from_estimator(mmae, test, n_rows=3)
plt.show()

# %%
# `score` says how well held-out rows are reconstructed. 1 is perfect. 0 is the mean row, with the
# most frequent words.

mmae.score(test)

# %%
# The vectors are a map of the rows. The model was fitted without labels, but images and captions of
# one digit are alike. Four of the ten digits, in the plane of two principal components:

import numpy as np

from sklearn_mmae.displays import LatentDisplay

few = np.isin(digit_test, [0, 1, 4, 7])
LatentDisplay.from_estimator(mmae, test[few], color=digit_test[few].astype(str), method="pca")
plt.show()

# %%
# Any modality is predicted from the others. These images were generated from their captions alone:

from sklearn_mmae.displays import TranslationDisplay

TranslationDisplay.from_estimator(mmae, test, given="caption", to="image", n_rows=3)
plt.show()

# %%
# Missing values are imputed, single cells and whole modalities.

gaps = test.copy()
gaps.iloc[0, gaps.columns.get_loc("caption")] = None
gaps.iloc[1, gaps.columns.get_loc("ink")] = None
print("true:  ", test["caption"].iloc[0], "| ink", round(test["ink"].iloc[1], 2))
complete = mmae.impute(gaps)
print("filled:", complete["caption"].iloc[0], "| ink", round(complete["ink"].iloc[1], 2))

# %%
# Anomalies have low scores. Here one row gets the caption of another digit:

mixed = test.head(50).copy()
mixed.iloc[7, mixed.columns.get_loc("caption")] = mixed["caption"].iloc[1]
scores = mmae.score_samples(mixed)
print("captions of rows 7 and 1:", test["caption"].iloc[7], "|", test["caption"].iloc[1])
print("rank of row 7, most anomalous first:", int((scores < scores[7]).sum()) + 1, "of 50")

# %%
# The learning curve has the loss of each modality, on the training rows and on held-out rows. The
# latter decide when to stop.

from sklearn_mmae.displays import LearningCurveDisplay

LearningCurveDisplay.from_estimator(mmae)
plt.show()
