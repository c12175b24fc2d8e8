"""
Uncertainty of predictions
==========================

`predict_interval` gives a lower and an upper end for each number, calibrated on rows that the
networks were not trained on. `MultimodalVAE` has a distribution for each row, to sample from, and
to condition on a part of the row.
"""

# %%
# Cell nuclei of tumours, measured in three ways: the mean of ten sizes, its standard error, and the
# mean of the three worst nuclei. How well do the first two predict the third?

import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from sklearn_mmae import MultimodalAutoencoder, TabularModality

tumours = load_breast_cancer(as_frame=True).data
views = {
    "mean": list(tumours.columns[:10]),
    "error": list(tumours.columns[10:20]),
    "worst": list(tumours.columns[20:]),
}
modalities = [(name, TabularModality(), columns) for name, columns in views.items()]
train, test = train_test_split(tumours, test_size=200, random_state=0)
mmae = MultimodalAutoencoder(
    modalities, n_components=8, max_epochs=15, validation_fraction=0.3, random_state=0
).fit(train)

given = {
    "given its mean": test[views["mean"]],
    "given mean and error": test[views["mean"] + views["error"]],
    "given the whole row": test,
}
intervals = {name: mmae.predict_interval(rows, level=0.9) for name, rows in given.items()}

# %%
# The more of a row is observed, the narrower its intervals. Each should contain the truth nine
# times in ten; the titles say how often it did.

import matplotlib.pyplot as plt

truth = test["worst radius"]
figure, axes = plt.subplots(1, 3, sharex=True, sharey=True, layout="constrained", figsize=(9, 3.6))
for ax, (name, (low, high)) in zip(axes, intervals.items(), strict=True):
    low, high = low["worst radius"], high["worst radius"]
    held = (low <= truth) & (truth <= high)
    for inside, colour, label in [(True, "#0072B2", "covers it"), (False, "#D55E00", "does not")]:
        rows = held[:80].index[held[:80] == inside]
        ax.vlines(truth[rows], low[rows], high[rows], color=colour, linewidth=1.3, label=label)
    ax.axline((10, 10), slope=1, color="black", linewidth=0.8)
    ax.set(xlabel="true worst radius", title=f"{name}:\n{held.mean():.0%} covered")
axes[0].set_ylabel("90 % interval, worst radius")
axes[0].legend(title="the interval", loc="upper left")
plt.show()

# %%
# At every level, over all ten columns and 200 rows:

from sklearn_mmae.metrics import interval_coverage

levels = [0.5, 0.7, 0.9]
coverage = {
    name: [
        interval_coverage(
            test[views["worst"]],
            *(end[views["worst"]] for end in mmae.predict_interval(rows, level=level)),
        )
        for level in levels
    ]
    for name, rows in given.items()
}
pd.DataFrame(coverage, index=pd.Index(levels, name="level")).round(3)

# %%
# :doc:`../uncertainty` says where this does not hold, and why.
#
# A distribution for each row
# ---------------------------
#
# `MultimodalVAE` learns the joint distribution of all columns. It samples whole rows, or, with
# ``given=``, the other columns given some.

from sklearn_mmae import MultimodalVAE

vae = MultimodalVAE(modalities, n_components=8, max_epochs=15, random_state=0).fit(train)
new = vae.sample(300)
one = test[views["mean"]].head(1)
beside = vae.sample(300, given=one)

figure, ax = plt.subplots(layout="constrained")
for frame, colour, marker, label in [
    (test, "#999999", "o", "measured"),
    (new, "#0072B2", "^", "sampled"),
    (beside, "#D55E00", "x", "sampled, given the mean of one tumour"),
]:
    ax.scatter(
        frame["worst radius"],
        frame["worst concave points"],
        s=18,
        marker=marker,
        color=colour,
        alpha=0.6,
        label=label,
    )
ax.plot(
    test["worst radius"].iloc[0],
    test["worst concave points"].iloc[0],
    "k*",
    markersize=16,
    label="its truth",
)
ax.set(xlabel="worst radius", ylabel="worst concave points")
ax.legend()
plt.show()

# %%
# A Gaussian model samples a few values below 0, where there can be none: samples are as right as
# the model. For intervals with the promised coverage, use `predict_interval`.
