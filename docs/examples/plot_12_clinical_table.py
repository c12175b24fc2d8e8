"""
Filling a clinical table, with intervals
========================================

Patients' records have missing values. Each is filled by what the rest of the record says, with an
interval that says how sure that is.
"""

# %%
# The diabetes study of scikit-learn: ten measurements of 442 patients, and how far the disease went
# on within a year. Here a fifth of the cells is removed, and kept to compare with.

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes

patients = load_diabetes(as_frame=True, scaled=False).frame
patients = patients.rename(
    columns={
        "bp": "blood pressure",
        "s1": "cholesterol",
        "s2": "LDL",
        "s3": "HDL",
        "s4": "cholesterol / HDL",
        "s5": "log triglycerides",
        "s6": "glucose",
        "target": "progression",
    }
)
patients["sex"] = patients["sex"].map({1.0: "A", 2.0: "B"})  # the data do not say which is which
rng = np.random.default_rng(0)
incomplete = patients.mask(rng.random(patients.shape) < 0.2)
incomplete.head().round(1)

# %%
# Numbers and categories need no preparation. `MultimodalImputer` is the step for a pipeline; the
# autoencoder itself also gives intervals.

from sklearn_mmae import MultimodalAutoencoder

mmae = MultimodalAutoencoder(n_components=8, max_epochs=15, random_state=0).fit(incomplete)
complete = mmae.impute(incomplete)
low, high = mmae.predict_interval(incomplete, level=0.9)
complete.head().round(1)

# %%
# One patient, cell by cell. What was observed stays as it was.

patient = int(incomplete.isna().sum(axis=1).to_numpy().argmax())
numbers = patients.columns.drop("sex")
record = pd.DataFrame(
    {
        "observed": incomplete.loc[patient, numbers],
        "filled in": complete.loc[patient, numbers],
        "from": low.loc[patient, numbers],
        "to": high.loc[patient, numbers],
        "true": patients.loc[patient, numbers],
    }
).astype(float)
record[record["observed"].isna()].drop(columns="observed").round(1)

# %%
# The intervals are narrow where the rest of the record says much, such as for LDL, and wide where
# it says little, such as for glucose.

import matplotlib.pyplot as plt

covered = (low[numbers] <= patients[numbers]) & (patients[numbers] <= high[numbers])
figure, axes = plt.subplots(1, 2, layout="constrained", figsize=(9, 4))
for ax, name in zip(axes, ["LDL", "glucose"], strict=True):
    gone = incomplete[name].isna()
    truth, held = patients[name][gone], covered[name]
    for inside, colour, label in [(True, "#0072B2", "covers it"), (False, "#D55E00", "does not")]:
        rows = gone[gone].index[held[gone] == inside]
        ax.vlines(truth[rows], low[name][rows], high[name][rows], color=colour, label=label)
        ax.plot(truth[rows], complete[name][rows], ".", color=colour)
    ax.axline((truth.mean(), truth.mean()), slope=1, color="black", linewidth=0.8)
    share = held[gone].mean()
    ax.set(
        xlabel=f"true {name} (mg/dl)",
        ylabel="filled in, with its 90 % interval (mg/dl)",
        title=f"{name}: {share:.0%} of {gone.sum()} covered",
    )
axes[0].legend(title="the interval", loc="upper left")
plt.show()

# %%
# How good is it? The share of the removed values' variance that is explained, beside scikit-learn's
# imputers, and how often the interval covers the truth.

from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer

gone = incomplete[numbers].isna()
scale = incomplete[numbers].std()
scaled = (incomplete[numbers] - incomplete[numbers].mean()) / scale


def explained(filled):
    errors = ((filled - patients[numbers]) / scale).to_numpy()[gone]
    spread = ((patients[numbers] - patients[numbers].mean()) / scale).to_numpy()[gone]
    return 1 - np.square(errors).sum() / np.square(spread).sum()


scores = {"ours, with the sex": explained(complete[numbers])}
for imputer in (IterativeImputer(max_iter=50, tol=0.01, random_state=0), KNNImputer()):
    filled = imputer.set_output(transform="pandas").fit_transform(scaled)
    scores[type(imputer).__name__] = explained(filled * scale + incomplete[numbers].mean())
print(f"covered by the 90 % intervals: {covered.to_numpy()[gone].mean():.0%}")
pd.Series(scores, name="R2 of removed values").round(3).to_frame()

# %%
# Categories are filled in, too, and `category_sets` says which values remain possible.
# :doc:`../holes_and_noise` compares imputers on more tables, :doc:`../uncertainty` says where
# intervals do not hold. An interval is for a cell that is missing at random. If patients lack a
# value *because* it is high, no method that sees only the table can know.

mmae.category_sets(incomplete[incomplete["sex"].isna()], level=0.9)["sex"].head(3)
