"""`MultimodalAutoencoder`: the estimator that joins cells and networks."""

from __future__ import annotations

import copy
import warnings
from numbers import Integral, Real

import numpy as np
import pandas as pd
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _get_feature_names,
    check_is_fitted,
)
from skorch.callbacks import Callback

from . import _frames
from ._composition import resolve
from ._core import archive
from ._core.compat import CallbackSupportMixin, with_callbacks
from ._core.errors import ConvergenceError, DataWarning, did_you_mean, listing, locate
from ._core.random import Generators
from ._core.threads import one_thread
from ._description import describe
from .cells._base import Cells
from .fusion import FUSIONS, CallableFusion, Fusion
from .training._batches import Rows
from .training._fit import Settings, learn, make_net
from .training._net import StopTraining
from .training._network import MultimodalNetwork, list_patterns
from .training._predict import decode, deviances, encode, index_patterns
from .training._progress import Progress

__all__ = ["MultimodalAutoencoder"]

OPTIMIZERS = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
}
LARGEST_NETWORK = 8 * 2**30  # bytes of weights that a fit may ask for
HOLE = {"array": np.nan}


class MultimodalAutoencoder(
    ClassNamePrefixFeaturesOutMixin, CallbackSupportMixin, TransformerMixin, _BaseComposition
):
    """PCA for messy, multimodal rows: a compact vector per row, and the row back.

    Numbers, categories, dates, texts and pictures, with holes anywhere, become ``n_components``
    numbers per row, which turn back into the row. Each modality alone leads to the whole, so that
    one is translated into another and what is missing is filled in.

    Training begins at the joint principal components of all modalities and improves on them with
    small networks; held-out rows decide whether it does, and if not, the result is the linear
    one.

    Parameters
    ----------
    modalities : "auto" or list of (str, Modality or "drop", columns), default="auto"
        As in ColumnTransformer: ``columns`` is a name, a list of names or positions, a slice, a
        mask or a callable such as `make_column_selector`. "auto" looks at the cells: numbers,
        bools, dates, categories and strings of few values become one table, every other column a
        text or a picture; the decision is in `modalities_`, and can be pasted back.
    n_components : int, default=32
        Length of the vector; may be more than there are columns.
    fusion : {"joint", "concat", "precision", "mean"}, Fusion or callable, default="joint"
        How what the present modalities say becomes one vector. An instance of a subclass of
        `Fusion` is copied; a callable ``f(encodings, present)`` pools the encodings (modality,
        row, width) to (..., row, width).
    init : {"linear", "random"}, default="linear"
        Begin at the closed-form linear optimum, or at random weights.
    rotation : {"varimax", None}, default="varimax"
        Turn the axes of the linear start so that each speaks of few columns, which trees and
        people read better; what is explained stays the same. None keeps the principal axes.
    modality_dropout : float in [0, 1), default=0.5
        In every step each row is decoded from all that is present, and again from a part of it in
        which each modality is hidden with this chance. 0 switches the second off.
    noise : float, default=0.2
        Corruption of what the encoder sees in training, in standard deviations (for words: the
        share that is dropped); the target stays clean.
    dropout : float in [0, 1), default=0.1
        Share of hidden units of the encoders dropped in training.
    width : int, default=256
        Hidden units of the networks.
    max_epochs : int, default=100
        The most epochs; 0 keeps the linear start.
    batch_size : int or "auto", default="auto"
        Rows per step. "auto": a 16th of the rows, as a power of two between 16 and 256.
    lr : float, default=2e-3
        Learning rate.
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
    n_iter_no_change : int, default=10
        Epochs without a held-out loss better by `tol` after which to stop.
    tol : float in [0, 1), default=1e-3
        By what share an epoch must lower the held-out loss to count for `n_iter_no_change`.
    device : str, default="auto"
        "auto" is "cuda" where there is one, else "cpu"; or any torch device.
    callbacks : list of skorch callbacks, default=None
        Told of every epoch.
    verbose : int, default=0
        1 shows a progress bar.
    warm_start : bool, default=False
        Let `fit` go on from the weights of the last fit, on rows of the same columns.
    random_state : int, RandomState or None, default=None
        An int gives the same bits again on the same machine and versions. No global random state
        is read or changed.

    Attributes
    ----------
    modalities_ : list of (str, Modality, columns)
        Fitted; readable as the explicit list.
    net_ : skorch.NeuralNet
        Its ``module_`` is the torch network.
    history_ : list of dict
        Losses per epoch, in all and per modality, and the time each took.
    n_iter_ : int
        Epochs run with held-out rows (or in all, without early stopping).
    n_components_ : int
        Length of the vector.
    explained_deviance_ : dict of str to float
        Per modality, on the training rows.
    n_features_in_ : int
        Columns seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where they are strings.

    Notes
    -----
    The linear start is a multiple factor analysis [1]_; a row with holes is encoded by the
    regression from what it has. Training decodes subsets of the modalities, as in [2]_.

    References
    ----------
    .. [1] Abdi, Williams & Valentin (2013), "Multiple factor analysis: principal component
       analysis for multitable and multiblock data sets", WIREs Computational Statistics 5(2).
    .. [2] Wu & Goodman (2018), "Multimodal generative models for scalable weakly-supervised
       learning", NeurIPS.

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
    """

    _parameter_constraints = {
        "modalities": [StrOptions({"auto"}), list, tuple],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "fusion": [StrOptions(set(FUSIONS)), Fusion, callable],
        "init": [StrOptions({"linear", "random"})],
        "rotation": [StrOptions({"varimax"}), None],
        "modality_dropout": [Interval(Real, 0, 1, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "width": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "optimizer": [StrOptions(set(OPTIMIZERS)), type],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, 1, closed="left")],
        "device": [str, torch.device],
        "callbacks": [list, None],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        modalities="auto",
        n_components=32,
        *,
        fusion="joint",
        init="linear",
        rotation="varimax",
        modality_dropout=0.5,
        noise=0.2,
        dropout=0.1,
        width=256,
        max_epochs=100,
        batch_size="auto",
        lr=2e-3,
        optimizer="adamw",
        weight_decay=0.1,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-3,
        device="auto",
        callbacks=None,
        verbose=0,
        warm_start=False,
        random_state=None,
    ):
        self.modalities = modalities
        self.n_components = n_components
        self.fusion = fusion
        self.init = init
        self.rotation = rotation
        self.modality_dropout = modality_dropout
        self.noise = noise
        self.dropout = dropout
        self.width = width
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.device = device
        self.callbacks = callbacks
        self.verbose = verbose
        self.warm_start = warm_start
        self.random_state = random_state

    # Nested parameters, as ColumnTransformer has them ----------------------------------------

    @property
    def _named_modalities(self):
        """The list without its columns, for `get_params` and `set_params`."""
        try:
            named = [(name, modality) for name, modality, _ in self.modalities]
            return [] if any(isinstance(modality, type) for _, modality in named) else named
        except (TypeError, ValueError):  # "auto", or a list that `fit` will refuse
            return []

    @_named_modalities.setter
    def _named_modalities(self, value):
        self.modalities = [
            (name, modality, columns)
            for (name, modality), (_, _, columns) in zip(value, self.modalities, strict=True)
        ]

    def get_params(self, deep=True):
        """Return the parameters, those of the modalities as ``name__parameter``.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        dict
        """
        return self._get_params("_named_modalities", deep=deep)

    def set_params(self, **params):
        """Set parameters, also ``name__parameter`` of a modality, or ``name="drop"``.

        Parameters
        ----------
        **params

        Returns
        -------
        self
        """
        try:
            return self._set_params("_named_modalities", **params)
        except ValueError as error:
            names = [name for name, _ in self._named_modalities]
            known = {*names, *self.get_params(deep=False)}
            given = params.get("modalities", "auto")
            if isinstance(self.modalities, str) and isinstance(given, str):
                hint = (
                    "With modalities='auto' there are no modalities to set yet: fit once and give"
                    " modalities=mmae.modalities_, which lists them."
                )
            elif names and {name.partition("__")[0] for name in params} - known:
                hint = f"The modalities are {listing(map(repr, names))}."
            else:
                raise
            raise ValueError(f"{error} {hint}") from None

    def __sklearn_tags__(self):
        """Say what the estimator takes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    # Learning --------------------------------------------------------------------------------

    @with_callbacks
    def fit(self, X, y=None):
        """Learn the modalities and the networks.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        CellError
            For a cell that cannot be read; it names modality, column, row and remedy.
        ConvergenceError
            If the loss is no longer finite. Whatever raises leaves the estimator as it was.
        KeyboardInterrupt
            After Ctrl-C. An estimator that was not fitted before keeps the best epoch so far.
        """
        self._check_parameters()
        context = None
        if hasattr(self, "_init_callback_context"):
            context = self._init_callback_context(max_subtasks=None)
            context.call_on_fit_task_begin(estimator=self, X=X)
        was_fitted = hasattr(self, "net_")
        previous = self if self.warm_start and was_fitted else None
        fitted, interrupted = self._learn(X, previous, context)
        if interrupted is None or not was_fitted:
            self._commit(fitted)
        if interrupted is not None:
            raise interrupted
        if context is not None:
            context.call_on_fit_task_end(estimator=self, X=X)
        return self

    @one_thread()
    def partial_fit(self, X, y=None):
        """Learn from some rows: the first call begins, later ones add an epoch each.

        Categories, vocabularies and scales are those of the first call. No rows are held out.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self._check_parameters()
        if not hasattr(self, "net_"):
            once = copy.copy(self)
            once.set_params(early_stopping=False, max_epochs=1)
            fitted, interrupted = once._learn(X, None, None)
            if interrupted is not None:
                raise interrupted
            self._commit(fitted)
            return self
        rows, _, _ = self._read_rows(X)
        rows = _to_device(rows, self.net_.module_.patterns.device)
        net, weights = self.net_, self.net_.weights_
        shown, running = weights.copy(), [mean.clone() for mean in weights.averages]
        moments, n_epochs = copy.deepcopy(net.optimizer_.state_dict()), len(net.history_)
        weights.swap()  # what is shown are the means; steps are taken from the weights themselves
        net.notify("on_train_begin", X=rows, y=None)
        try:
            net.fit_loop((rows, None), epochs=1)
        except StopTraining:
            pass  # it is one epoch anyway
        except BaseException:
            weights.set(shown)
            weights.averages = running
            net.optimizer_.load_state_dict(moments)
            del net.history_[n_epochs:]
            net.module_.eval()
            raise
        net.notify("on_train_end", X=rows, y=None)
        weights.swap()
        self.net_.module_.eval()
        self.history_ = self.history_ + _plain_history(self.net_)[-1:]
        self.n_iter_ += 1
        return self

    @one_thread()
    def _learn(self, X, previous, context):
        """Learn everything aside; return the fitted attributes and what interrupted training."""
        frame = _frames.read(X, self)
        fitted = _column_names(X, frame, self)
        if previous is None:
            resolved = resolve(
                self.modalities, frame, X, self.get_params(deep=False).keys()
            )
            if not isinstance(self.modalities, str):
                self._validate_names([name for name, _, _ in resolved])
            read = [
                _located(name, modality.fit_transform, frame.cells(places))
                for name, modality, places in resolved
            ]
            present = np.stack([values.present for values in read], 1)
            _check_anything_present(present, [name for name, _, _ in resolved])
        else:
            resolved = [(n, copy.deepcopy(m), p) for n, m, p in previous._resolved()]
            _, present, read = previous._read_rows(X)
            fitted = {name: getattr(previous, name) for name in fitted}

        random_state = (
            np.random.RandomState()  # not numpy's global one: that is the caller's
            if self.random_state is None
            else check_random_state(self.random_state)
        )
        device = self._find_device()
        generators = Generators.from_state(random_state, device)
        modalities = [modality for _, modality, _ in resolved]
        patterns = list_patterns(torch.as_tensor(present))
        if previous is not None:
            patterns = previous.net_.module_.patterns.cpu()
        network = self._build_network(modalities, patterns)
        if previous is not None:
            network.load_state_dict(previous.net_.module_.state_dict())
        rows = _to_device(_as_rows(read, present, patterns), device)
        n_rows = len(rows)
        batch_size = self.batch_size
        if batch_size == "auto":
            batch_size = int(np.clip(2 ** int(np.log2(max(n_rows / 16, 1))), 16, 256))
        settings = self._settings(device, batch_size, [name for name, _, _ in resolved])
        progress = Progress(self, context, self.max_epochs, bool(self.verbose))
        net, interrupted = learn(
            network, rows, settings, generators, progress, fresh=previous is None
        )
        # Those of this package have watched this fit; a partial_fit tells the user's own.
        net.callbacks_ = [
            (name, callback)
            for name, callback in net.callbacks_
            if not type(callback).__module__.startswith(f"{__package__}.")
        ]
        network.eval()
        host = _to_device(rows, torch.device("cpu"))
        codes = encode(network, host)
        model, null = deviances(network, host, codes, present)
        if not codes.isfinite().all():
            raise ConvergenceError(
                "the vectors of the training rows are not finite: lower lr, or look for outliers."
            )
        explained = _explained(model, null)
        fitted |= {
            "modalities_": [
                (name, modality, _as_columns(frame, places)) for name, modality, places in resolved
            ],
            "net_": net,
            "history_": _plain_history(net),
            "n_iter_": len(net.history_),
            "n_components_": self.n_components,
            "explained_deviance_": {
                name: float(e) for (name, _, _), e in zip(resolved, explained, strict=True)
            },
            "_places": [places for _, _, places in resolved],
            "_container": {
                "kind": frame.kind,
                "names": list(frame.names),
                "schema": frame.schema,
                "blocks": frame.matrix is not None,
                "float64": frame.matrix is not None and frame.matrix.dtype != np.float32,
            },
            "_width": self.width,
            "_fusion": self.fusion,
        }
        return fitted, interrupted

    def _commit(self, fitted):
        """Take over what was learned, and forget what an earlier fit knew."""
        for name in [n for n in vars(self) if n.endswith("_") and not n.startswith("_")]:
            del self.__dict__[name]
        vars(self).update(fitted)

    def _check_parameters(self):
        self._validate_params()
        for name in ("n_components", "width", "max_epochs", "batch_size", "n_iter_no_change"):
            if isinstance(getattr(self, name), bool):
                raise ValueError(
                    f"{name}={getattr(self, name)}: a bool is no number. Give a whole number."
                )
        if not np.isfinite(self.lr):
            raise ValueError(f"lr={self.lr}: give a finite learning rate, such as 0.002.")
        if isinstance(self.optimizer, type) and (
            not issubclass(self.optimizer, torch.optim.Optimizer)
            or self.optimizer is torch.optim.LBFGS
        ):
            raise ValueError(
                f"optimizer={self.optimizer.__name__} cannot be used: it is no"
                " torch.optim.Optimizer that takes groups of weights. Give one, or"
                f" {listing(map(repr, OPTIMIZERS))}."
            )
        for callback in self.callbacks or ():
            if not isinstance(callback[1] if isinstance(callback, tuple) else callback, Callback):
                raise ValueError(
                    f"callbacks holds {callback!r}, which is no skorch callback. Give instances of"
                    " skorch.callbacks.Callback."
                )
        size = 4 * self.n_components * (self.n_components + 4 * self.width)
        if size > LARGEST_NETWORK:
            raise ValueError(
                f"n_components={self.n_components} with width={self.width} would take"
                f" {size / 2**30:.0f} GiB of weights at least. Give smaller ones."
            )

    def _find_device(self):
        name = self.device
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            device = torch.device(name)
            torch.ones(1, device=device).item()  # device "meta" has no numbers
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            there = ["auto", "cpu"] + ["cuda"] * torch.cuda.is_available()
            reason = str(error).splitlines()[0].rstrip(".")
            raise ValueError(
                f"device={self.device!r} cannot be used: {reason}. Give one of {listing(there)}."
            ) from error
        return device

    def _settings(self, device, batch_size, names):
        optimizer = OPTIMIZERS.get(self.optimizer, self.optimizer)
        return Settings(
            n_components=self.n_components,
            init=self.init,
            rotation=self.rotation,
            modality_dropout=self.modality_dropout,
            noise=self.noise,
            max_epochs=self.max_epochs,
            batch_size=batch_size,
            lr=self.lr,
            optimizer=optimizer,
            weight_decay=self.weight_decay,
            early_stopping=self.early_stopping,
            validation_fraction=self.validation_fraction,
            n_iter_no_change=self.n_iter_no_change,
            tol=self.tol,
            device=device,
            names=names,
            callbacks=list(self.callbacks or ()),
        )

    def _build_network(self, modalities, patterns):
        """Build the joint network, weights not yet drawn."""
        k, width = self.n_components, self.width
        networks = [m.network(k, width, self.dropout) for m in modalities]
        if isinstance(self.fusion, str):
            # One modality has nothing to be fused with: its own head is all it takes.
            fusion = FUSIONS[self.fusion if len(networks) > 1 else "mean"]()
        elif isinstance(self.fusion, Fusion):
            fusion = copy.deepcopy(self.fusion)
        else:
            fusion = CallableFusion(self.fusion)
        with torch.random.fork_rng(devices=[], enabled=isinstance(self.fusion, Fusion)):
            fusion.build(len(networks), width, k)
        return MultimodalNetwork(networks, fusion, k, patterns)

    # Using what was learned ------------------------------------------------------------------

    def transform(self, X):
        """Return the vector of each row.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
            The columns of a modality may be missing altogether.

        Returns
        -------
        ndarray or DataFrame of shape (rows, n_components)
            The mean variance of the components is about 1 over the training rows. A row with
            nothing observed gets the average row's vector, with a warning.
        """
        codes, _, _, frame = self._encode(X)
        keeps_double = frame.matrix is not None and frame.matrix.dtype == np.float64
        return codes.numpy().astype(np.float64 if keeps_double else np.float32, copy=False)

    def inverse_transform(self, X):
        """Return the rows of vectors: the same columns and dtypes as in `fit`.

        Parameters
        ----------
        X : array or DataFrame of shape (rows, n_components)

        Returns
        -------
        DataFrame, array or SliceDict, as given to `fit`
        """
        check_is_fitted(self)
        index = X.index if isinstance(X, pd.DataFrame) else None
        codes = check_array(
            X, dtype=np.float32, force_writeable=True, input_name="X", estimator=self
        )
        if codes.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {codes.shape[1]} columns, but the vectors of this estimator have"
                f" {self.n_components_}. Give what transform returns."
            )
        return self._rebuild(self._decode(torch.as_tensor(codes)), index)

    def reconstruct(self, X):
        """Return the rows as they come back: ``inverse_transform(transform(X))``.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)

        Returns
        -------
        DataFrame, array or SliceDict, as given to `fit`
        """
        codes, _, _, frame = self._encode(X)
        return self._rebuild(self._decode(codes), frame.index)

    def translate(self, X, to):
        """Predict modalities from the others.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
            Columns of `to` may be missing; if they are there, they are not looked at.
        to : str or list of str
            Names of modalities, as in `modalities_`.

        Returns
        -------
        DataFrame, array or SliceDict, as given to `fit`
            The columns of `to`.
        """
        check_is_fitted(self)
        names = [name for name, _, _ in self.modalities_]
        targets = list(to) if isinstance(to, list | tuple) else [to]
        for target in targets:
            if target not in names:
                raise ValueError(
                    f"to={target!r} is no modality of this estimator."
                    f"{did_you_mean(target, names)} They are {listing(map(repr, names))}."
                )
        hidden = [name in targets for name in names]
        if not targets or all(hidden):
            raise ValueError(
                f"to={to!r}: name at least one modality, and leave at least one to translate from."
            )
        codes, _, _, frame = self._encode(X, hidden=np.array(hidden))
        return self._rebuild(self._decode(codes, hidden), frame.index)

    def impute(self, X):
        """Fill the holes: cells, modalities of a row, columns that are missing altogether.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)

        Returns
        -------
        DataFrame, array or SliceDict, as given to `fit`
            Observed cells are as they were.
        """
        codes, _, _, frame = self._encode(X)
        decoded = self._decode(codes)
        known = dict(zip(frame.names, range(len(frame.names)), strict=True))
        columns, names = {}, self._container["names"]
        for place, predicted in decoded.items():
            if names[place] not in known:
                columns[place] = predicted
                continue
            columns[place] = _fill(frame.column(known[names[place]]), predicted)
        return self._rebuild(columns, frame.index)

    @one_thread()
    def score(self, X, y=None):
        """Return the share of deviance explained, the mean over modalities.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
        y : None
            Ignored.

        Returns
        -------
        float
            1 is perfect, 0 is the column means of the training rows. For numbers it is the share
            of the variance of standardised columns, as explained by PCA; for categories and
            words the share of their entropy. Only observed cells count.
        """
        codes, rows, present, _ = self._encode(X)
        explained = _explained(*deviances(self.net_.module_, rows, codes, present))
        return float(np.nanmean(explained)) if np.isfinite(explained).any() else float("nan")

    @one_thread()
    def score_samples(self, X, by_modality=False):
        """Say how well each row fits what was learned; low is unusual.

        Parameters
        ----------
        X : DataFrame, array, sparse matrix or SliceDict of shape (rows, columns)
        by_modality : bool, default=False
            Return a column per modality, which says which one is odd.

        Returns
        -------
        ndarray of shape (rows,) or DataFrame of shape (rows, modalities)
            Minus the deviance of the row's reconstruction, 0 is perfect and -1 what the column
            means give an average row; the mean over the modalities present. NaN where nothing is
            observed.
        """
        codes, rows, present, frame = self._encode(X)
        model, _ = deviances(self.net_.module_, rows, codes, present)
        if by_modality:
            names = [name for name, _, _ in self.modalities_]
            return pd.DataFrame(-model, columns=names, index=frame.index)
        total = np.where(present, model, 0).sum(1)
        counts = present.sum(1)
        return np.where(counts, -total / np.maximum(counts, 1), np.nan)

    @property
    def _n_features_out(self):
        return self.n_components_

    def _resolved(self):
        return [
            (name, modality, places)
            for (name, modality, _), places in zip(self.modalities_, self._places, strict=True)
        ]

    @one_thread()
    def _encode(self, X, hidden=None):
        """Return codes, rows, presence and frame of new data."""
        check_is_fitted(self)
        rows, present, frame = self._read_rows(X, with_frame=True)
        network = self.net_.module_
        if hidden is not None:
            present = present & ~hidden
            index, unknown = index_patterns(present, network.patterns.cpu().numpy())
            rows = Rows(rows.values, torch.as_tensor(index))
        empty = np.flatnonzero(~present.any(1))
        if len(empty):
            warnings.warn(
                f"row {listing(empty)}: nothing is observed. The vector of the average row stands"
                " in.",
                DataWarning,
                stacklevel=3,
            )
        _, unknown = index_patterns(present, network.patterns.cpu().numpy())
        codes = encode(network, rows, unknown)
        if not codes.isfinite().all():
            broken = np.flatnonzero(~codes.isfinite().all(1).numpy())
            raise ConvergenceError(
                f"row {listing(broken)}: the vector is not finite. Are its numbers far outside of"
                " those seen in fit?"
            )
        return codes, rows, present, frame

    def _read_rows(self, X, with_frame=False):
        """Read new data with the fitted modalities; absent columns are holes."""
        frame = _frames.read(X, self)
        position = self._check_columns(X, frame)
        read = []
        for name, modality, places in self._resolved():
            at = [position.get(place) for place in places]
            if None in at:
                cells = self._holes(places, frame.n_rows)
            else:
                cells = frame.cells(at)
            read.append(_located(name, modality.transform, cells))
        present = np.stack([values.present for values in read], 1)
        rows = _as_rows(read, present, self.net_.module_.patterns.cpu())
        return rows, present, frame if with_frame else read

    def _holes(self, places, n_rows):
        """Return the cells of columns that are missing altogether."""
        names = [self._container["names"][place] for place in places]
        width = self._container["schema"][places[0]].get("width")
        if self._container["blocks"] or width is not None:
            names = names if width is None else names * width
            block = np.broadcast_to(np.float32(np.nan), (n_rows, len(names)))
            return Cells.of_matrix(names, block)
        hole = np.broadcast_to(np.array(None, object), (n_rows,))
        return Cells(tuple(names), (hole,) * len(names))

    def _check_columns(self, X, frame):
        """Return where each column of `fit` stands now, having checked names and number."""
        if hasattr(self, "feature_names_in_") and frame.kind != "array":
            now = {name: i for i, name in enumerate(frame.names)}
            fitted = self._container["names"]
            whole = all(
                len({fitted[place] in now for place in places}) == 1 for places in self._places
            )
            expected = [name for name in fitted if name in now]
            used = {fitted[place] for places in self._places for place in places}
            if whole and list(frame.names) == expected and used & now.keys():
                return {i: now[name] for i, name in enumerate(fitted) if name in now}
            only_names = pd.DataFrame(columns=pd.Index(frame.names, dtype=object))
            _check_feature_names(self, only_names, reset=False)
        elif frame.kind == "array" and hasattr(self, "feature_names_in_"):
            _check_feature_names(self, X, reset=False)
        _check_n_features(self, np.empty((0, len(frame.names))), reset=False)
        return {i: i for i in range(len(frame.names))}

    @one_thread()
    def _decode(self, codes, wanted=None):
        """Return predicted columns by their positions in `fit`."""
        columns = {}
        for m, (name, modality, places) in enumerate(self._resolved()):
            if wanted is None or wanted[m]:
                outputs = decode(self.net_.module_, codes, m)
                finite = np.isfinite(outputs).reshape(len(outputs), -1).all(1)
                if not finite.all():
                    raise ConvergenceError(
                        f"modality {name!r}, row {listing(np.flatnonzero(~finite))}: what comes"
                        " back is not finite. Is the vector far outside of those that transform"
                        " gives?"
                    )
                predicted = modality.inverse_transform(outputs)
                if "width" in self._container["schema"][places[0]]:
                    predicted = [np.stack(predicted, 1)]
                columns |= dict(zip(places, predicted, strict=True))
        return columns

    def _rebuild(self, columns, index):
        """Return predicted columns in the container of `fit`."""
        container = self._container
        places = sorted(columns)
        return _frames.rebuild(
            container["kind"],
            [container["names"][place] for place in places],
            [columns[place] for place in places],
            [container["schema"][place] for place in places],
            index,
        )

    # Keeping what was learned ----------------------------------------------------------------

    def __getstate__(self):
        """Return plain values and numpy arrays; a pickled net would be code."""
        state = super().__getstate__().copy()
        net = state.pop("net_", None)
        state = {k: v for k, v in state.items() if not k.startswith("_callback")}
        if net is not None:
            state["_weights"] = {
                name: value.detach().cpu().numpy().copy()
                for name, value in net.module_.state_dict().items()
            }
        return state

    def __setstate__(self, state):
        """Rebuild the network from its weights."""
        state = dict(state)
        weights = state.pop("_weights", None)
        super().__setstate__(state)
        if weights is not None:
            self.net_ = self._restore_net(weights)

    def save(self, path):
        """Write the fitted estimator to one file, which `sklearn_mmae.load` reads; no pickle.

        Parameters
        ----------
        path : str or path-like
            An older file of that name stays as it was until the new one is complete.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            For what no file without code can hold: a vectorizer, a callable as fusion.

        Notes
        -----
        Parameters, fitted attributes and weights are kept, but not `device`, `callbacks`,
        `verbose`, a ``RandomState`` and the state of the optimizer.
        """
        check_is_fitted(self)
        archive.write(path, describe(self), kind="MultimodalAutoencoder")

    def _rebuild_network(self, patterns):
        """Build the network of the last fit, weights not yet set."""
        as_fitted = copy.copy(self)
        vars(as_fitted).update(
            n_components=self.n_components_, width=self._width, fusion=self._fusion
        )
        return as_fitted._build_network([m for _, m, _ in self.modalities_], patterns)

    def _restore_net(self, weights):
        tensors = {name: torch.tensor(value) for name, value in weights.items()}
        network = self._rebuild_network(tensors["patterns"])
        network.load_state_dict(tensors)
        try:
            device = self._find_device()
        except ValueError:
            device = torch.device("cpu")  # fitted on a device that this machine lacks
        network.to(device).eval()
        generators = Generators.from_state(np.random.RandomState(0), device)
        batch_size = 64 if self.batch_size == "auto" else self.batch_size
        settings = self._settings(device, batch_size, [name for name, _, _ in self.modalities_])
        settings.callbacks = []
        return make_net(network, settings, generators)


