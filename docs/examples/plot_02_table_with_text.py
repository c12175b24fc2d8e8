"""
Tables with text, in a Pipeline
===============================

A table of flats has numbers, categories, dates, a sentence per row, and missing values. No column
needs preprocessing. The autoencoder turns each row into a vector, and a regression takes the
vectors. Both are one scikit-learn `Pipeline`, to be cross-validated and searched as any other.
"""

# %%
# The flats are simulated. The rent depends on size, on district, and on the condition, which only
# the sentence mentions.

import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
n_rows = 400
size = rng.gamma(9, 8, n_rows)
district = rng.choice(["harbour", "old town", "hills", "station"], n_rows)
condition = rng.choice(["new kitchen", "freshly painted", "needs repair", "old windows"], n_rows)
extra = rng.choice(["with balcony", "near the park", "quiet yard", "by the tram"], n_rows)
rent = size * (
    11
    + pd.Series(district).map({"harbour": 4, "old town": 2, "hills": 0, "station": -2}).to_numpy()
    + np.select([condition == "new kitchen", condition == "needs repair"], [3, -3], 0)
)
rent = rent + rng.normal(0, 40, n_rows)
flats = pd.DataFrame(
    {
        "size": size.round(),
        "rooms": np.ceil(size / 28 + rng.normal(0, 0.3, n_rows)).clip(1),
        "built": pd.Timestamp("1900-01-01")
        + pd.to_timedelta(rng.integers(0, 45_000, n_rows), unit="D"),
        "district": district,
        "note": [f"{c}, {e}, {d}" for c, e, d in zip(condition, extra, district, strict=True)],
    }
)
flats.loc[rng.random(n_rows) < 0.1, "district"] = None
flats.loc[rng.random(n_rows) < 0.1, "size"] = np.nan
flats.head()

# %%
# Column types are detected in `fit`: a note is a text, all other columns are one table.

from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmae import MultimodalAutoencoder

mmae = MultimodalAutoencoder(n_components=16, max_epochs=10, random_state=0)
model = make_pipeline(mmae, StandardScaler(), RidgeCV(np.logspace(-3, 3, 7)))
model.fit(flats, rent)
model[0].modalities_

# %%
# Held-out predictions, from three folds. In each, the autoencoder learns from the training rows
# only, as every step of a Pipeline does.

import matplotlib.pyplot as plt
from sklearn.metrics import PredictionErrorDisplay, r2_score
from sklearn.model_selection import cross_val_predict

predicted = cross_val_predict(model, flats, rent, cv=3)
display = PredictionErrorDisplay.from_predictions(
    rent,
    predicted,
    kind="actual_vs_predicted",
    scatter_kwargs={"alpha": 0.4, "color": "#0072B2", "s": 15},
)
ticks = range(0, 2500, 500)
display.ax_.set(
    xticks=ticks,
    yticks=ticks,
    xlabel="predicted rent (euros a month)",
    ylabel="rent (euros a month)",
    title=f"Held-out flats, R2 = {r2_score(rent, predicted):.2f}",
)
plt.show()

# %%
# How much does the note add? The same without it:

without = cross_val_predict(model, flats.drop(columns="note"), rent, cv=3)
print(f"R2 with the note {r2_score(rent, predicted):.3f}, without {r2_score(rent, without):.3f}")

# %%
# Which settings are best? A search reaches the parameters of each step. With ``target_weight=1``
# the embedding is supervised: the rent shapes it (:doc:`../targets`).

from sklearn.model_selection import GridSearchCV

grid = {"multimodalautoencoder__target_weight": [0, 1]}
search = GridSearchCV(model, grid, cv=2, refit=False).fit(flats, rent)
results = pd.DataFrame(search.cv_results_)[[f"param_{name}" for name in grid] + ["mean_test_score"]]
results.columns = ["target_weight", "R2 (mean of two folds)"]
results.round(3)

# %%
# If one target is all that matters and rows are many, a model that sees all columns, as in
# `skrub.tabular_pipeline`, may do better. :doc:`../results/tables_with_text` has real tables where
# it does, and where it does not. An embedding is one short, numeric description of a messy row. It
# serves several models, retrieval of similar rows, and a plot of the data.
