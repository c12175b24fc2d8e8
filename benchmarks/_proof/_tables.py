"""Tables of many kinds of column: what a code explains of them, and of a target with texts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sklearn_mmae import MultimodalAutoencoder

from .._table import timed
from ..features import Divided, blocks, words
from ..shared_data import load_clothing, load_salaries
from ..tables_with_text import TEXTS, columns_by_hand, regressors, scaled
from ._task import Method, Task

N_TRAIN, N_TEST = 3000, 2000


@dataclass(frozen=True)
class Table:
    """Training and test rows of a frame, and the target; `texts` names its columns of text."""

    train: pd.DataFrame
    test: pd.DataFrame
    y_train: np.ndarray
    y_test: np.ndarray
    k: int
    texts: tuple

    def inner(self):
        """Return the training rows alone, a quarter of them as test rows."""
        index = np.arange(len(self.train))
        kept, held = train_test_split(index, test_size=0.25, random_state=0)
        frame, y = self.train, self.y_train
        return replace(
            *(self,), train=frame.iloc[kept], test=frame.iloc[held], y_train=y[kept], y_test=y[held]
        )

    def measure(self, found):
        """Return what a code is worth for the target, or what is explained of the columns."""
        if self.texts:
            ridge, _ = regressors()
            ridge.fit(found["codes/train"], self.y_train)
            return {"target": float(ridge.score(found["codes/test"], self.y_test))}
        numbers = []
        for at, (known, mean) in self.blocks().items():
            left = ((known - found["whole"][at]) ** 2).sum()
            numbers.append(1 - left / ((known - mean) ** 2).sum())
        return {"explained": float(np.mean(numbers))}

    def blocks(self):
        """Return, by column, test rows as numbers or indicators, and the training rows' mean."""
        trained, tested = as_blocks(self.train, self.train), as_blocks(self.train, self.test)
        return {at: (tested[at], trained[at].mean(0)) for at in trained}

    def kinds(self):
        """Return training and test rows as arrays of numbers and of numbers of categories."""
        frames = [frame.drop(columns=list(self.texts)) for frame in (self.train, self.test)]
        categorical = [c for c in frames[0] if is_categorical(frames[0][c])]
        numbers = [as_numbers(frame.drop(columns=categorical)) for frame in frames]
        numbers = [part.fillna(numbers[0].mean()).to_numpy() for part in numbers]
        levels = [pd.Categorical(frames[0][c]).categories for c in categorical]
        codes = [
            np.column_stack(
                [
                    pd.Categorical(frame[c], categories=level).codes
                    for c, level in zip(categorical, levels, strict=True)
                ]
            )
            for frame in frames
        ]
        for known, new in zip(codes[0].T, codes[1].T, strict=True):
            if -1 not in known:  # FAMD refuses what it has not seen
                new[new == -1] = np.bincount(known).argmax()
        return [
            {"numbers": number, "categories": code}
            for number, code in zip(numbers, codes, strict=True)
        ]


def is_categorical(column):
    """Whether a column holds strings."""
    return not (
        pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column)
    )


def as_numbers(frame):
    """Return dates as days since 1970, and numbers as they are."""
    day = pd.Timedelta(days=1)
    return frame.apply(
        lambda c: (c - pd.Timestamp(0)) / day if c.dtype.kind == "M" else c.astype(float)
    )


def as_blocks(train, frame):
    """Return each column as standardised numbers or indicators, as the training rows have it."""
    blocks = {}
    for name in train:
        if is_categorical(train[name]):
            levels = np.unique(train[name])
            blocks[name] = (frame[name].to_numpy()[:, None] == levels).astype(float)
        else:
            known, rows = (as_numbers(part[[name]]).to_numpy() for part in (train, frame))
            blocks[name] = (rows - known.mean()) / known.std()
    return blocks


def split_table(name, load, k, with_text, seed, quick):
    """Draw training and test rows."""
    frame, target = load()
    texts = TEXTS[name]
    if not with_text:
        frame = frame.drop(columns=texts).dropna()
        target = target.loc[frame.index]
    n_train, n_test = (800, 200) if quick else (N_TRAIN, N_TEST)
    train, test, y_train, y_test = train_test_split(
        *(frame, target.to_numpy(float)), train_size=n_train, test_size=n_test, random_state=seed
    )
    return Table(train, test, y_train, y_test, k, tuple(texts) if with_text else ())


def clothing():
    """Return reviews, and their ratings."""
    frame, rating, *_ = load_clothing()
    frame["Recommended IND"] = frame["Recommended IND"].map({0: "no", 1: "yes"})
    return frame, rating