def _check_anything_present(present, names):
    absent = [name for name, there in zip(names, present.any(0), strict=True) if not there]
    if absent:
        raise ValueError(
            f"modality {listing(map(repr, absent))}: no row has anything of it, so nothing can be"
            " learned. Leave it out ('drop'), or give rows that have it."
        )


def _located(name, work, cells):
    with locate(modality=name), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = work(cells)
        except (TypeError, ValueError) as error:
            if type(error) not in (TypeError, ValueError, InvalidParameterError):
                raise  # a CellError is told by `locate`; others may need more than a message
            raise type(error)(f"modality {name!r}: {error}") from error
    for warning in caught:
        text = str(warning.message)
        if issubclass(warning.category, DataWarning):
            text = f"modality {name!r}, {text}"
        warnings.warn(text, warning.category, stacklevel=5)
    return result


def _as_rows(read, present, patterns):
    """Return values as `Rows`; unknown patterns are numbered after the known ones."""
    index, _ = index_patterns(present, patterns.numpy())
    values = [
        {key: torch.from_numpy(np.ascontiguousarray(v) if not v.size else v) for key, v in
         part.tensors.items()}
        for part in read
    ]
    return Rows(values, torch.from_numpy(index))


def _to_device(rows, device):
    if rows.pattern.device == device:
        return rows
    return Rows(
        [{k: v.to(device) for k, v in tensors.items()} for tensors in rows.values],
        rows.pattern.to(device),
    )


