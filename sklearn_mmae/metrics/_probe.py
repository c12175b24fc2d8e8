"""How well a linear model predicts labels from embeddings."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import StrOptions, validate_params

from .._core.typing import ArrayLike
from ._checks import check_labels, check_same_rows, check_vectors

__all__ = ["ALPHAS", "fit_linear_probe", "linear_probe_score"]

ALPHAS = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)


@validate_params(
    {
        "Z": ["array-like"],
        "y": ["array-like", None],
        "task": [StrOptions({"auto", "classification", "regression"})],
        "alphas": ["array-like"],
    },
    prefer_skip_nested_validation=True,
)
def fit_linear_probe(
    Z: ArrayLike, y: ArrayLike, *, task: str = "auto", alphas: ArrayLike = ALPHAS
) -> Pipeline:
    r"""Fit a linear probe: a linear model that predicts labels from embeddings.

    Components are standardised. Labels are predicted by a logistic regression, numbers by a ridge
    regression; both minimise

    .. math:: \sum_i \ell(y_i, w^\top z_i + b) + \alpha \lVert w \rVert^2

    (half of the penalty in the logistic case, where ``C = 1 / alpha``).

    Parameters
    ----------
    Z : array-like of shape (rows, components)
        Embeddings, as `transform` returns them.
    y : array-like of shape (rows,), or (rows, targets) for numbers
        Labels or numbers, one per row, none missing.
    task : {"auto", "classification", "regression"}, default="auto"
        "auto" takes text, bools and whole numbers for labels; fractions for numbers.
    alphas : array-like of float, default=(0.01, 0.1, 1, 10, 100, 1000)
        Penalties, of which the best is chosen: for labels by the log loss in up to five
        stratified folds, for numbers by leaving each row out. One penalty
        is taken as it is.

    Returns
    -------
    Pipeline
        Fitted: `predict`, `score`; `predict_proba` of labels.

    Raises
    ------
    ValueError
        For lengths that differ, missing labels, a single class, a penalty that is not positive.

    Notes
    -----
    A probe asks what is *linearly* readable [1]_: what a simple model downstream will find. A
    stronger model may predict more from the same embedding.

    References
    ----------
    .. [1] G. Alain and Y. Bengio (2016). Understanding intermediate layers using linear
       classifier probes. arXiv:1610.01644.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mmae.metrics import fit_linear_probe
    >>> Z, y = load_iris(return_X_y=True)
    >>> probe = fit_linear_probe(Z[::2], y[::2])
    >>> bool(probe.score(Z[1::2], y[1::2]) > 0.9)
    True
    """
    Z = check_vectors(Z, "Z")
    y, found = check_labels(y)
    check_same_rows(Z=Z, y=y)
    alphas = np.sort(np.asarray(alphas, np.float64).ravel())
    if not len(alphas) or not (np.isfinite(alphas) & (alphas > 0)).all():
        raise ValueError(f"alphas={alphas.tolist()}: give positive numbers, such as [0.1, 1, 10].")
    if (found if task == "auto" else task) == "regression":
        return make_pipeline(StandardScaler(), RidgeCV(alphas)).fit(Z, y)
    strength = "logisticregression__C"
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=1 / alphas[0], max_iter=5000))
    classes, place, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise ValueError(
            f"every row has the label {classes.tolist()[0]!r}: there is nothing to distinguish."
            " Give rows of two classes or more."
        )
    if len(alphas) > 1:
        repeated = counts[place] > 1  # a class of one row is unknown to the fold that it falls in
        if (counts > 1).sum() < 2:
            raise ValueError(
                "fewer than two classes have more than one row, too few to choose a penalty. Give"
                " one, such as alphas=[1.0], or more rows."
            )
        folds = StratifiedKFold(min(5, counts[counts > 1].min()))
        search = GridSearchCV(
            probe,
            {strength: (1 / alphas[::-1]).tolist()},
            scoring="neg_log_loss",
            cv=folds,
            refit=False,
            error_score="raise",
        )
        probe.set_params(**search.fit(Z[repeated], y[repeated]).best_params_)
    return probe.fit(Z, y)


@validate_params(
    {
        "Z_train": ["array-like"],
        "y_train": ["array-like", None],
        "Z_test": ["array-like"],
        "y_test": ["array-like", None],
        "task": [StrOptions({"auto", "classification", "regression"})],
        "alphas": ["array-like"],
    },
    prefer_skip_nested_validation=True,
)
def linear_probe_score(
    Z_train: ArrayLike,
    y_train: ArrayLike,
    Z_test: ArrayLike,
    y_test: ArrayLike,
    *,
    task: str = "auto",
    alphas: ArrayLike = ALPHAS,
) -> float:
    """Score a linear probe, fitted to some embeddings, on the labels of others.

    Parameters
    ----------
    Z_train, y_train
        Embeddings and labels to learn from, as in `fit_linear_probe`.
    Z_test, y_test
        Embeddings of other rows, and what they are compared with.
    task, alphas
        As in `fit_linear_probe`; "auto" goes by `y_train`.

    Returns
    -------
    float
        Labels: the accuracy, 0 to 1. Numbers: R2, at most 1, and 0 for the mean of `y_test`; the
        mean over targets.

    Raises
    ------
    ValueError
        As `fit_linear_probe`.

    See Also
    --------
    fit_linear_probe : The model itself, to be used on more than one set of embeddings.
    ProbeScorer : The same within a grid search.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mmae.metrics import linear_probe_score
    >>> Z, y = load_iris(return_X_y=True)
    >>> linear_probe_score(Z[::2], y[::2], Z[1::2], y[1::2]) > 0.9
    True
    """
    Z_test = check_vectors(Z_test, "Z_test")
    y_test, _ = check_labels(y_test, "y_test")
    check_same_rows(Z_test=Z_test, y_test=y_test)
    y_train, _ = check_labels(y_train, "y_train")
    check_same_rows(Z_train=Z_train, y_train=y_train)
    return float(fit_linear_probe(Z_train, y_train, task=task, alphas=alphas).score(Z_test, y_test))
