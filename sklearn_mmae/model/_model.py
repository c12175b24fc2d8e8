"""`Model`: what a fit has learned, and its four answers: read, encode, decode, write."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch

from .._core.errors import ConvergenceError, check_names, listing, warn
from .._core.later import Later
from .._core.plain import LARGEST, check, fields
from .._core.threads import one_thread
from .._core.values import are_floats, is_positive, is_whole
from ..privacy import PrivacySpent
from ..statistics import PLAIN, Statistics
from ..statistics._questions import Sums
from ..tables import Cells, Columns, Table, read
from ..tables._cells import Column
from ..training._batches import Rows
from ..training._build import NAMED, named_from_plain, named_to_plain
from ..training._density import Density
from ..training._groups import Groups
from ..training._patterns import index_patterns
from ..training._predict import agreements, decode, decode_average, deviances, encode
from ..training._translation import Translation, translation
from ._gathered import Gathered
from ._history import history_from_plain, history_to_plain
from ._lags import Lags
from ._parts import Part, parts_from_plain
from ._read import Read, as_rows, match_columns, presence
from ._target import Target

__all__ = ["NOTHING", "Model", "check_finite"]

NOTHING: Later[Any] = Later.known(None)


@dataclass
class Model:
    """What a fit has learned.

    Attributes
    ----------
    columns : Columns
        Of the training rows: names, container, dtypes.
    parts : list of Part
        The fitted modalities.
    built : dict
        Parameters that the network was built of, which may have been set anew since.
    lags : Lags or None
    target : Target or None
    weights_of_loss : list of float
        How much the loss of each modality counts, and last that of a target.
    net : skorch.NeuralNet or None
        None while it is being restored.
    history : list of dict
        Losses per epoch.
    n_iter : int
    explained : dict of str to float
        Deviance explained of each modality, on the training rows; of none with privacy.
    calibration : Later of dict of str to Groups, or None
        Of the tables; None where no rows were held out.
    density : Later of Density or None
        Of embeddings; None of too few rows, and after `add_epoch`.
    facts : dict of str to ndarray
        Fitted attributes of one kind of estimator alone.
    privacy : PrivacySpent or None
        Of a private fit: what it has revealed of its rows.
    cells : Cells or None
        What is known of single cells of the tables, if there are any; see `learn_cells`.
    gathered : Gathered or None
        Of a model that `partial_fit` began: the rows it goes by. No file has them.
    """

    columns: Columns
    parts: list[Part]
    built: dict[str, Any]
    lags: Lags | None = None
    target: Target | None = None
    weights_of_loss: list[float] = field(default_factory=list)
    net: Any = None
    history: list[dict] = field(default_factory=list)
    n_iter: int = 0
    explained: dict[str, float] = field(default_factory=dict)
    calibration: Later[dict[str, Groups] | None] = NOTHING
    density: Later[Density | None] = NOTHING
    facts: dict[str, np.ndarray] = field(default_factory=dict)
    privacy: PrivacySpent | None = None
    cells: Any = None
    gathered: Gathered | None = None

    @property
    def network(self) -> torch.nn.Module:
        """The torch network."""
        return self.net.module_

    @property
    def names(self) -> list[str]:
        """The names of the modalities."""
        return [part.name for part in self.parts]

    @property
    def feature_names(self) -> list[str] | None:
        """The names of all columns, where they are strings."""
        names = self.columns.names
        named = self.columns.kind != "array" and all(isinstance(name, str) for name in names)
        return names if named else None

    def chosen(self, given: str | list[str], parameter: str) -> np.ndarray:
        """Return which modalities are named, (modalities,) bool: some of them, and not all."""
        known = {part.name: part.columns for part in self.parts}
        wanted = check_names(given, known, parameter, "modality of this estimator")
        chosen = np.array([name in wanted for name in self.names])
        if not chosen.any() or chosen.all():
            raise ValueError(
                f"{parameter}={given!r}: name at least one modality, and leave at least one, of"
                f" {listing(map(repr, self.names))}."
            )
        return chosen

    # Rows to codes, and back -----------------------------------------------------------------

    def read(
        self, X: Any, estimator: Any, hidden: np.ndarray | None = None, *, quiet: bool = False
    ) -> Read:
        """Read new rows; absent columns are missing values.

        Parameters
        ----------
        X : container of rows
        estimator : estimator
            Named in scikit-learn's own messages.
        hidden : ndarray of shape (modalities,), bool, optional
            Modalities not to be looked at.
        quiet : bool, default=False
            Whether rows in which nothing is observed go without a warning.

        Returns
        -------
        Read
        """
        table, at, values = self.values(X, estimator)
        present = presence(values)
        if hidden is not None:
            present = present & ~hidden
        empty = np.flatnonzero(~present.any(1))
        if len(empty) and not quiet:
            warn(
                f"row {listing(empty)}: nothing is observed. The vector of the average row stands"
                " in."
            )
        index, unknown = index_patterns(present, self.network.patterns.cpu().numpy())
        return Read(table, at, as_rows(values, index), present, unknown)

    def values(self, X: Any, estimator: Any) -> tuple:
        """Return the table, where columns stand in it, and what each modality makes of it."""
        table = read(X, estimator)
        at = self._match(X, table, estimator)
        values = [part.read(self._cells(part.places, table, at)) for part in self.parts]
        return table, at, values

    def check(self, X: Any, estimator: Any) -> None:
        """Refuse rows of other columns than those of `fit`."""
        self._match(X, read(X, estimator), estimator)

    def _match(self, X: Any, table: Table, estimator: Any) -> dict[int, int]:
        only_numbers = all(part.is_table and not part.sizes for part in self.network.networks)
        return match_columns(X, table, self.columns, self.parts, only_numbers, estimator)

    def _cells(self, places, table, at):
        """Return the cells of a modality; columns that are absent hold missing values."""
        if not any(place in at for place in places):
            return self.columns.holes(places, table.n_rows)
        if all(place in at for place in places):
            return table.cells([at[place] for place in places])
        names = [self.columns.names[place] for place in places]
        hole = Column(np.full(table.n_rows, None, object))
        return Cells.of_columns(names, [table.column(at[p]) if p in at else hole for p in places])

    @one_thread()
    def encode(self, read: Read) -> torch.Tensor:
        """Return the embeddings of rows, (rows, components)."""
        codes = encode(self.network, read.rows, read.unknown)
        check_finite(codes.isfinite().all(1).numpy(), "the vector")
        return codes

    @one_thread()
    def decode(
        self,
        codes: torch.Tensor,
        wanted: np.ndarray | None = None,
        rows: Rows | None = None,
        seed: int | None = None,
        read: Read | None = None,
        seen: tuple[np.ndarray, np.ndarray] | None = None,
        better: dict[int, np.ndarray] | None = None,
    ) -> dict[int, np.ndarray]:
        """Return predicted columns by their positions in `fit`.

        Parameters
        ----------
        codes : Tensor of shape (rows, components)
        wanted : ndarray of shape (modalities,), bool, optional
            All of them by default.
        rows : Rows, optional
            Those that the embeddings are of, for reconstructions as long as their rows.
        seed : int, optional
            Draw cells instead of predicting them.
        read : Read, optional
            Those that the embeddings are of, so that what is absent is predicted beside them, too.
        seen : tuple of ndarray, optional
            Which modalities are present in the rows that are sampled, and the bins of their missing
            values.
        better : dict of int to ndarray of shape (rows, outputs), optional
            Outputs of some modalities that are to stand for the network's, NaN elsewhere.
        """
        columns = {}
        for m, part in enumerate(self.parts):
            if wanted is not None and not wanted[m]:
                continue
            beside = None if read is None else self.beside(read, m)
            scales = self._log_scales(seed, m, seen)
            outputs = decode(self.network, codes, m, _seed_of(seed, m), beside, scales)
            if better is not None and m in better:
                outputs = np.where(np.isnan(better[m]), outputs, better[m])
            finite = np.isfinite(outputs).reshape(len(outputs), -1).all(1)
            if not finite.all():
                raise ConvergenceError(
                    f"modality {part.name!r}, row {listing(np.flatnonzero(~finite))}: what comes"
                    " back is not finite. Is the vector far outside of those that transform gives?"
                )
            if rows is not None:
                tensors = {
                    key: values.numpy()
                    for key, values in rows.values[m].items()
                    if isinstance(values, torch.Tensor)
                }
                outputs = part.modality.with_length_of(outputs, tensors)
            columns |= self.columns.place(part.places, part.write(outputs))
        return columns

    def beside(self, read: Read, m: int) -> Translation | None:
        """Return what is predicted of a modality beside the embeddings of rows that lack it."""
        return translation(self.network, read.rows, read.present, m)

    def _log_scales(self, seed, m, seen):
        """Return the noise of a modality that is sampled from."""
        if seed is None:
            return None
        if self.network.has_prior:
            return self.network.noise_scales(m)
        density = self.density()
        noise = density.noise[m][0] if seen is None else density.noise_of(m, *seen)
        return torch.as_tensor(noise, device=self.network.scale.device)

    def write(self, columns: dict[int, np.ndarray], index: pd.Index | None = None) -> Any:
        """Return columns, by their positions in `fit`, in the container of `fit`."""
        return self.columns.write(columns, index)

    @one_thread()
    def write_average(self) -> None:
        """Write the average row, which fails where what a file says does not go together."""
        columns = {}
        for m, part in enumerate(self.parts):
            outputs = decode_average(self.network, m)
            written = part.write(part.modality.shortest(outputs))
            columns |= self.columns.place(part.places, written)
        self.write(columns)

    def fill(self, read: Read, predicted: dict[int, np.ndarray]) -> Any:
        """Return rows whose missing cells are predicted ones; observed cells are as they were."""
        return self.columns.fill(read.table, read.at, predicted)

    @one_thread()
    def target_outputs(self, codes: torch.Tensor) -> np.ndarray:
        """Return what embeddings tell of the target, as `Target` writes it out."""
        return decode(self.network, codes, len(self.parts))

    # How well rows come back -----------------------------------------------------------------

    @one_thread()
    def deviances(self, read: Read, codes: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return the deviances of embeddings and of the best constant, (rows, modalities)."""
        found = deviances(self.network, read.rows, codes, read.present)
        self._check_finite(found[0], read.present)
        return found

    @one_thread()
    def agreements(self, read: Read) -> np.ndarray:
        """Return how far the others of a row speak for each modality, (rows, modalities) nats."""
        if len(self.parts) == 1:
            return np.where(read.present, 0.0, np.nan)
        found = agreements(self.network, read.rows, read.present)
        self._check_finite(found, read.present)
        return found

    def _check_finite(self, found: np.ndarray, present: np.ndarray) -> None:
        """Refuse numbers of rows, (rows, modalities), not finite where the modality is present."""
        for m, part in enumerate(self.parts):
            finite = np.isfinite(found[:, m]) | ~present[:, m]
            check_finite(finite, f"the score of modality {part.name!r}")

    def explained_deviance(
        self, read: Read, codes: torch.Tensor, statistics: Statistics = PLAIN
    ) -> dict[str, float]:
        """Return one minus the ratio of summed deviances; NaN where nothing is observed."""
        return self.share_explained(*self.summed_deviances(read, codes, statistics))

    def summed_deviances(
        self, read: Read, codes: torch.Tensor, statistics: Statistics = PLAIN
    ) -> list[np.ndarray]:
        """Return the deviances of rows and those of the means, summed, (modalities,) each."""
        return [
            statistics.ask(name, Sums(), np.where(np.isnan(deviance), 0, deviance))
            for name, deviance in zip(
                ("deviance", "deviance of the means"), self.deviances(read, codes), strict=True
            )
        ]

    def share_explained(self, model: np.ndarray, null: np.ndarray) -> dict[str, float]:
        """Return one minus the ratio of summed deviances, by the names of the modalities."""
        with np.errstate(invalid="ignore", divide="ignore"):
            explained = np.where(null > 0, 1 - model / null, np.where(model > 0, 0.0, np.nan))
        return dict(zip(self.names, explained.tolist(), strict=True))

    # Keeping it ------------------------------------------------------------------------------

    def __getstate__(self) -> dict:
        """Return plain values and arrays; a pickled net would be code."""
        return {**vars(self), "net": None}

    def weights(self) -> dict[str, np.ndarray]:
        """Return a copy of the network's weights."""
        state = self.network.state_dict()
        return {name: value.detach().cpu().numpy().copy() for name, value in state.items()}

    def to_plain(self) -> dict:
        """Return everything but the weights as plain values."""
        return {
            "modalities": [part.to_plain() for part in self.parts],
            "places": [part.places for part in self.parts],
            "container": self.columns.to_plain(),
            "lags": [] if self.lags is None else self.lags.to_plain(),
            "target": self.target and self.target.to_plain(),
            "weights_of_loss": self.weights_of_loss,
            "history": history_to_plain(self.history),
            "n_iter": self.n_iter,
            "n_components": self.built["n_components"],
            "built": {
                name: named_to_plain(name, value)
                for name, value in self.built.items()
                if name != "n_components"
            },
            "explained_deviance": self.explained,
            "privacy": self.privacy and self.privacy.to_plain(),
            "n_features_in": len(self.columns.names),
            "feature_names_in": self.feature_names,
            **self.facts,
        }

    @classmethod
    def from_plain(
        cls,
        node: Any,
        classes: dict[str, type],
        of_network: tuple[str, ...],
        facts: tuple[str, ...],
    ) -> Model:
        """Return the model that `to_plain` gave, without its network; everything is checked.

        Parameters
        ----------
        node : dict
            Of a file, which may come from anyone.
        classes : dict of str to class
            Those that the file may name.
        of_network, facts : tuple of str
            Names of the parameters that the network is built of, and of `facts`.
        """
        values = dict(zip(_KEPT + facts, fields(node, *_KEPT, *facts), strict=True))
        for name, least in (("n_iter", 0), ("n_components", 1), ("n_features_in", 1)):
            number = values[name]
            check(is_whole(number) and number >= least, f"{number!r} is no proper count")
        columns = Columns.from_plain(values["container"])
        check(len(columns.names) == values["n_features_in"], "the names of its columns")
        built = _built(values["built"], values["n_components"], of_network, classes)
        parts = parts_from_plain(values["modalities"], values["places"], columns, classes)
        model = cls(columns, parts, built)
        check(values["feature_names_in"] == model.feature_names, "the names of its columns")
        if values["lags"]:
            model.keep_lags(Lags.from_plain(values["lags"], model.parts))
        if values["target"] is not None:
            model.target = Target.from_plain(values["target"], classes)
        model.weights_of_loss = weights = values["weights_of_loss"]
        n_decoded = len(model.parts) + (model.target is not None)
        whole = isinstance(weights, list) and len(weights) == n_decoded
        check(whole and all(map(is_positive, weights)), "the weights of its losses")
        model.history, model.n_iter = history_from_plain(values["history"]), values["n_iter"]
        model.explained = values["explained_deviance"]
        spent = values["privacy"]
        model.privacy = spent and PrivacySpent.from_plain(spent)
        explained = [] if spent else model.names
        floats = isinstance(model.explained, dict) and list(model.explained) == explained
        floats = floats and all(type(share) is float for share in model.explained.values())
        check(floats, "its explained deviance")
        for name in facts:
            check(are_floats(values[name], values["n_components"]), name)
            model.facts[name] = values[name]
        return model

    def keep_lags(self, lags: Lags) -> None:
        """Let every row begin with the latest of the modalities that go on in time."""
        self.lags = lags
        for part in self.parts:
            part.n_skipped = lags.n_skipped(part.name, part.modality)

    def calibrated(self, node: Any) -> dict[str, Groups] | None:
        """Return what a file says of the residuals of the tables, checked."""
        if node is None:
            return None
        tables_ = [
            (part.name, network)
            for part, network in zip(self.parts, self.network.networks, strict=True)
            if network.is_table
        ]
        whole = isinstance(node, dict) and node.keys() == {name for name, _ in tables_}
        check(whole, "its calibration")
        return {
            name: Groups.from_plain(node[name], len(self.parts), part) for name, part in tables_
        }

    def with_density(self, node: Any) -> Density | None:
        """Return what a file says of the density of embeddings, checked."""
        if node is None:
            return None
        return Density.from_plain(node, len(self.network.scale), self.network.networks)


def _seed_of(seed, m):
    return None if seed is None else int(np.random.RandomState([seed, m]).randint(2**31))


def check_finite(finite: np.ndarray, what: str) -> None:
    """Refuse rows, (rows,) bool, of which something is not finite."""
    if not finite.all():
        raise ConvergenceError(
            f"row {listing(np.flatnonzero(~finite))}: {what} is not finite. Are its numbers far"
            " outside of those seen in fit?"
        )


_KEPT = (
    *("modalities", "places", "container", "lags", "target", "weights_of_loss", "history"),
    *("n_iter", "n_components", "built", "explained_deviance", "privacy"),
    *("n_features_in", "feature_names_in"),
)


def _built(node, n_components, of_network, classes):
    """Return what the network was built of, which the parameters may no longer say."""
    built = dict(zip(of_network, fields(node, *of_network), strict=True))
    check(is_whole(built["width"]) and 1 <= built["width"] <= LARGEST, "its width")
    check(n_components <= LARGEST, "its network is too large")
    parts = {
        name: named_from_plain(name, node, classes) for name, node in built.items() if name in NAMED
    }
    return {**built, **parts, "n_components": n_components}