def _as_columns(frame, places):
    names = [frame.names[place] for place in places]
    return names if frame.kind != "array" else list(places)


def _column_names(X, frame, estimator):
    """Return the fitted attributes that scikit-learn has for columns."""
    fitted = {"n_features_in_": len(frame.names)}
    if frame.kind == "pandas":
        names = _get_feature_names(X)  # refuses names of mixed types
        if names is not None:
            fitted["feature_names_in_"] = names
    elif frame.kind != "array":
        fitted["feature_names_in_"] = np.array(frame.names, dtype=object)
    return fitted


def _explained(model, null):
    """Return one minus the ratio of summed deviances, per modality."""
    model, null = np.nansum(model, 0), np.nansum(null, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(null > 0, 1 - model / null, np.where(model > 0, 0.0, np.nan))


def _plain_history(net):
    return [
        {k: v for k, v in epoch.items() if k != "batches"} for epoch in net.history_.to_list()
    ]


def _fill(given, predicted):
    """Return a column with its holes filled by predictions."""
    if given.ndim == 2 and given.dtype.kind == "f":  # a block of numbers
        return np.where(np.isnan(given), predicted, given)
    there = _frames.observed(given)
    if there.all():
        return given
    if given.dtype.kind == "O" or given.ndim > 1:
        filled = np.empty(len(given), object)
        for i, (cell, known) in enumerate(zip(given, there, strict=True)):
            filled[i] = cell if known else predicted[i]
        return filled
    return np.where(there, given, predicted).astype(given.dtype)
