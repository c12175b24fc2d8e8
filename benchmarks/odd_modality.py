"""Is the modality that was exchanged for another row's the one that is blamed?"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from sklearn.cross_decomposition import CCA
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmae import MultimodalAutoencoder, MultimodalVAE
from sklearn_mmae.datasets import load_digits_frame
from sklearn_mmae.modalities import ImageModality, TextModality

from ._table import Table, arguments, timed
from .shared_data import available, load_clothing, load_emoji

COLUMNS = ("data", "who blames", "right", "by modality", "seconds")
NOTES = (
    "Share of held-out rows of which one modality was exchanged for that of another row (each"
    " modality in turn; rows of which something is missing, or whose exchanged cells are equal, are"
    " left out) and is the lowest of `score_samples(by_modality=True)`. Chance is one over the"
    " number of modalities. *reconstruction*: what the columns were before, minus the deviance of"
    " each modality's reconstruction from the whole row.",
    "*trained on exchanges* shows what there is to be known: an MLPClassifier that learns from"
    " exchanged training rows which modality it was, from canonical variates of the codes of each"
    " modality alone (cross-fitted in five folds), their products and differences. It is told that"
    " exactly one modality was exchanged, of these very kinds of rows.",
)
SETTINGS = {"max_epochs": 20, "random_state": 0}


def main():
    """Print the table."""
    options = arguments(__doc__)
    table = Table("odd_modality", "The odd modality", COLUMNS, quick=options.quick, notes=NOTES)
    settings = SETTINGS | ({"max_epochs": 1} if options.quick else {})
    for name, load in {
        "digits": digits,
        "women_clothing_reviews": clothing,
        "noto_emoji": emoji,
    }.items():
        if name != "digits" and not available(name):
            table.absent(name)
            continue
        train, test, parameters = load()
        if options.quick:
            train, test = train[:300], test[:100]
        parameters = settings | parameters
        mmae, seconds = timed(MultimodalAutoencoder(**parameters).fit, train)
        exchanged = list(exchanges(test, mmae.modalities_))
        add(
            table,
            name,
            "ours",
            mmae.modalities_,
            [
                blamed(mmae.score_samples(rows, by_modality=True).to_numpy())
                for rows, _ in exchanged
            ],
            exchanged,
            seconds,
        )
        add(
            table,
            name,
            "reconstruction",
            mmae.modalities_,
            [blamed(reconstructed(mmae, rows)) for rows, _ in exchanged],
            exchanged,
            seconds,
        )
        classify, more = timed(trained, mmae, train)
        add(
            table,
            name,
            "trained on exchanges",
            mmae.modalities_,
            [classify(rows) for rows, _ in exchanged],
            exchanged,
            seconds + more,
        )
        vae, seconds = timed(MultimodalVAE(**parameters).fit, train)
        add(
            table,
            name,
            "ours, MultimodalVAE",
            mmae.modalities_,
            [
                blamed(vae.score_samples(rows, by_modality=True, n_draws=64).to_numpy())
                for rows, _ in exchanged
            ],
            exchanged,
            seconds,
        )
    table.show()


def digits():
    """Return training and test rows of the README's example, and its parameters."""
    frame = load_digits_frame()
    train = frame.sample(frac=0.75, random_state=0)
    return train, frame.drop(train.index).reset_index(drop=True), {"n_components": 16}


def clothing():
    """Return rows of the reviews: table, title and text."""
    frame, _, train, test = load_clothing()
    rng = np.random.default_rng(0)
    rows = [frame.iloc[rng.choice(of, n, False)] for of, n in ((train, 4000), (test, 600))]
    return *(some.reset_index(drop=True) for some in rows), {"n_components": 32}


def emoji():
    """Return rows of pictures, names and key words."""
    frame, *split = load_emoji()
    modalities = [
        ("picture", ImageModality(size=32, mode="RGB"), ["picture"]),
        ("name", TextModality(), ["name"]),
        ("keywords", TextModality(), ["keywords"]),
    ]
    rows = (frame.iloc[of].reset_index(drop=True) for of in split)
    return *rows, {"n_components": 32, "modalities": modalities}


def exchanges(rows, modalities):
    """Yield rows with each modality in turn shuffled among them, and which of them count."""
    whole = rows.notna().all(axis=1).to_numpy()
    rng = np.random.default_rng(0)
    for _, _, columns in modalities:
        order = rng.permutation(len(rows))
        exchanged = rows.copy()
        for column in columns:
            exchanged[column] = rows[column].array[order]
        differ = [
            any(not np.array_equal(rows[c].iloc[i], rows[c].iloc[j]) for c in columns)
            for i, j in enumerate(order)
        ]
        yield exchanged, whole & whole[order] & differ


def blamed(scores):
    """Return the lowest of each row, -1 where there is none."""
    there = np.isfinite(scores).all(1)
    return np.where(there, np.where(there[:, None], scores, 0).argmin(1), -1)


def reconstructed(mmae, rows):
    """Return minus the deviance of each modality's reconstruction."""
    read = mmae._model.read(rows, mmae)
    return -mmae._model.deviances(read, mmae._model.encode(read))[0]


def alone(mmae, rows):
    """Return the codes of each modality alone."""
    return [mmae.transform(rows[columns]) for _, _, columns in mmae.modalities_]


def trained(mmae, rows):
    """Return what says of rows which modality was exchanged, having learned it from these."""
    rows = rows.dropna()
    codes, n = alone(mmae, rows), len(mmae.modalities_)
    rng, features, which = np.random.default_rng(0), [], []
    for fit, held in KFold(5, shuffle=True, random_state=0).split(rows):
        bridges = bridge([code[fit] for code in codes])
        for m in np.repeat(range(n), 3):
            shown = [code[held] for code in codes]
            shown[m] = shown[m][rng.permutation(len(held))]
            features.append(compared(bridges, shown))
            which.append(np.full(len(held), m))
    network = MLPClassifier(64, alpha=10, early_stopping=True, random_state=0)
    classifier = make_pipeline(StandardScaler(), network)
    classifier.fit(np.concatenate(features), np.concatenate(which))
    bridges = bridge(codes)
    return lambda rows: classifier.predict(compared(bridges, alone(mmae, rows)))


def bridge(codes):
    """Return a CCA of each pair of codes."""
    return {
        (a, b): CCA(min(16, codes[a].shape[1])).fit(codes[a], codes[b])
        for a, b in combinations(range(len(codes)), 2)
    }


def compared(bridges, codes):
    """Return products and squared differences of canonical variates."""
    found = []
    for (a, b), cca in bridges.items():
        u, v = cca.transform(codes[a], codes[b])
        found += [u * v, (u - v) ** 2]
    return np.concatenate(found, 1)


def add(table, data, who, modalities, named, exchanged, seconds):
    """Add the share of exchanged rows of which the right modality is named."""
    right = [
        np.mean(of[counts] == m)
        for m, (of, (_, counts)) in enumerate(zip(named, exchanged, strict=True))
    ]
    each = ", ".join(
        f"{name} {share:.3f}" for (name, *_), share in zip(modalities, right, strict=True)
    )
    table.add(data, who, float(np.mean(right)), each, f"{seconds:.1f}")


if __name__ == "__main__":
    main()
