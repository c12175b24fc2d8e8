"""Reviews of clothes: sentiment from text, facts and what is missing of them.

Reads the data set that `benchmarks.shared_data` finds, prints what it measured, and writes a
picture beside itself. From the project's root::

    python -m docs.studies.clothing_reviews
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from benchmarks.shared_data import load_clothing
from sklearn_mmae import MultimodalAutoencoder, TabularModality, TextModality

HERE = Path(__file__).parent
N_TRAIN, N_TEST = 4000, 2000
NUMBERS = ["Age", "Positive Feedback Count"]
CATEGORIES = ["Division Name", "Department Name", "Class Name"]
ITEM = [*NUMBERS, *CATEGORIES]
GOOD = 4  # stars or more


def main():
    """Run the study."""
    frame, rating, train, test = load_clothing()
    rng = np.random.default_rng(0)
    train, test = rng.permutation(train)[:N_TRAIN], rng.permutation(test)[:N_TEST]
    # "Recommended IND" is the rating said in another way.
    frame = frame.drop(columns=["Clothing ID", "Recommended IND"]).assign(stars=rating)
    frame = frame.rename(columns={"Review Text": "review", "Title": "title"})
    frame = frame.astype({name: float for name in (*NUMBERS, "stars")})
    known, new = frame.iloc[train].reset_index(drop=True), frame.iloc[test].reset_index(drop=True)
    # Two kinds of clothes are there in the test reviews only.
    new["Class Name"] = new["Class Name"].where(new["Class Name"].isin(known["Class Name"]), None)
    lacking = new[["title", "review"]].isna().mean()
    print(f"{len(known)} reviews to learn from, {len(new)} to test. Of these")
    print(f"{lacking['title']:.0%} have no title, {lacking['review']:.0%} no text,")
    print(f"and {np.mean(new['stars'] >= GOOD):.0%} have {GOOD} stars or more.")

    mmae = MultimodalAutoencoder(
        [
            ("stars", TabularModality(), ["stars"]),
            ("item", TabularModality(), ITEM),
            ("title", TextModality(), ["title"]),
            ("review", TextModality(n_words=8), ["review"]),
        ],
        n_components=64,
        random_state=0,
    ).fit(known)
    told = measure(mmae, known, new)
    draw(new, told, words_of_stars(mmae))


def measure(mmae, known, new):
    """Print how well stars are told from the rest, and return them."""
    blind = new.drop(columns="stars")
    told = mmae.translate(blind, to="stars")["stars"]
    report("stars by `translate`", new["stars"], told)
    codes = mmae.transform(known.drop(columns="stars")), mmae.transform(blind)
    probe = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))
    report(
        "ridge on our 64 components",
        new["stars"],
        probe.fit(codes[0], known["stars"]).predict(codes[1]),
    )
    for name, reduced in (("", None), (", 64 components", PCA(64))):
        model = baseline(reduced).fit(known, known["stars"])
        report(f"ridge on TF-IDF and one-hot{name}", new["stars"], model.predict(new))
    for name, columns in {
        "title alone": ["title"],
        "text alone": ["review"],
        "item alone": ITEM,
    }.items():
        there = new[columns].notna().any(axis=1)
        part = mmae.translate(new.loc[there, columns], to="stars")["stars"]
        report(f"`translate`, {name} ({there.sum()} rows)", new["stars"][there], part)

    low, high = mmae.predict_interval(blind, level=0.9)
    inside = (low["stars"] <= new["stars"]) & (new["stars"] <= high["stars"])
    width = (high["stars"] - low["stars"]).mean()
    print(f"stars in their interval of 90 %: {inside.mean():.3f}, {width:.1f} stars wide")
    return told


def report(name, true, told):
    """Print the share of the stars' variance told, and how well good reviews are told from bad."""
    auc = roc_auc_score(true >= GOOD, told)
    print(f"{name:<42} R2 {r2_score(true, told):.3f}  AUC {auc:.3f}")


def baseline(reduced):
    """Return the usual pipeline; a text that is missing is an empty one."""

    def fill(column):
        return column.fillna("")

    columns = ColumnTransformer(
        [
            *(
                (
                    text,
                    make_pipeline(
                        FunctionTransformer(fill), TfidfVectorizer(min_df=3, sublinear_tf=True)
                    ),
                    text,
                )
                for text in ("title", "review")
            ),
            ("categories", OneHotEncoder(min_frequency=10, handle_unknown="ignore"), CATEGORIES),
            ("numbers", StandardScaler(), NUMBERS),
        ]
    )
    ridge = RidgeCV(np.logspace(-2, 4, 13))
    return make_pipeline(columns, *([reduced, StandardScaler()] if reduced else []), ridge)


def words_of_stars(mmae):
    """Print what stars and kinds of clothes alone are translated to; return shares of words."""
    asked = pd.DataFrame({"stars": [1.0, 5.0]})
    for stars, title, text in zip(
        (1, 5), *mmae.translate(asked, to=["title", "review"]).to_numpy().T, strict=True
    ):
        print(f"{stars} of 5 stars -> title: {title}")
        print(f"             -> text: {text}")
    item = pd.DataFrame(index=range(2), columns=ITEM, dtype=object).astype(
        dict.fromkeys(NUMBERS, float)
    )
    item["Class Name"] = ["Dresses", "Jeans"]
    texts = mmae.translate(item, to="review")["review"]
    for name, text in zip(item["Class Name"], texts, strict=True):
        print(f"{name} -> text: {text}")
    return mmae.word_shares(asked)["review"]


def draw(new, told, shares):
    """Draw the stars as given and as told, and the words that one and five stars differ in."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    given = np.arange(1, 6)
    left.boxplot(
        [told[new["stars"] == stars] for stars in given],
        positions=given,
        widths=0.6,
        patch_artist=True,
        boxprops={"facecolor": "#9ecae1"},
        medianprops={"color": "black"},
        flierprops={"markersize": 2},
    )
    left.plot(given, given, "--", color="#D55E00", label="as given")
    counts = [f"{stars}\n({np.sum(new['stars'] == stars)})" for stars in given]
    left.set(xticks=given, xticklabels=counts, xlabel="stars given (test reviews)")
    left.set(ylabel="stars from text and item", title="Told from the rest of the review")
    left.legend(loc="upper left")

    change = np.log2(shares.iloc[1] / shares.iloc[0])[shares.mean() > 0.002].sort_values()
    ends = pd.concat([change.head(8), change.tail(8)])
    right.barh(ends.index, ends, color=np.where(ends > 0, "#0072B2", "#D55E00"))
    right.axvline(0, color="black", linewidth=0.8)
    right.tick_params(axis="y", labelsize=10)
    right.set(xlabel="how much likelier with five stars than with one (doublings)")
    right.set(title="Words expected of the stars alone")
    figure.savefig(HERE / "clothing_reviews.png", dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    matplotlib.use("Agg")
    main()
