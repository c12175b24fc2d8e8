"""`DelayAligner`: finds and undoes the lags between streams."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from .._core.errors import check_names, listing, locate, warn
from .._core.parameters import validate_parameters
from .._core.typing import Array, Rows, SameContainer
from ..tables._table import replace
from ._drift import find_drift
from ._lag import find_lag
from ._range import LagRange
from ._rows import find_row_lags
from ._shift import read_at, reading_times, undoing_times
from ._table import (
    check_lengths,
    positions,
    read,
    stream_rows,
    usable_pairs,
    varies,
)

__all__ = ["DelayAligner"]

MOST_STEPS = 1000  # of the default `max_lag`


class DelayAligner(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Estimate the lags between streams, with confidence intervals, and remove them.

    Streams are columns of a table whose rows are in time order, or columns whose cells are
    sequences (steps, channels), one per row. The lag of each stream against the reference is
    estimated by maximum likelihood: by the generalised cross-correlation of Knapp and Carter
    (1976) [1]_ where both are of one kind. Where they are not (sound and film), it is estimated by
    the canonical coherence of several features of both in each band of frequencies (Brillinger
    1981 [2]_).

    Lags are learned in `fit` only. `transform` reads rows of its own X only, and by default each
    row is made of this row and earlier ones, so the future cannot leak into it.

    Parameters
    ----------
    streams : list of (name, columns), default=None
        Columns by name, list of names, position, list of positions or slice. None: each column
        is a stream of its name ("x0", "x1", ... in arrays). Other columns stay as they are.
    reference : str, default=None
        The stream that the others are compared with, of lag 0. None: the first.
    max_lag : float or (float, float), default=None
        The largest lag searched, either way: in rows (steps of a sequence), or in seconds with
        `sampling_rate`. A pair is the lowest and the highest: (0, 2.0) says that each stream comes
        later than the reference, by 2 at most. Streams that agree best at an end of it get a
        warning and no lag. None: a tenth of the shortest sequence, 1,000 rows at most.
    method : {"auto", "correlation", "features"}, default="auto"
        "correlation": the streams are alike, channel by channel, with one sign. "features":
        they differ, and are related by the best mixture of channels and of their changes.
        "auto": whichever explains more for each number that it estimates.
    drift : bool, default=False
        Whether lags change linearly in time, as those of two clocks do.
    per_row : bool, default=False
        Whether each row of sequences has its own lag. The relation of the streams is
        still learned from all rows of `fit`. Not together with `drift`.
    sampling_rate : float, default=None
        Rows (steps) per second. None: lags are in rows.
    causal : bool, default=True
        Whether the early streams are delayed until the latest, rather than the late ones
        advanced. If True, no row holds anything of later rows; the first rows of the early
        streams are NaN, and the table as a whole is late by the largest lag. If False, the
        reference stays where it is, a late stream is read ahead, and its last rows are NaN.
    level : float, default=0.95
        Confidence level of the intervals.

    Attributes
    ----------
    lags_ : dict of str to float
        Lag of each stream, positive where it comes later than the reference; 0, or what is allowed
        next to 0, where the data do not say otherwise. At the first row if `drift`; an array
        (rows,) if `per_row`.
    lag_intervals_ : dict of str to tuple (low, high)
        Confidence intervals; the whole range of `max_lag` where the streams are not related.
        None if `per_row`: a row is too short for an interval.
    drifts_ : dict of str to float
        Change of the lag per row, or per second; 0 unless `drift`.
    drift_intervals_ : dict of str to tuple (low, high)
    max_lag_ : float or (float, float)
        The largest lag that was searched, or the lowest and the highest, as in `max_lag`.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    Notes
    -----
    A time-dependent split (`TimeSeriesSplit`) stays one: in a Pipeline the lags are those of the
    training rows, and the rows of a test fold are made of rows of that fold; its first rows are
    NaN, since what they would need lies in the fold before. With ``causal=False`` a row holds
    later rows of the same X: right for studying the past, wrong for forecasting.

    The lag is that of the whole waveforms. Where one stream is no delayed copy of the other, but
    of another shape (a pulse and a heart beat), "the" lag depends on what is compared: give what
    you mean, such as the derivative for the steepest rise.

    References
    ----------
    .. [1] C. H. Knapp and G. C. Carter (1976). The generalized correlation method for estimation
       of time delay. IEEE Trans. Acoustics, Speech and Signal Processing 24, 320-327.
    .. [2] D. R. Brillinger (1981). Time Series: Data Analysis and Theory, chapter 10.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sklearn_mmae import DelayAligner
    >>> rng = np.random.default_rng(0)
    >>> wave = np.convolve(rng.normal(size=1012), np.ones(8), mode="same")
    >>> X = pd.DataFrame({"early": wave[12:], "late": wave[:-12]})
    >>> X += rng.normal(size=X.shape)
    >>> aligner = DelayAligner(max_lag=50).fit(X)
    >>> round(aligner.lags_["late"])
    12
    >>> low, high = aligner.lag_intervals_["late"]
    >>> bool(low < 12 < high)
    True
    >>> float(aligner.transform(X).corr().iloc[0, 1].round(1))
    0.9
    """

    _parameter_constraints = {
        "streams": [list, tuple, None],
        "reference": [str, None],
        "max_lag": [Interval(Real, 0, None, closed="neither"), tuple, list, None],
        "method": [StrOptions({"auto", "correlation", "features"})],
        "drift": ["boolean"],
        "per_row": ["boolean"],
        "sampling_rate": [Interval(Real, 0, None, closed="neither"), None],
        "causal": ["boolean"],
        "level": [Interval(Real, 0, 1, closed="neither")],
    }

    lags_: dict[str, Any]  # float, or with `per_row` arrays
    lag_intervals_: dict[str, tuple[float, float] | None]
    drifts_: dict[str, float]
    drift_intervals_: dict[str, tuple[float, float]]
    max_lag_: float | tuple[float, float]
    n_features_in_: int
    feature_names_in_: Array

    def __init__(
        self,
        streams: Sequence[tuple[str, Any]] | None = None,
        *,
        reference: str | None = None,
        max_lag: float | tuple[float, float] | None = None,
        method: str = "auto",
        drift: bool = False,
        per_row: bool = False,
        sampling_rate: float | None = None,
        causal: bool = True,
        level: float = 0.95,
    ) -> None:
        self.streams = streams
        self.reference = reference
        self.max_lag = max_lag
        self.method = method
        self.drift = drift
        self.per_row = per_row
        self.sampling_rate = sampling_rate
        self.causal = causal
        self.level = level

    def __sklearn_tags__(self) -> Tags:
        """Say what the estimator takes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def fit(self, X: Rows, y: object = None) -> Self:
        """Estimate the lags.

        Parameters
        ----------
        X : DataFrame or array of shape (n_rows, n_columns)
            Numbers in time order, or sequences in cells; NaN and None are missing values.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For unknown streams, fewer than two, and rows too few for `max_lag`.
        CellError
            For cells that are no numbers, and sequences of unequal lengths in a row.
        """
        validate_parameters(self)
        if self.drift and self.per_row:
            raise ValueError("drift=True and per_row=True: a lag is one or the other. Drop one.")
        X, table = self._read(X, reset=True)
        streams = self._streams(table)
        sequences = self._kind(table, streams)
        rows = {name: stream_rows(table, columns, sequences) for name, columns in streams.items()}
        allowed = self._allowed(rows, sequences)
        reference = next(iter(streams)) if self.reference is None else self.reference
        found = {
            name: self._find(rows[reference], rows[name], allowed, name, reference)
            for name in streams
            if name != reference
        }
        self._commit(streams, reference, sequences, allowed, found, table.n_rows)
        return self

    def transform(self, X: Rows) -> SameContainer:
        """Remove the lags.

        Parameters
        ----------
        X : DataFrame or array of shape (n_rows, n_columns)

        Returns
        -------
        DataFrame or array of shape (n_rows, n_columns)
            Of the container of X, with its index. Values between rows are interpolated linearly;
            rows for which nothing is left to read are NaN, in columns of whole numbers as floats.
        """
        return self._moved(X, back=False)

    def inverse_transform(self, X: Rows) -> SameContainer:
        """Put the lags back.

        Parameters
        ----------
        X : DataFrame or array of shape (n_rows, n_columns)
            As `transform` returned it.

        Returns
        -------
        DataFrame or array of shape (n_rows, n_columns)
            The streams as they were, but for rows that `transform` left out.

        Raises
        ------
        ValueError
            If `per_row`: from aligned rows their own lags cannot be estimated.
        """
        check_is_fitted(self)
        if self.relations_:
            raise ValueError(
                "with per_row=True the lag of a row cannot be found from the aligned row. Keep the"
                " rows as they were beside the aligned ones."
            )
        return self._moved(X, back=True)

    # Reading ---------------------------------------------------------------------------------

    def _read(self, X, *, reset):
        if hasattr(X, "columns") and hasattr(X, "dtypes"):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if not len(X):
                raise ValueError("Found array with 0 sample(s): a minimum of 1 is required.")
            if not hasattr(self, "feature_names_in_"):
                X = np.asarray(X)  # as in fit
        else:
            X = validate_data(
                self, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan"
            )
        return X, read(X)

    def _streams(self, table):
        """Return the positions of each stream's columns by its name."""
        if self.streams is None:
            streams = {name: [i] for i, name in enumerate(table.names)}
        else:
            streams = {name: positions(c, table.names, name) for name, c in self.streams}
            if len(streams) < len(self.streams):
                raise ValueError("two streams have one name. Give each a name of its own.")
        if self.reference is not None:
            check_names(self.reference, streams, "reference", "stream")
        if len(streams) < 2:
            raise ValueError(
                f"{len(streams)} stream has nothing to lag behind (n_features={len(table.names)},"
                f" X has {len(table.names)} feature(s)). Give two streams or more."
            )
        return streams

    def _kind(self, table, streams):
        """Return whether the cells are sequences; they all are, or none."""
        kinds = {
            table.names[i]: table.is_sequences(i) for columns in streams.values() for i in columns
        }
        if len(set(kinds.values())) > 1:
            cells = [name for name, kind in kinds.items() if kind]
            raise ValueError(
                f"columns {listing(cells)} hold sequences, the others numbers. Give streams of one"
                " kind, and leave the others out of `streams`."
            )
        sequences = all(kinds.values())
        if self.per_row and not sequences:
            raise ValueError("per_row=True is for cells that are sequences. Leave it out.")
        return sequences

    def _allowed(self, rows, sequences):
        """Return the lags looked for, in steps, having seen to it that rows are longer."""
        lengths = [len(row) for stream in rows.values() for row in stream if row is not None]
        if not lengths:
            raise ValueError("every cell of every stream is missing. Give at least one row.")
        if self.max_lag is None:
            allowed = LagRange.of(min(max(min(lengths) // 10, 1), MOST_STEPS))
        else:
            allowed = LagRange.of(self.max_lag, step=1 / (self.sampling_rate or 1))
        if allowed.high - allowed.low < 1:
            raise ValueError(
                f"max_lag={self.max_lag!r} allows for less than one row (step of a sequence)."
                " Give a wider range; with `sampling_rate` it is in seconds."
            )
        if max(lengths) <= allowed.most + 1:
            what = (
                f"a sequence has {max(lengths)} steps"
                if sequences
                else f"X has {max(lengths)} sample(s)"
            )
            raise ValueError(
                f"{what} at most: too few to find a lag of up to {allowed.most}. Give a smaller"
                " max_lag, or more rows than n_samples = 1."
            )
        return allowed

    # Learning --------------------------------------------------------------------------------

    def _find(self, reference, stream, allowed, name, reference_name):
        """Return what was found for one stream: a Lag, a Drift, or lags of rows and a relation."""
        with locate(column=name):
            pairs, used = usable_pairs(reference, stream, allowed.most, name)
        options = {"method": self.method, "level": self.level}
        for rows, which in ((0, reference_name), (1, name)):
            if not any(varies(pair[rows]) for pair in pairs):
                warn(
                    f"stream {which!r} does not vary: its lag cannot be found and is taken for 0."
                    " Leave it out of `streams`."
                )
                pairs = []
                break
        if self.method == "correlation" and pairs and pairs[0][0].shape[1] != pairs[0][1].shape[1]:
            raise ValueError(
                f"stream {name!r} has {pairs[0][1].shape[1]} channels, the reference"
                f" {reference_name!r} {pairs[0][0].shape[1]}: they are not alike. Give"
                " method='features'."
            )
        left, right = ([pair[i] for pair in pairs] for i in (0, 1))
        if self.per_row and pairs:
            lags, relation = find_row_lags(left, right, allowed, **options)
            of_rows = np.full(len(stream), relation.common)
            of_rows[used] = lags
            return of_rows, relation
        search = find_drift if self.drift else find_lag
        found = search(left, right, allowed, **options)
        if pairs:
            self._warn_unless_told(found.start if self.drift else found, name, reference_name)
        return found

    def _warn_unless_told(self, found, name, reference_name):
        """Say which stream's lag is not estimated, and what to write if there is one."""
        if found.related and not found.at_edge:
            return
        span = "its default" if self.max_lag is None else repr(self.max_lag)
        at_edge = f"agrees best with {reference_name!r} at an end of what max_lag={span} allows"
        nothing = f"tells nothing of {reference_name!r} within max_lag={span}"
        warn(
            f"stream {name!r} {at_edge if found.at_edge else nothing}: its lag cannot be found and"
            f" is taken for {found.lag:g}. Give a larger max_lag if it may lie beyond, or leave it"
            " out of `streams`."
        )

    def _commit(self, streams, reference, sequences, allowed, found, n_rows):
        """Set the fitted attributes, once all is known."""
        unit = 1 / (self.sampling_rate or 1)
        max_lag = allowed.high * unit if self.max_lag is None else self.max_lag
        most = LagRange.of(max_lag)
        none = np.zeros(n_rows) if self.per_row else 0.0
        lags, intervals = {reference: none}, {reference: None if self.per_row else (0.0, 0.0)}
        drifts, drift_intervals = {reference: 0.0}, {reference: (0.0, 0.0)}
        relations = {}
        for name, result in found.items():
            drifts[name], drift_intervals[name], intervals[name] = 0.0, (0.0, 0.0), None
            if self.drift:
                drifts[name] = result.slope
                drift_intervals[name] = (result.low, result.high)
                result = result.start
            if isinstance(result, tuple):
                of_rows, relations[name] = result
                lags[name] = np.clip(of_rows * unit, *most)
            elif self.per_row:  # nothing to learn a row's lag from
                lags[name] = none + most.usual
            else:
                lags[name] = most.clipped(result.lag * unit)
                intervals[name] = most.clipped(result.low * unit), most.clipped(result.high * unit)
        self.lags_ = {name: lags[name] for name in streams}
        self.lag_intervals_ = {name: intervals[name] for name in streams}
        self.drifts_ = {name: drifts[name] for name in streams}
        self.drift_intervals_ = {name: drift_intervals[name] for name in streams}
        self.max_lag_ = tuple(most) if isinstance(max_lag, tuple | list) else float(max_lag)
        self.streams_, self.reference_ = streams, reference
        self.sequences_, self.relations_ = sequences, relations

    # Moving ----------------------------------------------------------------------------------

    def _moved(self, X, *, back):
        check_is_fitted(self)
        X, table = self._read(X, reset=False)
        if self._kind(table, self.streams_) != self.sequences_:
            raise ValueError(
                "the cells of X are not as in fit: sequences there and numbers here, or the other"
                " way round. Give X as in fit."
            )
        changed = self._move_cells(table, back) if self.sequences_ else self._move_rows(table, back)
        return replace(X, changed)

    def _lines(self, lags):
        """Return lags in steps and their change, as arrays over streams."""
        rate = self.sampling_rate or 1
        return np.array([lags[n] for n in self.streams_]) * rate, np.array(
            [self.drifts_[n] for n in self.streams_]
        )

    def _times(self, n_steps, lags, back):
        """Return by stream the times to read it at, None where it stays as it is."""
        lag, slope = self._lines(lags)
        ahead = (lag, slope) if self.causal else (np.zeros(1), np.zeros(1))
        times = {}
        for i, name in enumerate(self.streams_):
            at = reading_times(n_steps, lag[i], slope[i], *ahead)
            still = np.array_equal(at, np.arange(n_steps))
            times[name] = None if still else undoing_times(at, n_steps) if back else at
        return times

    def _move_rows(self, table, back):
        times = self._times(table.n_rows, self.lags_, back)
        changed = {}
        for name, columns in self.streams_.items():
            for i in columns:
                values = table.numbers(i)
                if times[name] is None:
                    continue
                dtype = table.columns[i].dtype
                moved = read_at(values, times[name])
                if np.isnan(moved).all() and not np.isnan(values).all():
                    warn(
                        f"stream {name!r}, column {table.names[i]!r}: X has {table.n_rows} row(s),"
                        " no more than it is to be moved by, and all of it becomes NaN. Give more"
                        " rows at once."
                    )
                changed[i] = moved.astype(dtype) if dtype.kind == "f" else moved
        return changed

    def _move_cells(self, table, back):
        rows = {name: stream_rows(table, c, True) for name, c in self.streams_.items()}
        own = self._own_lags(rows, table.n_rows) if self.relations_ else None
        changed = {i: np.empty(table.n_rows, object) for c in self.streams_.values() for i in c}
        for row in range(table.n_rows):
            lags = self.lags_ if own is None else {name: own[name][row] for name in own}
            for name, columns in self.streams_.items():
                for i in columns:
                    cell = table.columns[i][row]
                    if rows[name][row] is not None:
                        values = np.asarray(cell)
                        values = values if values.dtype.kind == "f" else values.astype(np.float64)
                        times = self._times(len(values), lags, back)[name]
                        cell = values.copy() if times is None else read_at(values, times)
                    changed[i][row] = cell
        return changed

    def _own_lags(self, rows, n_rows):
        """Return the lags of rows, each found from that row alone, in the unit of `lags_`."""
        rate = self.sampling_rate or 1
        own = {name: np.zeros(n_rows) for name in self.streams_}
        for name, relation in self.relations_.items():
            for row, (x, y) in enumerate(zip(rows[self.reference_], rows[name], strict=True)):
                if x is None or y is None or len(x) <= relation.allowed.most + 1:
                    own[name][row] = relation.common / rate
                    continue
                with locate(column=name, row=row):
                    check_lengths(x, y)
                own[name][row] = relation.lag(x, y, self.level) / rate
        return own
