"""`MultimodalAutoencoder`: the deterministic estimator, its parameters and its network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ..fusion import Fusion
from ..modalities import Modality
from ..model._model import Model
from ..privacy import Privacy
from ..training._build import build_fusion, build_target, weights_of_terms
from ..training._network import MultimodalNetwork
from ._base import BaseMultimodalAutoencoder
from ._parameters import CONSTRAINTS, set_parameters

__all__ = ["MultimodalAutoencoder"]


class MultimodalAutoencoder(BaseMultimodalAutoencoder):
    """PCA for messy, multimodal rows: a compact vector per row, and the row back.

    Rows hold numbers, categories, dates, texts, images, sounds, video clips and signals; any of
    them may be missing. Each row becomes an embedding, a vector of ``n_components`` numbers, which
    turns back into the row. Each modality alone predicts the whole row, so one is translated into
    another, and missing values are filled in.

    Training begins at the joint principal components of all modalities. Small networks improve on
    them. Held-out rows decide whether they do, for each decoder by itself and for all; if not, the
    result is the linear one. If a linear model predicts less from the embeddings of the networks,
    embeddings are held near those of the linear start.

    **Change these first:** `n_components`; `max_epochs` (0 is the linear start, in seconds) or
    `max_time`; `target_weight` if there is a target; `noise`; `random_state`. The other
    parameters rarely need a change. :doc:`/choose` says when, :doc:`/cost` how long a fit takes.

    Parameters
    ----------
    modalities : "auto" or list of (str, Modality or "drop", columns), default="auto"
        As in ColumnTransformer: ``columns`` is a name, a list of names or positions, a slice, a
        mask or a callable such as `make_column_selector`. "auto" looks at the cells: numbers,
        bools, dates, categories and strings that repeat become one table, every other column a
        modality of its own: texts, images, sounds, video clips or sequences. Strings of one word
        that hardly repeat, such as hashes, are left out with a warning. The result is in
        `modalities_`; it can be edited and passed back.
    n_components : int, float in (0, 1) or "auto", default=32
        Length of the vector; may be more than there are columns. A share, such as 0.9: as many
        components as the linear start needs to explain it, of the variance of all modalities, each
        divided as in the start. "auto": as many as stand out from what unrelated columns would
        show, by parallel analysis [6]_. Both look at `X` alone, and choose 256 at most; a warm
        start keeps the number of the last fit.
    fusion : {"joint", "concat", "precision", "mean", "mixture", "attention"}, Fusion or callable, \
            default="joint"
        How what the present modalities say becomes one vector. An instance of a subclass of
        `Fusion` is copied; a callable ``f(encodings, present)`` pools the encodings (modality,
        row, width) to (..., row, width).
    init : {"linear", "random"}, default="linear"
        Begin at the closed-form linear optimum, or at random weights.
    rotation : {"varimax", None}, default="varimax"
        Rotate the axes of the linear start so that each depends on few columns. Trees and people
        read these better; what is explained stays the same. None keeps the principal axes.
    modality_weights : dict of str to float, default=None
        How much the rows of each modality count in what the vectors are to give back, by name as
        in `modalities_`. Those that are not named count 1, but texts of fewer than 16 words less:
        of one word .5, of three .66.
    target_weight : float, default=0.0
        How much the labels `y` given to `fit` count, beside a modality with 1: they shape the
        embedding, and `predict` predicts them. They are never encoded: `transform`, `score` and
        `inverse_transform` do not use them. 0 ignores `y`, as PCA does.
    target_cv : int, cross-validation splitter, iterable or None, default=None
        With a target: let `fit_transform` return the vector of each training row by a model that
        was fitted to the other folds, as `TargetEncoder` does. It costs a fit for each fold.
    max_lag : float, (float, float) or None, default=None
        Estimate the lags between the modalities that go on in time (sounds, video clips,
        sequences), up to this many seconds either way (steps, for sequences without a rate), and
        remove them: one lag per modality, the same for all rows. A pair is the lowest and the
        highest lag of each
        against the first of them: (0, 2.0) says that the others come later, by 2 s at most.
        None takes them as they are.
    extra_terms : {"agreement", "contrastive"}, dict of str to float, or None, default=None
        Extra losses that align the single-modality embeddings: "agreement" makes a row's
        embeddings equal; "contrastive" makes them distinguishable from those of other rows
        (InfoNCE), as in [3]_. A dict has their weights, such as ``{"contrastive": 0.1}``; a name
        alone has 0.05.
    modality_dropout : float in [0, 1), default=0.5
        In every step each row is decoded from all modalities that are present, and again from a
        part of them, in which each is hidden with this probability. It is also the weight of the
        second. 0 switches it off.
    noise : float, default=0.3
        Corruption of the encoder's input in training, in standard deviations (for words: the
        share that is dropped); the target stays clean.
    dropout : float in [0, 1), default=0.1
        Share of hidden units of the encoders dropped in training.
    width : int, default=256
        Hidden units of the networks.
    max_epochs : int, default=25
        The most epochs, over which the learning rate rises and falls once; 0 keeps the linear
        start. An epoch takes every row once or, of more than 4,096, as many, sampled anew.
    max_time : float or None, default=None
        The most seconds that `fit` may learn for: the learning rate then falls by the clock, and
        what was best so far is kept. Results depend on the machine. None sets no limit.
    batch_size : int or "auto", default="auto"
        Rows per step. "auto": a 16th of the rows, as a power of two between 16 and 256.
    lr : float, default=0.008
        Highest learning rate of the cycle. Where held-out rows find the first epochs the best,
        training begins once more with 0.3 of it.
    optimizer : {"adamw", "adam", "sgd"} or torch optimizer class, default="adamw"
        Fused where torch has it.
    weight_decay : float, default=0.1
        Of the networks; the linear path is never decayed.
    early_stopping : bool, default=True
        Hold rows out, stop when their loss gets no better, and keep the networks only if they
        beat the linear start there; then finish on all rows. False: train on all rows for
        `max_epochs`.
    validation_fraction : float in (0, 1), default=0.1
        Share of the rows held out; small tables hold out up to 50 rows, at most 30 %.
    n_iter_no_change : int, default=5
        Epochs without a held-out loss better by `tol` after which to stop.
    tol : float in [0, 1), default=1e-3
        By what share an epoch must lower the held-out loss to count for `n_iter_no_change`.
    device : str, default="auto"
        "auto" is "cuda" where there is one, else "cpu"; or any torch device.
    memory : str, path, joblib.Memory or None, default=None
        Folder that keeps what was read of images, sounds, video clips and texts, so that the
        candidates of a search do not read it again. It is the `memory` of all modalities that have
        none of their own. Pickles are kept there: let nobody else write to it.
    callbacks : list of skorch callbacks, default=None
        Called at every epoch.
    verbose : int, default=0
        1 shows a bar of epochs, with loss and time left, a line every ten seconds where standard
        error leads to a file, but not in workers of joblib; 2 also in these.
    privacy : Privacy or None, default=None
        Fit with differential privacy for rows: what is learned of them has noise, is given as a
        public fact, or is left out; see `Privacy`. Tables, texts and images can be fitted; networks
        are trained where there are rows enough, and no row is held out.
    warm_start : bool, default=False
        Let `fit` go on from the weights of the last fit, on rows of the same columns.
    random_state : int, RandomState or None, default=None
        An int gives the same bits again on the same machine and versions. No global random state
        is read or changed.

    Attributes
    ----------
    modalities_ : list of (str, Modality, columns)
        Fitted; printed with the detected type of each column, as the explicit list.
    net_ : skorch.NeuralNet
        Its ``module_`` is the torch network.
    history_ : list of dict
        Losses per epoch, in all and per modality, and the time each took.
    n_iter_ : int
        Epochs run with held-out rows (or in all, without early stopping).
    n_components_ : int
        Length of the vector.
    components_ : dict of str to DataFrame of shape (`n_components_`, columns, words or pixels)
        Loadings: what one standard deviation of each component adds, by the linear path.
    explained_deviance_ratio_ : ndarray of shape (`n_components_`,)
        Share of the variance of all modalities that each component explains in the linear start.
    explained_deviance_ : dict of str to float
        Per modality, on the training rows, or 4,096 of them.
    privacy_spent_ : PrivacySpent
        With `privacy`: what the fit has revealed of its rows, by step, and what is taken as public.
        There is then no `explained_deviance_`.
    lags_ : dict of str to float
        With `max_lag`: how much later than the first of them each modality that goes on in time
        comes, in seconds.
    lag_intervals_ : dict of str to (float, float)
        Their 95 % confidence intervals.
    classes_ : ndarray of shape (classes,) or list of them
        Of the target, where it has classes, in the order of `predict_proba`.
    n_features_in_ : int
        Columns seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where they are strings.

    Notes
    -----
    The linear start is a multiple factor analysis [1]_, each modality divided by the variance of
    twice as many components as the vector has; a row with missing values is encoded by the
    regression from what it has. With a target it is a principal covariates regression [5]_.
    Training decodes subsets of the modalities, as in [2]_, in one cycle of learning rates [4]_.

    References
    ----------
    .. [1] Abdi, Williams & Valentin (2013), "Multiple factor analysis: principal component
       analysis for multitable and multiblock data sets", WIREs Computational Statistics 5(2).
    .. [2] Wu & Goodman (2018), "Multimodal generative models for scalable weakly-supervised
       learning", NeurIPS.
    .. [3] Radford et al. (2021), "Learning transferable visual models from natural language
       supervision", ICML.
    .. [4] Smith & Topin (2019), "Super-convergence: very fast training of neural networks using
       large learning rates", SPIE Defense + Commercial Sensing.
    .. [5] de Jong & Kiers (1992), "Principal covariates regression: part I, theory", Chemometrics
       and Intelligent Laboratory Systems 14.
    .. [6] Dobriban & Owen (2019), "Deterministic parallel analysis: an improved method for
       selecting factors and principal components", JRSS B 81(1).

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mmae import MultimodalAutoencoder
    >>> frame = pd.DataFrame({
    ...     "size": [1.0, 2.0, 3.0, None] * 10,
    ...     "colour": ["red", "blue", None, "red"] * 10,
    ... })
    >>> mmae = MultimodalAutoencoder(n_components=2, random_state=0).fit(frame)
    >>> mmae.transform(frame).shape
    (40, 2)
    >>> whole = mmae.impute(frame)
    >>> bool(whole.notna().all(axis=None))
    True

    With a target:

    >>> y = [10.0, 20.0, 30.0, 25.0] * 10
    >>> mmae.set_params(target_weight=1).fit(frame, y).predict(frame).shape
    (40,)
    """

    _parameter_constraints = CONSTRAINTS

    def __init__(
        self,
        modalities: str | Sequence[tuple[str, Modality | str, Any]] = "auto",
        n_components: int | float | str = 32,
        *,
        fusion: str | Fusion | Callable = "joint",
        init: str = "linear",
        rotation: str | None = "varimax",
        modality_weights: dict[str, float] | None = None,
        target_weight: float = 0.0,
        target_cv: Any = None,
        max_lag: float | tuple[float, float] | None = None,
        extra_terms: str | dict[str, float] | None = None,
        modality_dropout: float = 0.5,
        noise: float = 0.3,
        dropout: float = 0.1,
        width: int = 256,
        max_epochs: int = 25,
        max_time: float | None = None,
        batch_size: int | str = "auto",
        lr: float = 0.008,
        optimizer: str | type[torch.optim.Optimizer] = "adamw",
        weight_decay: float = 0.1,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        tol: float = 1e-3,
        device: str | torch.device = "auto",
        memory: Any = None,
        callbacks: list | None = None,
        verbose: int | bool = 0,
        privacy: Privacy | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        set_parameters(self, locals())

    def _build_network(self, model: Model, patterns: torch.Tensor) -> MultimodalNetwork:
        """Build the joint network, weights not yet initialised."""
        k, width = model.built["n_components"], self.width
        networks = [part.modality.network(k, width, self.dropout) for part in model.parts]
        fusion = build_fusion(self.fusion, len(networks), width, k)
        terms = weights_of_terms(self.extra_terms) if len(networks) > 1 else {}
        return MultimodalNetwork(
            networks,
            fusion,
            k,
            patterns,
            self.modality_dropout,
            terms,
            target=build_target(model.target, k, width),
            weights=model.weights_of_loss,
        )
