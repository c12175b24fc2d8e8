"""Genes and fatty acids of forty mice: two omics views of few animals.

Reads the data set that `benchmarks.shared_data` finds, prints what it measured, and writes two
pictures beside itself. From the project's root::

    python -m docs.studies.liver_of_mice
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.shared_data import load_nutrimouse
from sklearn_mmae import MultimodalAutoencoder, TabularModality

HERE = Path(__file__).parent
COMPONENTS = 8
SHOWN = ("C16.0", "C18.0", "C20.5n.3", "C22.6n.3")  # fatty acids that are drawn
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7")


def main():
    """Run the study."""
    gene, lipid, diet, genotype = load_nutrimouse()
    lipid = lipid.add_prefix("fat ")  # two names would be those of genes
    mice = pd.concat([gene, lipid], axis=1)
    kind = diet + genotype
    splits = list(
        RepeatedStratifiedKFold(n_splits=4, n_repeats=5, random_state=0).split(mice, kind)
    )
    print(f"{len(mice)} mice, {gene.shape[1]} genes, {lipid.shape[1]} fatty acids;")
    n_train, n_test = map(len, splits[0])
    print(f"{len(splits)} splits, {n_train} mice to learn from and {n_test} to test.")

    scores = pd.DataFrame(
        [measure(mice, gene.columns, lipid.columns, diet, genotype, *split) for split in splits]
    )
    for name in scores:
        error = scores[name].std() / np.sqrt(len(scores))
        print(f"{name:<62}{scores[name].mean():6.3f} +- {error:.3f}")

    mmae = estimator(gene.columns, lipid.columns).fit(mice)
    draw_map(mmae.transform(mice), mmae.transform(mice[gene.columns]), diet, genotype)
    draw_fats(mice, gene.columns, lipid.columns, splits[:4], diet)


def estimator(genes, fats):
    """Return the autoencoder: all of the model."""
    return MultimodalAutoencoder(
        [
            ("genes", TabularModality(), list(genes)),
            ("fats", TabularModality(), list(fats)),
        ],
        n_components=COMPONENTS,
        random_state=0,
    )


def measure(mice, genes, fats, diet, genotype, train, test):
    """Return all figures of one split."""
    known, new = mice.iloc[train], mice.iloc[test]
    mmae = estimator(genes, fats).fit(known)
    scaler = StandardScaler().fit(known)
    # Each view has the same total variance, as in the autoencoder.
    weight = np.r_[np.full(len(genes), len(genes)), np.full(len(fats), len(fats))] ** -0.5
    pca = PCA(COMPONENTS).fit(scaler.transform(known) * weight)

    def views(frame):
        return scaler.transform(frame) * weight

    scores = {}
    again = mmae.reconstruct(new)
    flat = pca.inverse_transform(pca.transform(views(new)))
    scores["explained, both views: ours"] = r2(views(new), views(again[mice.columns]))
    scores["explained, both views: PCA"] = r2(views(new), flat)
    for title, given, wanted, to in (
        ("fats from genes", genes, fats, "fats"),
        ("genes from fats", fats, genes, "genes"),
    ):
        true = scaler.transform(new)[:, mice.columns.isin(wanted)]
        scale = StandardScaler().fit(known[wanted])
        told = scale.transform(mmae.translate(new[given], to=to)[wanted])
        scores[f"{title}, R2: ours"] = r2(true, told)
        for name, model in regressions().items():
            model.fit(known[given], scale.transform(known[wanted]))
            scores[f"{title}, R2: {name}"] = r2(true, model.predict(new[given]))

    for target, labels in (("genotype", genotype), ("diet", diet)):
        probes = {
            "both views, ours": (mmae.transform(known), mmae.transform(new)),
            "both views, PCA": (pca.transform(views(known)), pca.transform(views(new))),
            "fats alone, ours": (mmae.transform(known), mmae.transform(new[fats])),
            "all 141 columns": (scaler.transform(known), scaler.transform(new)),
        }
        for name, (learned, asked) in probes.items():
            probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
            probe.fit(learned, labels.iloc[train])
            scores[f"{target}, linear probe: {name}"] = probe.score(asked, labels.iloc[test])

    low, high = mmae.predict_interval(new[genes], level=0.8)
    inside = (low[fats] <= new[fats]) & (new[fats] <= high[fats])
    scores["fats from genes, in their intervals of 80 %"] = inside.mean(axis=None)
    scale = StandardScaler().fit(known[fats])
    ridge = regressions()["ridge"].fit(known[genes], scale.transform(known[fats]))

    def distance(frame, told):
        return -np.square(scale.transform(frame[fats]) - told).mean(1)

    for name, score in {
        "score_samples": mmae.score_samples,
        "translation": lambda frame: distance(
            frame, scale.transform(mmae.translate(frame[genes], to="fats")[fats])
        ),
        "ridge": lambda frame: distance(frame, ridge.predict(frame[genes])),
    }.items():
        scores[f"mixed-up tubes, area under the curve: {name}"] = mixed_up(new, fats, score)
    return scores


def regressions():
    """Return the baselines from view to view; their settings are chosen on the training mice."""
    return {
        "ridge": make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 5, 13))),
        "PLS": GridSearchCV(PLSRegression(), {"n_components": [1, 2, 4, 6, 8]}, cv=4),
    }


def r2(true, told):
    """Return the share explained of standardised columns, 0 for the means of the training mice."""
    return 1 - np.square(true - told).sum() / np.square(true).sum()


def mixed_up(mice, fats, score):
    """Return how well a score tells mice with another mouse's fats from those with their own."""
    swapped = mice.copy()
    swapped[fats] = np.roll(mice[fats].to_numpy(), 1, axis=0)  # every tube in the next one's place
    own, others = score(mice), score(swapped)
    return roc_auc_score(np.repeat([1, 0], len(mice)), np.concatenate([own, others]))


