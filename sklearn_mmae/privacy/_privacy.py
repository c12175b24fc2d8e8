"""`Privacy`: how much a fit may reveal of any one row; `PrivacySpent`: what it has revealed."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any, Self

from sklearn.base import BaseEstimator

from .._core.errors import check_names, listing, warn
from .._core.plain import check, fields
from .._core.values import is_positive
from ._accountant import ACCOUNTANTS

__all__ = ["NEIGHBOURS", "SHARES", "Privacy", "PrivacySpent"]

SHARES = {"columns": 0.25, "moments": 0.15, "networks": 0.6}  # measured: see docs/privacy.md
NEIGHBOURS = "all cells of one row, or none of them"
AUTO = 10  # delta="auto" is one over so many times the rows


class Privacy(BaseEstimator):
    """How much a fit may reveal of any one row: differential privacy [1]_ for rows.

    Whoever sees the fitted estimator, its file or its diagram, and knows all rows but one, cannot
    tell whether the cells of that one were there: no answer becomes more likely by them than by a
    factor of ``exp(epsilon)``, but for a chance of `delta`. All that a fit would take from rows it
    either buys, with noise, or is given as a public fact: ``TabularModality(bounds=,
    categories=)``, ``TextModality(vocabulary=)``, ``ImageModality(size=, mode=, max_value=)``,
    ``AudioModality(sampling_rate=, max_seconds=)``, ``VideoModality(size=, mode=, fps=,
    max_seconds=, max_value=)``, ``SequenceModality(bounds=, max_steps=)``. What is missing is an
    error. Networks are trained where rows times epsilon (8 at most) are 2,000 for each cell of a
    row; a text counts as three, and pixels and the numbers of steps count one by one. Else the fit
    is its linear start. ``docs/privacy.md`` says what is not protected.

    Parameters
    ----------
    epsilon : float
        Above 0. 1 is strong, 8 is weak. Infinite adds no noise and protects nothing, but shows what
        the rest of a private fit costs.
    delta : float or "auto", default="auto"
        Between 0 and 1, well below one over the number of rows; "auto" is a tenth of that.
    max_grad_norm : float, default=1.0
        The norm to which the gradient of a row is cut while networks are trained [2]_.
    accountant : {"prv", "rdp"}, default="prv"
        How releases are added up: by the distribution of the privacy loss, which is tight, or by
        Rényi divergences, whose bound is some percent above.
    shares : dict of str to float, default=None
        How the budget is split: "columns" (means, scales and counts of each column), "moments"
        (how all columns go together), "networks". Those not named share what is left as by default,
        {"columns": 0.25, "moments": 0.15, "networks": 0.6}; together they may not exceed 1. A share
        is one of the squared inverse noise, in which Gaussian releases add up; that of networks is
        all of epsilon that the others leave. Where they are not trained, "moments" has it.

    Raises
    ------
    ValueError
        In `fit` of an estimator, for values that make no sense.

    References
    ----------
    .. [1] Dwork & Roth (2014), "The algorithmic foundations of differential privacy", Foundations
       and Trends in Theoretical Computer Science 9.
    .. [2] Abadi et al. (2016), "Deep learning with differential privacy", CCS.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmae import MultimodalAutoencoder, Privacy, TabularModality
    >>> X = np.random.default_rng(0).uniform(size=(500, 3))
    >>> mmae = MultimodalAutoencoder(
    ...     [("table", TabularModality(bounds=(0, 1)), [0, 1, 2])],
    ...     n_components=2,
    ...     privacy=Privacy(epsilon=1.0),
    ... ).fit(X)
    >>> round(mmae.privacy_spent_.epsilon, 2)
    1.0
    """

    def __init__(
        self,
        epsilon: float,
        delta: float | str = "auto",
        *,
        max_grad_norm: float = 1.0,
        accountant: str = "prv",
        shares: dict[str, float] | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.delta = delta
        self.max_grad_norm = max_grad_norm
        self.accountant = accountant
        self.shares = shares

    def check_parameters(self) -> None:
        """Refuse values that make no sense; raises ValueError."""
        number = isinstance(self.epsilon, Real) and not isinstance(self.epsilon, bool)
        if not number or not self.epsilon > 0:
            raise ValueError(
                f"Privacy(epsilon={self.epsilon!r}): give a number above 0, such as 1.0; infinity"
                " adds no noise."
            )
        share = isinstance(self.delta, Real) and not isinstance(self.delta, bool)
        if self.delta != "auto" and not (share and 0 < self.delta < 1):
            raise ValueError(
                f"Privacy(delta={self.delta!r}): give a number between 0 and 1, such as 1e-6, or"
                " 'auto'."
            )
        if not is_positive(self.max_grad_norm):
            raise ValueError(
                f"Privacy(max_grad_norm={self.max_grad_norm!r}): give a number above 0, as 1.0."
            )
        check_names([self.accountant], list(ACCOUNTANTS), "accountant", "accountant")
        self.find_shares()

    def find_epsilon(self) -> float:
        """Return the epsilon; warn where it protects nothing."""
        if math.isinf(self.epsilon):
            warn(f"Privacy(epsilon={self.epsilon!r}) adds no noise: nothing is protected.")
        return float(self.epsilon)

    def find_delta(self, n_rows: int) -> float:
        """Return the delta of a fit on so many rows; warn where it protects few of them."""
        if self.delta == "auto":
            return 1 / (AUTO * n_rows)
        if self.delta * n_rows > 1:
            warn(
                f"Privacy(delta={self.delta:g}) is above 1 / {n_rows}, the number of rows: telling"
                f" one row in full would be allowed. Give at most {1 / n_rows:.1g}."
            )
        return float(self.delta)

    def find_shares(self) -> dict[str, float]:
        """Return the share of each step, together 1; raises ValueError."""
        given = self.shares or {}
        if given:
            check_names(list(given), list(SHARES), "shares", "step of a private fit")
        for step, share in given.items():
            if not is_positive(share):
                raise ValueError(f"shares={{{step!r}: {share!r}}}: give a share above 0.")
        left = 1 - math.fsum(given.values())
        others = {step: share for step, share in SHARES.items() if step not in given}
        needed = [step for step in others if step != "networks"]  # which may stay untrained
        if left < -1e-9 or (needed and left <= 1e-9):
            raise ValueError(
                f"shares={given!r} sum to {1 - left:g}. Let them sum to 1"
                + (f", or less: {listing(map(repr, needed))} has none." if needed else ".")
            )
        left, total = left if left > 1e-9 else 0.0, sum(others.values())
        shares = {**given, **{step: left * share / total for step, share in others.items()}}
        return {step: shares[step] / math.fsum(shares.values()) for step in SHARES}


@dataclass(frozen=True)
class PrivacySpent:
    """What a private fit has revealed of its rows: `privacy_spent_`.

    Attributes
    ----------
    epsilon, delta : float
        Of the whole fit.
    by_step : dict of str to float
        The epsilon of each step alone; together they cost less than their sum.
    neighbours : str
        What two data sets may differ in and yet give estimators that are alike.
    public : list of str
        What is taken to be known to everybody, and not protected.
    """

    epsilon: float
    delta: float
    by_step: dict[str, float]
    neighbours: str
    public: list[str]

    def to_plain(self) -> dict[str, Any]:
        """Return what was spent as plain values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, node: Any) -> Self:
        """Return what `to_plain` gave, having checked it."""
        epsilon, delta, by_step, neighbours, public = fields(node, *cls.__dataclass_fields__)
        numbers = [epsilon, *(by_step.values() if isinstance(by_step, dict) else [None])]
        check(all(type(n) is float and n >= 0 for n in numbers), "what its privacy has cost")
        check(is_positive(delta) and delta < 1, "the delta of its privacy")
        texts = [neighbours, *(public if isinstance(public, list) else [None])]
        check(all(type(text) is str for text in texts), "what is public of its rows")
        return cls(epsilon, delta, by_step, neighbours, public)
