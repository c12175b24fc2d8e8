"""
Missing values
==============

None, NaN and ``pd.NA`` are missing values in every kind of column, in `fit` and later: single cells
and whole modalities. A row is encoded from what it has, and `impute` fills in the rest.
"""

# %%
# Cell nuclei of tumours were measured in three ways: the mean of each of ten sizes, its standard
# error, and the mean of the three worst nuclei. These are three modalities. Three rows in five lack
# one of them, and single values are missing everywhere.

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer

from sklearn_mmae import MultimodalAutoencoder, TabularModality

tumours = load_breast_cancer(as_frame=True).data
views = {
    "mean": list(tumours.columns[:10]),
    "error": list(tumours.columns[10:20]),
    "worst": list(tumours.columns[20:]),
}
rng = np.random.default_rng(0)
incomplete = tumours.mask(rng.random(tumours.shape) < 0.02)
lost = rng.choice([*views, "none"], len(incomplete), p=[0.2, 0.2, 0.2, 0.4])
for name, columns in views.items():
    incomplete.loc[lost == name, columns] = np.nan
shares = {name: incomplete[columns].isna().mean(axis=None) for name, columns in views.items()}
pd.Series(shares, name="share missing").round(3).to_frame()

# %%
# Columns that go missing together belong in one modality.

mmae = MultimodalAutoencoder(
    [(name, TabularModality(), columns) for name, columns in views.items()],
    n_components=16,
    max_epochs=15,
    random_state=0,
).fit(incomplete)

complete = mmae.impute(incomplete)
observed = incomplete.notna()
print("missing values left:", int(complete.isna().to_numpy().sum()))
print("observed ones as they were:", bool((complete == incomplete).to_numpy()[observed].all()))

# %%
# How good are the imputed values, beside other imputers, as more rows lose one of their modalities?
# 0 is what the mean of a column explains of the removed values, 1 all of their variance.

from sklearn.impute import KNNImputer, SimpleImputer


def explained(filled, gone):
    scale = tumours.std().to_numpy()
    errors = ((np.asarray(filled) - tumours.to_numpy()) / scale)[gone]
    spread = ((tumours - tumours.mean()).to_numpy() / scale)[gone]
    return 1 - np.square(errors).sum() / np.square(spread).sum()


imputers = {"KNNImputer": KNNImputer(), "SimpleImputer, median": SimpleImputer(strategy="median")}
shares = [0.1, 0.3, 0.5, 0.8]
scores = []
for share in shares:
    rng = np.random.default_rng(1)
    damaged = tumours.copy()
    lost = rng.choice([*views, "none"], len(damaged), p=[share / 3] * 3 + [1 - share])
    for name, columns in views.items():
        damaged.loc[lost == name, columns] = np.nan
    gone = damaged.isna().to_numpy()
    score = {"MultimodalAutoencoder": explained(mmae.fit(damaged).impute(damaged), gone)}
    scaled = (damaged - damaged.mean()) / damaged.std()  # neighbours need columns of one scale
    for name, imputer in imputers.items():
        filled = imputer.fit_transform(scaled) * damaged.std().to_numpy()
        score[name] = explained(filled + damaged.mean().to_numpy(), gone)
    scores.append(score)
scores = pd.DataFrame(scores, index=shares)
scores.round(3)

# %%

import matplotlib.pyplot as plt

figure, ax = plt.subplots(layout="constrained")
styles = {
    "MultimodalAutoencoder": ("#0072B2", "o-"),
    "KNNImputer": ("#D55E00", "s--"),
    "SimpleImputer, median": ("#009E73", "^:"),
}
for name, (colour, style) in styles.items():
    ax.plot(shares, scores[name], style, color=colour, label=name)
ax.xaxis.set_major_formatter("{x:.0%}")
ax.set(
    xlabel="rows that lost one of their three modalities",
    ylabel="removed values explained (R2)",
    title="Imputing a whole modality of the tumours",
)
ax.legend()
plt.show()

# %%
# This is one small table, and one random choice of missing values. Comparisons with iterative
# imputers, texts and categories are in :doc:`../holes_and_noise`. All columns of a modality may
# also be missing from a later frame:

mmae.transform(tumours[views["worst"]]).shape