def draw_map(both, genes, diet, genotype):
    """Draw the mice in the plane of two components."""
    figure, axes = plt.subplots(
        1, 2, figsize=(9, 4), layout="constrained", sharex=True, sharey=True
    )
    plane = PCA(2).fit(both)
    share = plane.explained_variance_ratio_
    for ax, codes, title in zip(axes, (both, genes), ("both views", "genes alone"), strict=True):
        x, y = plane.transform(codes).T
        for colour, name in zip(COLOURS, sorted(set(diet)), strict=True):
            for marker, strain in zip("o^", sorted(set(genotype)), strict=True):
                own = ((diet == name) & (genotype == strain)).to_numpy()
                ax.scatter(x[own], y[own], color=colour, marker=marker, label=f"{name}, {strain}")
        ax.set(title=title, xlabel=f"first principal component ({share[0]:.0%} of the codes)")
    axes[0].set_ylabel(f"second ({share[1]:.0%})")
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside right upper", title="diet, mouse"
    )
    figure.savefig(HERE / "liver_of_mice_map.png", dpi=80)
    plt.close(figure)


def draw_fats(mice, genes, fats, splits, diet):
    """Draw fatty acids as measured, and as predicted from the genes of mice held out."""
    told, low, high = (pd.DataFrame(index=mice.index, columns=fats, dtype=float) for _ in range(3))
    for train, test in splits:
        mmae = estimator(genes, fats).fit(mice.iloc[train])
        new = mice.iloc[test][genes]
        told.iloc[test] = mmae.translate(new, to="fats")[fats]
        for frame, end in zip((low, high), mmae.predict_interval(new, level=0.8), strict=True):
            frame.iloc[test] = end[fats]
    figure, axes = plt.subplots(1, len(SHOWN), figsize=(12, 3.6), layout="constrained")
    for ax, name in zip(axes, SHOWN, strict=True):
        column = f"fat {name}"
        for colour, fed in zip(COLOURS, sorted(set(diet)), strict=True):
            own = (diet == fed).to_numpy()
            ends = np.abs(
                [low.loc[own, column], high.loc[own, column]] - told.loc[own, column].to_numpy()
            )
            ax.errorbar(
                mice.loc[own, column],
                told.loc[own, column],
                yerr=ends,
                fmt="o",
                markersize=4,
                linewidth=0.7,
                color=colour,
                label=fed,
            )
        ax.axline((mice[column].mean(),) * 2, slope=1, color="0.5", linewidth=0.8)
        ax.set(title=name.replace("n.", "n-").replace(".", ":", 1), xlabel="measured (%)")
    axes[0].set_ylabel("from the genes (%),\nwith intervals of 80 %")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", title="diet")
    figure.savefig(HERE / "liver_of_mice_fats.png", dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    matplotlib.use("Agg")
    main()
