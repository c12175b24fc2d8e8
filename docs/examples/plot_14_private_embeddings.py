"""
Private embeddings
==================

A fitted model tells of the rows that it was fitted on. With ``privacy=Privacy(epsilon)`` what it
tells of any one row is bounded. It is differential privacy.
"""

# %%
# A survey of 20,000 people, made here. One row is one person.

import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
n = 20_000
age = rng.uniform(18, 80, n)
school = rng.choice(["primary", "secondary", "university"], n, p=[0.2, 0.5, 0.3])
years = pd.Series(school).map({"primary": 9, "secondary": 12, "university": 16}).to_numpy()
pay = 1000 * (0.2 * (years - 8) ** 1.7 + 0.03 * (age - 18)) * rng.lognormal(0, 0.3, n) + 900
rent = 0.3 * pay + rng.normal(0, 150, n)
people = pd.DataFrame(
    {
        "age": age.round(),
        "school": school,
        "pay": pay.round(),
        "rent": rent.clip(0).round(),
        "owner": np.where(rng.random(n) < 1 / (1 + np.exp(-(age - 50) / 8)), "yes", "no"),
    }
)
train, test = people[:15_000], people[15_000:]
train.head()

# %%
# What is taken from the rows has to be paid for, so what is public is given: ranges of numbers and
# lists of categories. Do not read them off the rows: choose them as anybody would who has not seen
# any.

from sklearn_mmae import MultimodalAutoencoder, Privacy, TabularModality

person = TabularModality(
    bounds={"age": (0, 110), "pay": (0, 30_000), "rent": (0, 10_000)},
    categories={"school": ["primary", "secondary", "university"], "owner": ["no", "yes"]},
)
modalities = [("person", person, list(people))]
private = MultimodalAutoencoder(
    modalities, n_components=3, max_epochs=10, privacy=Privacy(epsilon=1.0)
)
private.fit(train)
private.privacy_spent_

# %%
# No ``random_state``: who knows the seed could subtract the noise. All else is as always.

Z = private.transform(test)
Z.shape, private.inverse_transform(Z[:2])

# %%
# What does it cost? The share of the deviance of held-out rows that is explained, as epsilon falls.
# Dashed: without privacy. The noise is the same for few rows and for many, so that few rows pay
# more.

import matplotlib.pyplot as plt

epsilons = [0.1, 0.3, 1.0, 3.0]
figure, ax = plt.subplots(layout="constrained", figsize=(7, 4))
for rows, colour, marker in [(15_000, "#0072B2", "o"), (1_000, "#D55E00", "s")]:
    fitted = [
        MultimodalAutoencoder(
            modalities, n_components=3, max_epochs=0, privacy=Privacy(epsilon=epsilon)
        ).fit(train[:rows])
        for epsilon in epsilons
    ]
    open_model = MultimodalAutoencoder(modalities, n_components=3, max_epochs=0, random_state=0)
    label = f"{rows:,} people"
    ax.plot(epsilons, [one.score(test) for one in fitted], marker=marker, color=colour, label=label)
    ax.axhline(open_model.fit(train[:rows]).score(test), color=colour, linestyle="--", linewidth=1)
ax.set_xscale("log")
ax.xaxis.set_major_formatter("{x:g}")
ax.set(
    xlabel="epsilon: the smaller, the more private",
    ylabel="share of deviance explained, held-out rows",
    title="Linear start, three components",
)
ax.legend(title="fitted on")
plt.show()

# %%
# The saved model, its samples, and all that is computed from it may be given away. The embeddings
# of the training rows may not: they are about these rows. `sample` makes people who do not exist:

private.sample(4)

# %%
# What is promised, what is public and what is not there: :doc:`../privacy`.
