"""`MultimodalVAE`: the estimator with a distribution per row, its parameters and its network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._core.errors import warn
from .._core.typing import Names, Rows, SameContainer
from ..fusion import Fusion
from ..modalities import Modality
from ..model._draws import (
    OFTEN,
    Drawn,
    check_count,
    densities,
    draw_cells,
    posterior,
    spread,
)
from ..model._model import Model
from ..model._read import Read
from ..objectives import OBJECTIVES, Objective, Penalty
from ..privacy import Privacy
from ..training._batches import Rows as BatchRows
from ..training._build import build_fusion, build_objective, build_target, weights_of_terms
from ..training._inference import information
from ..training._joint import JointNetwork
from ..training._variational import VariationalNetwork
from ._base import BaseMultimodalAutoencoder
from ._parameters import CONSTRAINTS, set_parameters

__all__ = ["MultimodalVAE"]

ENOUGH = 20  # rows to say so
COLLAPSED = 0.01  # nats: a component that says less says nothing


class MultimodalVAE(BaseMultimodalAutoencoder):
    """PCA with probabilities for messy, multimodal rows: a Gaussian per row, and the row back.

    It is as `MultimodalAutoencoder`, over the same modalities, but learns a distribution. You can
    sample rows, condition on some columns, and compute log-densities in nats. Each embedding has a
    posterior: the fewer modalities are observed, the wider it is.

    Training begins at factor analysis, which is what a linear variational autoencoder amounts to.
    Small networks improve on it; held-out rows decide whether they do. The noise of each modality
    is learned, so none needs a weight.

    **Change these first:** `n_components`, `max_epochs` or `max_time`, `noise_scale` ("modality"
    for better reconstructions), `objective`, `random_state`. See :doc:`/choose` and
    :doc:`/distributions`.

    Parameters
    ----------
    modalities : "auto" or list of (str, Modality or "drop", columns), default="auto"
        As in ColumnTransformer; see `MultimodalAutoencoder`.
    n_components : int, float in (0, 1) or "auto", default=32
        Length of the vector, or how to choose it by principal components; see
        `MultimodalAutoencoder`.
    objective : str or Objective, default="mopoe"
        What is maximised: "mopoe", "elbo", "mvae", "mmvae", "mmvae+", "jmvae", "mvtcae", "mmvm",
        or an instance with parameters of its own, such as ``MMVAE(bound="dreg")``, of
        `sklearn_mmae.objectives`.
    beta : float, default=1.0
        Weight of the divergence from the prior; more makes embeddings carry less information.
    free_bits : float, default=0.0
        Nats per component that may diverge from the prior for free.
    noise_scale : {"column", "modality"}, default="column"
        Whether each number of a table has a noise of its own, as in factor analysis, or all of
        a modality the same, as in probabilistic PCA. Images, sounds and the like have one.
    fusion : {"joint", "concat", "precision", "mean", "mixture", "attention"}, Fusion or callable, \
            default="joint"
        How the present modalities correct the linear posterior: mean and log scale side by side.
    init : {"linear", "random"}, default="linear"
        Begin at factor analysis, or at random weights.
    rotation : {"varimax", None}, default="varimax"
        Rotate the components so that each depends on few columns. None keeps those that are
        uncorrelated in the posterior.
    modality_weights : dict of str to float, default=None
    target_weight : float, default=0.0
    target_cv : int, cross-validation splitter, iterable or None, default=None
    max_lag : float, (float, float) or None, default=None
        Estimate and remove lags between modalities that go on in time; see
        `MultimodalAutoencoder`.
    extra_terms : {"agreement", "contrastive"}, dict of str to float, or None, default=None
        Extra losses that align the single-modality embeddings; see `MultimodalAutoencoder`.
    modality_dropout : float in [0, 1), default=0.5
        Probability that a modality is hidden in the random part of a row, for objectives that
        take one.
    noise : float, default=0.1
        Corruption of the encoder's input in training, in standard deviations.
    dropout : float in [0, 1), default=0.1
        Share of hidden units of the encoders dropped in training.
    width : int, default=256
        Hidden units of the networks.
    max_epochs : int, default=100
        The most epochs, over which the learning rate rises and falls once; 0 keeps factor analysis.
        An epoch takes every row once or, of more than 4,096, as many, sampled anew.
    max_time : float or None, default=None
        The most seconds that `fit` may learn for: the learning rate then falls by the clock, and
        what was best so far is kept. Results depend on the machine. None sets no limit.
    batch_size : int or "auto", default="auto"
        Rows per step. "auto": a 16th of the rows, as a power of two between 16 and 256.
    lr : float, default=0.005
        Highest learning rate of the cycle. Where held-out rows find the first epochs the best,
        training begins once more with 0.3 of it.
    optimizer : {"adamw", "adam", "sgd"} or torch optimizer class, default="adamw"
        Fused where torch has it.
    weight_decay : float, default=0.1
        Of the networks; the linear path and the noise scales are never decayed.
    early_stopping : bool, default=True
        Hold rows out, stop when their objective gets no better, and keep the networks only if
        they beat factor analysis there.
    validation_fraction : float in (0, 1), default=0.1
        Share of the rows held out; small tables hold out up to 50 rows, at most 30 %.
    n_iter_no_change : int, default=10
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
        Of `fit`, and of all samples. An int gives the same bits, and samples, again.

    Attributes
    ----------
    information_ : ndarray of shape (`n_components_`,)
        Nats of information of each component on a training row, on average: its divergence from
        the prior. With `privacy`: as the linear model expects of a row that is complete.
    modalities_, net_, history_, n_iter_, n_components_, components_,
    explained_deviance_ratio_, explained_deviance_, classes_, n_features_in_
        See `MultimodalAutoencoder`; the history's "divergence" is that from the prior.
    lags_, lag_intervals_, privacy_spent_, feature_names_in_
        See `MultimodalAutoencoder`.

    Notes
    -----
    Numbers and pixels are Gaussian, with a learned scale [1]_; categories and words have
    probabilities. The posterior given any part of a row is a product of Gaussian experts, exact
    where data are linear and Gaussian, and corrected by networks elsewhere.

    References
    ----------
    .. [1] Rybkin, Daniilidis & Levine (2021), "Simple and effective VAE training with calibrated
       decoders", ICML.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmae import MultimodalVAE, TabularModality
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 6)) + rng.normal(size=(300, 6))
    >>> halves = [("left", TabularModality(), [0, 1, 2]), ("right", TabularModality(), [3, 4, 5])]
    >>> vae = MultimodalVAE(halves, n_components=2, max_epochs=5, random_state=0).fit(X)
    >>> mean, std = vae.posterior(X)
    >>> vae.sample(1000).shape
    (1000, 6)
    >>> right, spread = vae.translate(X, to="right", return_std=True)
    >>> spread.shape
    (300, 3)
    """

    _parameter_constraints = {
        **CONSTRAINTS,
        "objective": [StrOptions(set(OBJECTIVES)), Objective],
        "beta": [Interval(Real, 0, None, closed="left")],
        "free_bits": [Interval(Real, 0, None, closed="left")],
        "noise_scale": [StrOptions({"column", "modality"})],
    }
    OF_NETWORK = ("width", "fusion", "objective", "noise_scale")
    FACTS = ("information",)

    information_: np.ndarray

    def __init__(
        self,
        modalities: str | Sequence[tuple[str, Modality | str, Any]] = "auto",
        n_components: int | float | str = 32,
        *,
        objective: str | Objective = "mopoe",
        beta: float = 1.0,
        free_bits: float = 0.0,
        noise_scale: str = "column",
        fusion: str | Fusion | Callable = "joint",
        init: str = "linear",
        rotation: str | None = "varimax",
        modality_weights: dict[str, float] | None = None,
        target_weight: float = 0.0,
        target_cv: Any = None,
        max_lag: float | tuple[float, float] | None = None,
        extra_terms: str | dict[str, float] | None = None,
        modality_dropout: float = 0.5,
        noise: float = 0.1,
        dropout: float = 0.1,
        width: int = 256,
        max_epochs: int = 100,
        max_time: float | None = None,
        batch_size: int | str = "auto",
        lr: float = 0.005,
        optimizer: str | type[torch.optim.Optimizer] = "adamw",
        weight_decay: float = 0.1,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
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

    def _build_network(self, model: Model, patterns: torch.Tensor) -> VariationalNetwork:
        """Build the joint network, weights not yet initialised."""
        k, width = model.built["n_components"], self.width
        networks = [part.modality.network(k, width, self.dropout) for part in model.parts]
        return VariationalNetwork(
            networks,
            build_fusion(self.fusion, len(networks), width, 2 * k),
            k,
            patterns,
            self.modality_dropout,
            weights_of_terms(self.extra_terms) if len(networks) > 1 else {},
            objective=copy.deepcopy(build_objective(self.objective)),
            penalty=Penalty(float(self.beta), float(self.free_bits)),
            each_column=self.noise_scale == "column",
            target=build_target(model.target, k, width),
            weights=model.weights_of_loss,
        )

    def _look_at(
        self, network: JointNetwork, rows: BatchRows, statistics: Any
    ) -> dict[str, np.ndarray]:
        """Return what the components say, having warned if they say nothing."""
        found = information(network, rows, statistics)
        if len(rows) >= ENOUGH and (found < COLLAPSED).all():
            warn(
                "posterior collapse: no component says anything of a row, so that all vectors are"
                " alike. Lower beta, or give free_bits=0.1; or the columns are independent noise."
            )
        return {"information": found}

    def posterior(self, X: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Return the posterior of each row's embedding: mean and standard deviation.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
            The columns of a modality may be missing altogether.

        Returns
        -------
        mean, std : ndarray of shape (rows, n_components)
            The mean is what `transform` returns; under the prior, mean 0 and deviation 1.
        """
        return posterior(self._model, self._read(X))

    def translate(
        self, X: Rows, to: Names, n_draws: int | None = None, return_std: bool = False
    ) -> SameContainer:
        """Predict modalities from the others, or sample them.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
            Columns of `to` may be missing; if they are there, they are ignored.
        to : str or list of str
            Names of modalities, as in `modalities_`.
        n_draws : int, optional
            Return so many samples, instead of one prediction.
        return_std : bool, default=False
            Return also the spread of the samples.

        Returns
        -------
        translated : DataFrame, array or SliceDict, as given to `fit`; or list of them
            The columns of `to`; a list with `n_draws`.
        std : DataFrame or array
            With `return_std`: standard deviations of numbers, of each number of an array, and of
            dates in days; for other cells the share of samples other than the most frequent one.
        """
        check_is_fitted(self)
        hidden = self._model.chosen(to, "to")
        if n_draws is None and not return_std:
            return super().translate(X, to)
        read = self._read(X, hidden)
        draws = self._draw(read, n_draws, hidden)
        if n_draws is None:
            cells = super().translate(X, to)
        else:
            cells = [self._model.write(columns, read.index) for columns in draws]
        return (cells, spread(self._model, draws, read)) if return_std else cells

    def impute(
        self, X: Rows, n_draws: int | None = None, return_std: bool = False
    ) -> SameContainer:
        """Fill in missing values by predictions, or by samples.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
        n_draws : int, optional
            Return so many samples (multiple imputation), instead of one prediction.
        return_std : bool, default=False
            Return also the spread of the samples; 0 for observed cells.

        Returns
        -------
        imputed : DataFrame, array or SliceDict, as given to `fit`; or list of them
            Observed cells are as they were; a list with `n_draws`.
        std : DataFrame or array
            With `return_std`; see `translate`.
        """
        if n_draws is None and not return_std:
            return super().impute(X)
        read = self._read(X)
        draws = self._draw(read, n_draws)
        if n_draws is None:
            cells = super().impute(X)
        else:
            cells = [self._model.fill(read, columns) for columns in draws]
        return (cells, spread(self._model, draws, read, of_missing=True)) if return_std else cells

    def _draw(
        self, read: Read, n_draws: int | None, wanted: np.ndarray | None = None
    ) -> list[Drawn]:
        """Return sampled columns, as many as asked for or enough for a standard deviation."""
        n_draws = OFTEN if n_draws is None else check_count("n_draws", n_draws)
        return draw_cells(self._model, read, n_draws, self.random_state, wanted)

    def score_samples(
        self,
        X: Rows,
        by_modality: bool = False,
        *,
        given: Names | None = None,
        n_draws: int = 256,
    ) -> Any:
        """Return the log density of each row, in nats, by importance sampling.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
            For a row with missing values it is the density of what is observed.
        by_modality : bool, default=False
            Return a column per modality: its pointwise mutual information with the others, in
            nats, as of `MultimodalAutoencoder`. The lowest of an anomalous row is the modality
            that does not fit. Conditional densities would not say so: a modality of many numbers
            has lower ones than one of few.
        given : str or list of str, optional
            The density of the other modalities, given these.
        n_draws : int, default=256
            Samples per row. The more, the less the density is underestimated; 1 gives the evidence
            lower bound, on average over rows.

        Returns
        -------
        ndarray of shape (rows,) or DataFrame of shape (rows, modalities)
            Of numbers in their own units: a density, so it may be positive. Sounds and video clips
            are measured as the input of the network, words each by its share. NaN where nothing
            is observed.
        """
        check_is_fitted(self)
        n_draws = check_count("n_draws", n_draws)
        if by_modality and given is not None:
            raise ValueError("give either by_modality=True or given=..., not both.")
        model = self._model
        if by_modality:
            return super().score_samples(X, by_modality=True)
        read = self._read(X)
        density = densities(model, read, n_draws)
        if given is not None:
            hidden = ~model.chosen(given, "given")
            density = density - densities(model, self._read(X, hidden), n_draws)
        return np.where(read.present.any(1), density, np.nan)
