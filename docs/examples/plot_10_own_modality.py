"""
A modality of your own
======================

Answers of a survey have an order, from "strongly disagree" to "strongly agree". As categories they
would lose it. As numbers they would be predicted as 3.4. This example adds a data type for them,
outside the package, in one file. :doc:`../add_a_modality` explains each step on another one.
"""

# %%
# There are two classes. The network gets tensors only. `ModalityNetwork` documents its methods: the
# view that the encoder reads, here one centred number, and the deviance of the prediction.

import numpy as np
import torch

from sklearn_mmae import CellError, Modality
from sklearn_mmae.cells import Values, observed
from sklearn_mmae.nn import ModalityNetwork, decoder, encoder


class OrdinalNetwork(ModalityNetwork):
    """Encoder, decoder and deviance of one number."""

    def __init__(self, n_components, width, dropout):
        super().__init__(n_view=1, n_outputs=1)
        self.encoder = encoder(1, width, dropout)
        self.decoder = decoder(n_components, width, 1)

    def view(self, tensors):
        return tensors["place"]

    def deviance(self, outputs, tensors):
        distance = (outputs - tensors["place"]).square().sum(-1)
        return torch.where(tensors["present"], distance, 0)

    @torch.no_grad()
    def start(self, weight):
        self.decoder.linear.weight.copy_(weight)
        self.decoder.linear.bias.zero_()


# %%
# The modality is a scikit-learn estimator of plain parameters. It turns cells into numbers, and
# numbers into the nearest answer. How far apart neighbouring answers are is learned: each stands at
# the median of its part of a normal distribution (normal scores).


class OrdinalModality(Modality):
    """One column of answers that have an order.

    Parameters
    ----------
    order : list of str
        The answers, from least to most.
    """

    def __init__(self, order):
        self.order = order

    def fit(self, cells):
        rank, present = self._ranks(cells)
        if not present.any():
            raise CellError("no answer is observed", column=cells.names[0])
        share = np.bincount(rank[present], minlength=len(self.order)) / present.sum()
        edges = torch.as_tensor(np.cumsum(share) - share / 2).clamp(1e-3, 1 - 1e-3)
        places = torch.special.ndtri(edges).numpy()
        self.mean_ = float(places[rank[present]].mean())
        self.scale_ = float(places[rank[present]].std()) or 1.0
        self.places_ = (places - self.mean_) / self.scale_
        return self

    def transform(self, cells):
        rank, present = self._ranks(cells)
        place = np.where(present, self.places_[rank], 0)[:, None]
        return Values({"place": place.astype(np.float32), "present": present}, present)

    def inverse_transform(self, predictions):
        nearest = np.abs(predictions - self.places_).argmin(1)
        return [np.array(self.order, dtype=object)[nearest]]

    def network(self, n_components, width, dropout):
        return OrdinalNetwork(n_components, width, dropout)

    def _ranks(self, cells):
        """Return the place of each answer in the order, and which are observed."""
        ((name, column),) = cells
        present = observed(column)
        places = {answer: place for place, answer in enumerate(self.order)}
        bad = [row for row in np.flatnonzero(present) if column[row] not in places]
        if bad:
            raise CellError(
                f"{column[bad[0]]!r} is none of the answers",
                column=name,
                row=bad,
                remedy="Name every answer in order=, or give None where it is unknown",
            )
        rank = np.zeros(len(column), dtype=int)
        rank[present] = [places[cell] for cell in column[present]]
        return rank, present


# %%
# `check_modality` tests the contract, and says which promise is broken.

import pandas as pd

from sklearn_mmae.testing import check_modality

rng = np.random.default_rng(0)
ORDER = ["strongly disagree", "disagree", "neutral", "agree", "strongly agree"]
minutes = rng.gamma(2, 10, 800)
mood = 1.2 - 0.06 * minutes + rng.normal(0, 0.6, 800)
answer = np.array(ORDER, dtype=object)[np.digitize(mood, [-1.2, -0.5, 0.2, 0.7])]
survey = pd.DataFrame({"minutes": minutes, "satisfied": answer})
survey.loc[::9, "satisfied"] = None

check_modality(OrdinalModality(ORDER), answer)

# %%
# It is used like any other: missing values, `translate`, `impute` and nested parameters work.

from sklearn_mmae import MultimodalAutoencoder, TabularModality

mmae = MultimodalAutoencoder(
    [
        ("waited", TabularModality(), ["minutes"]),
        ("answer", OrdinalModality(ORDER), ["satisfied"]),
    ],
    n_components=2,
    max_epochs=20,
    random_state=0,
).fit(survey)
print("imputed:", mmae.impute(survey)["satisfied"][::9].value_counts().to_dict())

# %%
# The predicted answer for each time of waiting, beside the real answers:

import matplotlib.pyplot as plt

waits = pd.DataFrame({"minutes": np.linspace(0, 70, 141)})
expected = mmae.translate(waits, to="answer")["satisfied"]
place = {name: i for i, name in enumerate(ORDER)}

figure, ax = plt.subplots(layout="constrained", figsize=(7, 3.6))
said = pd.Series(answer).map(place)
ax.scatter(
    minutes, said + rng.uniform(-0.2, 0.2, 800), s=8, color="#999999", label="said (jittered)"
)
ax.step(waits["minutes"], expected.map(place), color="#D55E00", linewidth=2.5, label="expected")
ax.set(xlabel="waited (minutes)", yticks=range(5), yticklabels=ORDER, xlim=(0, 70))
ax.legend(loc="upper right")
plt.show()

# %%
# A mistyped cell raises an error that says where it is, and what to do:

try:
    mmae.transform(survey.assign(satisfied="agreed"))
except CellError as error:
    print(error)
