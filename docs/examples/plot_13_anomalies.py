"""
Anomalies, and which modality is to blame
=========================================

A product's text, numbers and image should fit one another. Low scores are rows that do not. A
second score says which modality contradicts the others.
"""

# %%
# The rows are digits with a caption and four measurements. 60 of the 600 rows that are examined are
# broken: the image, the caption or the numbers are those of another row. Each part by itself is
# fine, so that no look at one column alone finds anything.

import numpy as np
from sklearn.model_selection import train_test_split

from sklearn_mmae import MultimodalAutoencoder
from sklearn_mmae.datasets import load_digits_frame

train, test = train_test_split(load_digits_frame(), test_size=600, random_state=0)
train, spare = train_test_split(train, test_size=300, random_state=0)
test = test.reset_index(drop=True)
parts = {
    "image": ["image"],
    "caption": ["caption"],
    "tabular": ["ink", "width", "slant", "balance"],
}
rng = np.random.default_rng(0)
broken = np.full(len(test), "none", dtype=object)
examined = test.copy()
for row in rng.choice(len(test), 60, replace=False):
    broken[row] = rng.choice(list(parts))
    other = rng.integers(len(test))
    for column in parts[broken[row]]:
        examined.at[row, column] = test.at[other, column]

# %%
# Fit on rows that are believed to be right. `score_samples` is low for anomalies.

mmae = MultimodalAutoencoder(n_components=16, max_epochs=15, random_state=0).fit(train)
scores = mmae.score_samples(examined)
scores[:5].round(2)

# %%

import matplotlib.pyplot as plt
from sklearn.metrics import roc_auc_score

is_broken = broken != "none"
auc = roc_auc_score(is_broken, -scores)
figure, ax = plt.subplots(layout="constrained", figsize=(7, 3.6))
bins = np.linspace(scores.min(), scores.max(), 50)
for rows, colour, label in [(~is_broken, "#0072B2", "right"), (is_broken, "#D55E00", "broken")]:
    ax.hist(scores[rows], bins, color=colour, alpha=0.7, label=f"{label}: {rows.sum()} rows")
ax.set(xlabel="score of the row", ylabel="rows", title=f"Broken rows score low: AUC {auc:.3f}")
ax.legend()
plt.show()

# %%
# Which modality? With ``by_modality=True`` there is a score for each, in nats: well above 0 if the
# others agree with it, below 0 if they contradict it. The lowest is to blame. Here it is looked at
# for the rows that are known to be broken:

blame = mmae.score_samples(examined, by_modality=True)
blame[is_broken].head(4).round(1).assign(broken=broken[is_broken][:4])

# %%

import pandas as pd

blamed = blame[is_broken].idxmin(axis=1)
print(f"the right modality in {(blamed == broken[is_broken]).mean():.0%} of the broken rows")
pd.crosstab(pd.Series(broken[is_broken], name="broken"), blamed.to_numpy(), colnames=["blamed"])

# %%
# And what should have been there? `translate` predicts a modality from the others. The two most
# anomalous captions, beside what image and numbers say:

worst = blame["caption"].nsmallest(2).index
expected = mmae.translate(examined.loc[worst].drop(columns="caption"), to="caption")
for row in worst:
    print("is:      ", examined.at[row, "caption"])
    print("expected:", expected.at[row, "caption"])

# %%
# A threshold is yours to choose: a quantile of the scores of other rows that are right, such as the
# lowest 2 %. Take rows that were not in `fit`, for those fit better than new ones. Why the modality
# with the worst reconstruction is often not the one that is wrong: :doc:`../translation`.

limit = np.quantile(mmae.score_samples(spare), 0.02)
alarm = scores < limit
print(f"{alarm.sum()} alarms: {is_broken[alarm].sum()} of {is_broken.sum()} broken rows")
