"""
Search: GridSearchCV, here and on a Dask cluster
================================================

The autoencoder is a scikit-learn estimator, and so are its modalities. `GridSearchCV` reaches every
parameter that ``get_params`` lists. Through joblib the same search runs on other backends, such as
Dask, and gives the same result.
"""

# %%
# Digits as images and captions. Without ``y`` the search is for `score`, the share of the deviance
# of held-out rows that is explained. Where modalities are named, their parameters can be searched,
# too, as ``image__size``. "auto" detects modalities in `fit` only, too late for a search.

from sklearn.model_selection import GridSearchCV

from sklearn_mmae import ImageModality, MultimodalAutoencoder, TextModality
from sklearn_mmae.datasets import load_digits_frame

frame, digit = load_digits_frame(return_target=True)
frame, digit = frame[["image", "caption"]][:300], digit[:300]

mmae = MultimodalAutoencoder(
    [("image", ImageModality(), ["image"]), ("caption", TextModality(), ["caption"])],
    width=64,
    max_epochs=5,
    random_state=0,
)
grid = {"n_components": [2, 4, 8, 16], "noise": [0.1, 1.0]}
search = GridSearchCV(mmae, grid, cv=2).fit(frame)
search.best_params_

# %%

import matplotlib.pyplot as plt
import pandas as pd

results = pd.DataFrame(search.cv_results_)
figure, ax = plt.subplots(layout="constrained")
for noise, (colour, style) in {0.1: ("#0072B2", "o-"), 1.0: ("#D55E00", "s--")}.items():
    own = results[results["param_noise"] == noise]
    ax.errorbar(
        own["param_n_components"],
        own["mean_test_score"],
        yerr=own["std_test_score"],
        fmt=style,
        color=colour,
        capsize=3,
        label=f"noise={noise}",
    )
ax.set_xscale("log", base=2)
ax.xaxis.set_major_formatter("{x:.0f}")
ax.set(
    xlabel="n_components",
    ylabel="share of deviance explained, held-out rows",
    title="300 digits, two folds (bars: their standard deviation)",
)
ax.legend()
plt.show()

# %%
# How many components?
# --------------------
#
# `ExplainedDevianceDisplay` fits the estimator with several numbers of components. It shows what
# each modality gains on held-out rows, beside PCA of the same input. Words have another deviance
# than PCA's squared error, so compare the images. With 16 components, 200 rows and only five
# epochs, PCA is ahead on them. Networks are kept if they explain more in all, and here the captions
# gain.

from sklearn_mmae.displays import ExplainedDevianceDisplay

ExplainedDevianceDisplay.from_estimator(mmae, frame[:200], frame[200:], n_components=(2, 4, 8, 16))
plt.show()

# %%
# For another purpose
# -------------------
#
# The best reconstruction need not be the best embedding for your purpose. `sklearn_mmae.metrics`
# has other scorers: `ProbeScorer` for what a simple model predicts from the embedding,
# `RecallScorer` for retrieval of images by captions, `TranslationScorer` for one modality from
# another. Several at once:

from sklearn_mmae.metrics import ProbeScorer, RecallScorer

scoring = {
    "explained": MultimodalAutoencoder.score,
    "probe": ProbeScorer(alphas=[1.0]),
    "recall": RecallScorer("image", "caption", k=10),
}
search = GridSearchCV(mmae, {"n_components": [4, 16]}, scoring=scoring, refit="probe", cv=2)
search.fit(frame, digit)
columns = ["param_n_components", *(f"mean_test_{name}" for name in scoring)]
pd.DataFrame(search.cv_results_)[columns].round(3)

# %%
# On a Dask cluster
# -----------------
#
# joblib passes the fits to Dask's workers; nothing else changes. Here there are two, in this
# process. ``Client("scheduler-address:8786")`` is a cluster of machines with ``sklearn_mmae``
# installed. The result does not depend on the worker: same machine, versions and ``random_state``,
# same bits.

from distributed import Client, LocalCluster

import joblib

small = {"n_components": [4, 8]}
here = GridSearchCV(mmae, small, cv=2).fit(frame)
with (
    LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster,
    Client(cluster),
    joblib.parallel_config(backend="dask"),
):
    there = GridSearchCV(mmae, small, cv=2).fit(frame)

print("here ", here.cv_results_["mean_test_score"])
print("there", there.cv_results_["mean_test_score"])
assert (here.cv_results_["mean_test_score"] == there.cv_results_["mean_test_score"]).all()