def salaries():
    """Return the staff, dates as dates, and the salaries."""
    frame, salary = load_salaries()
    frame["date_first_hired"] = pd.to_datetime(frame["date_first_hired"], format="%m/%d/%Y")
    return frame, salary


def ours(rows, run, seed):
    """Fit the default estimator, which finds out the kinds of the columns itself."""
    settings = {"max_epochs": 1} if run.quick else {}
    mmae = MultimodalAutoencoder(n_components=rows.k, random_state=seed, **settings)
    _, seconds = timed(mmae.fit, rows.train)
    if rows.texts:
        codes = {"codes/train": mmae.transform(rows.train), "codes/test": mmae.transform(rows.test)}
        return codes, seconds
    whole = as_blocks(rows.train, mmae.reconstruct(rows.test))
    for name, shares in mmae.category_probabilities(rows.test).items():
        levels = np.unique(rows.train[name])
        whole[name] = shares.reindex(columns=levels, fill_value=0).to_numpy()
    return {"whole": whole}, seconds


def components(features):
    """Return the function that fits principal components of what a pipeline makes of a table."""

    def fit(rows, run, seed, standardised):
        steps = [features(rows), *[scaled()] * standardised]
        model = make_pipeline(*steps, PCA(rows.k, random_state=seed))
        codes, seconds = timed(model.fit_transform, rows.train)
        return {"codes/train": codes, "codes/test": model.transform(rows.test)}, seconds

    return fit


def equal_blocks(rows, run, seed):
    """Fit principal components of the table and of each text, by their first singular values."""
    model = blocks(rows.train, list(rows.texts), words, Divided("first"), rows.k)
    codes, seconds = timed(model.fit_transform, rows.train)
    return {"codes/train": codes, "codes/test": model.transform(rows.test)}, seconds


def by_hand(rows):
    """Return TF-IDF and SVD of texts, indicators of categories, scaled numbers and dates."""
    return columns_by_hand(rows.train, list(rows.texts))


def skrub(rows):
    """Return what skrub puts before a linear model."""
    from sklearn.linear_model import Ridge
    from skrub import tabular_pipeline

    return tabular_pipeline(Ridge())[:-1]


def famd(rows, run, seed):
    """Fit factor analysis of mixed data, without the texts; least squares lead back to columns."""
    codes, seconds = run.ask("prince", *rows.kinds(), n_components=rows.k, seed=seed)
    if rows.texts:
        return codes, seconds
    whole = {}
    for name, block in as_blocks(rows.train, rows.train).items():
        way_back = LinearRegression().fit(codes["codes/train"], block)
        whole[name] = way_back.predict(codes["codes/test"])
    return {"whole": whole}, seconds


def pca_of_indicators(rows, run, seed, standardised):
    """Fit principal components of numbers and indicators."""
    blocks = [as_blocks(rows.train, part) for part in (rows.train, rows.test)]
    train, test = (np.hstack(list(part.values())) for part in blocks)
    mean, spread = train.mean(0), train.std(0) if standardised else np.ones(train.shape[1])
    model, seconds = timed(PCA(rows.k, random_state=seed).fit, (train - mean) / spread)
    codes = model.transform((test - mean) / spread)
    rebuilt = model.inverse_transform(codes) * spread + mean
    ends = np.cumsum([block.shape[1] for block in blocks[0].values()])[:-1]
    return {"whole": dict(zip(blocks[0], np.split(rebuilt, ends, 1), strict=True))}, seconds


def plain_or_standardised(rows):
    """Return whether columns are standardised before their components are found."""
    return [{"standardised": False}, {"standardised": True}]


OF_TEXT = {
    "ours": Method(ours),
    "TF-IDF, SVD, PCA": Method(components(by_hand), plain_or_standardised),
    "PCA of equal blocks": Method(equal_blocks),
    "skrub, PCA": Method(components(skrub), plain_or_standardised),
    "FAMD without text": Method(famd, peer="prince"),
}
OF_MIXED = {
    "ours": Method(ours),
    "PCA of indicators": Method(pca_of_indicators, plain_or_standardised),
    "FAMD": Method(famd, peer="prince"),
}


def task(name, load, folder, with_text):
    """Return the task of one data set."""
    k = 32 if with_text else 4
    return Task(
        k,
        lambda seed, quick: split_table(name, load, k, with_text, seed, quick),
        OF_TEXT if with_text else OF_MIXED,
        3,
        folder,
    )


SETS = {
    "clothing": (clothing, "women_clothing_reviews"),
    "salaries": (salaries, "employee_salaries"),
}
TASKS = {
    f"{name}{'' if with_text else ', no text'}": task(name, *read, with_text)
    for with_text in (False, True)
    for name, read in SETS.items()
}
