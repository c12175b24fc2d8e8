"""`PrivateStatistics`: the questions of a fit, answered with noise or not at all."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from .._core.errors import PrivacyError
from ..statistics import SecondMoments, Statistics
from ..statistics._questions import Blocks, Question
from ._accountant import Release, find_noise, spent_epsilon
from ._privacy import NEIGHBOURS, Privacy, PrivacySpent
from ._steps import Steps

__all__ = ["Ledger", "PrivateStatistics"]

LARGEST_ROW = 0.7  # norm of a row, in units of the root of its total variance, to which it is cut
OF_HOLES = 0.1  # of the budget of second moments: how often cells are observed together
LEAST_OBSERVED = 0.05  # share of the rows that has both cells of a pair, at least
LEAST_SHARE = 1e-6  # of the largest variance along any direction, that along the others
MOST_COLUMNS = 10_000  # of all views, whose second moments are one matrix in memory
ENOUGH = 1e-3  # by which share networks may have less than they could
ROUNDING = 1e-9  # by which a sum of releases may differ from what was planned
PUBLIC = [
    "the number of rows",
    "names, order and dtypes of columns",
    "all parameters",
    "bounds (numbers beyond are moved to them), categories (others are read as missing),"
    " vocabularies (other words are left out), sizes, rates and lengths of images, sounds, clips"
    " and signals (what lasts longer is cut)",
]


class Ledger:
    """What has been released, and what still may be.

    Parameters
    ----------
    privacy : Privacy
    n_rows : int
    """

    def __init__(self, privacy: Privacy, n_rows: int):
        self.epsilon, self.delta = privacy.find_epsilon(), privacy.find_delta(n_rows)
        self.accountant = privacy.accountant
        self.releases: list[Release] = []
        self.paid: Counter[Release] = Counter()  # releases that are entered, and not made yet

    def reserve(self, releases: Release) -> None:
        """Enter several releases alike, each of which is then free; raises as `spend`."""
        self.spend(releases)
        self.paid[replace(releases, times=1)] += releases.times

    def spend(self, release: Release) -> None:
        """Enter a release, before it is made.

        Raises
        ------
        PrivacyError
            If it would cost more than is left.
        """
        if self.paid[release]:
            self.paid[release] -= 1
            return
        cost = self.cost([*self.releases, release])
        if cost > self.epsilon * (1 + ROUNDING):
            raise PrivacyError(
                f"{release.step!r} would bring epsilon to {cost:.3g}, but {self.epsilon:g} is all"
                " that may be spent."
            )
        self.releases.append(release)

    def spent(self) -> PrivacySpent:
        """Return what was spent so far."""
        by_step: dict[str, list[Release]] = {}
        for release in self.releases:
            by_step.setdefault(release.step, []).append(release)
        costs = {step: self.cost(releases) for step, releases in by_step.items()}
        return PrivacySpent(self.cost(self.releases), self.delta, costs, NEIGHBOURS, PUBLIC)

    def cost(self, releases: list[Release]) -> float:
        """Return the epsilon of releases together."""
        return spent_epsilon(releases, self.delta, self.accountant)


class PrivateStatistics(Statistics):
    """Sums of rows that are cut to a norm, with Gaussian noise; any other question is an error.

    Every number that leaves it passes `release`, which enters it in the ledger. Rows are cut here,
    whatever the caller promises of them.

    Parameters
    ----------
    privacy : Privacy
    n_rows, n_modalities : int
    generator : numpy.random.Generator
        Of the noise, and of which rows are in a step.

    Attributes
    ----------
    steps : Steps or None
        In which networks are trained, if they are.
    """

    is_private = True

    def __init__(
        self, privacy: Privacy, n_rows: int, n_modalities: int, generator: np.random.Generator
    ):
        self.n_rows, self.n_modalities, self.generator = n_rows, n_modalities, generator
        self.ledger = Ledger(privacy, n_rows)
        self.shares, self.steps = privacy.find_shares(), None
        self.total = find_noise(
            lambda noise: self.ledger.cost([Release("all", noise)]), self.ledger.epsilon
        )
        columns = self.shares["columns"]
        self.noise = {
            "columns": self.total / columns**0.5,
            "moments": self.total / (1 - columns) ** 0.5,
        }

    def plan(self, n_cells: int, max_epochs: int, batch_size: int | str) -> None:
        """Decide whether networks are trained; if so, second moments leave them their share.

        Parameters
        ----------
        n_cells : int
            Of a row.
        max_epochs, batch_size
            See `Steps.plan`.
        """
        share, ledger = self.shares["networks"], self.ledger
        if not share:
            return
        self.steps = Steps.plan(self.n_rows, ledger.epsilon, n_cells, max_epochs, batch_size)
        if self.steps is None:
            return
        self.noise["moments"] = self.total / self.shares["moments"] ** 0.5
        others = Release("all but networks", self.total / (1 - share) ** 0.5)
        self.noise["networks"] = find_noise(
            lambda noise: ledger.cost([others, self.steps.release(noise)]),
            ledger.epsilon * (1 - ENOUGH),  # sums of other releases are rounded otherwise
            tolerance=ENOUGH,
        )

    def release(
        self, step: str, share: float, exact: np.ndarray, norm: float
    ) -> tuple[np.ndarray, float]:
        """Return a sum with noise, and its standard deviation.

        Parameters
        ----------
        step : str
            Whose budget it is paid from.
        share : float
            Of that budget.
        exact : ndarray
        norm : float
            The largest Euclidean norm that a row's part in the sum may have.
        """
        noise = self.pay(step, share)
        return exact + self.generator.normal(0, noise * norm, exact.shape), noise * norm

    def pay(self, step: str, share: float) -> float:
        """Enter a release; return its noise, over the norm of a row."""
        noise = self.noise[step] / share**0.5
        rate = self.steps.rate if step == "networks" else 1.0
        self.ledger.spend(Release(step, noise, rate))
        return noise

    def begin_steps(self) -> None:
        """Pay for all steps in which networks are trained."""
        self.ledger.reserve(self.steps.release(self.noise["networks"]))

    def rows_of_step(self) -> np.ndarray:
        """Return which rows the next step looks at: each by the same chance (Poisson)."""
        return np.flatnonzero(self.generator.random(self.n_rows) < self.steps.rate)

    def sums(
        self, name: str, rows: np.ndarray, norm: float, *, share: float = 1.0
    ) -> tuple[np.ndarray, float]:
        """Return the sum of rows, each cut to a norm, with noise; see `Statistics.sums`."""
        exact = _cut(rows, norm).sum(0)
        return self.release("columns", share / self.n_modalities, exact, norm)

    def second_moments(
        self,
        name: str,
        blocks: Blocks,
        *,
        along: Any = None,
        products: bool = True,
        most_rows: int = 0,
    ) -> SecondMoments:
        """Return the sum of ``x x'`` with noise [1]_, as if no cell were missing.

        Cells that are missing in a row add nothing; each product is divided by how often both of
        its cells are observed, which is bought, too.

        References
        ----------
        .. [1] Dwork, Talwar, Thakurta & Zhang (2014), "Analyze Gauss: optimal bounds for
           privacy-preserving principal component analysis", STOC.
        """
        if along is not None or not products or name != "views":
            self._refuse(name)
        largest = LARGEST_ROW * self.n_modalities**0.5
        product, together = 0.0, 0.0
        for block, observed in blocks():
            if block.shape[1] > MOST_COLUMNS:
                raise PrivacyError(
                    f"privacy: a row has {block.shape[1]} numbers, categories, words and pixels;"
                    f" the second moments of more than {MOST_COLUMNS} do not fit. Give smaller"
                    " sizes, fewer words, or fewer bands or steps."
                )
            seen = _on_host(observed)
            rows, seen = np.where(seen, _on_host(block), 0), seen.astype(np.float64)
            rows = _cut(rows, largest)
            product, together = product + rows.T @ rows, together + seen.T @ seen
        product, _ = self._symmetric("moments", 1 - OF_HOLES, product, largest**2)
        together, noise = self._symmetric("moments", OF_HOLES, together, float(len(together)))
        product = _positive(product)
        product *= self.n_modalities * self.n_rows / product.trace()  # views have variance 1
        product /= _observed(together / self.n_rows, noise / self.n_rows)
        return SecondMoments(torch.from_numpy(_positive(product)), None, self.n_rows, None)

    def _symmetric(
        self, step: str, share: float, exact: np.ndarray, norm: float
    ) -> tuple[np.ndarray, float]:
        """Release a symmetric matrix: as a vector, whose norm is the matrix's, each entry once."""
        upper = np.triu_indices(len(exact), 1)
        vector = np.concatenate([exact.diagonal(), math.sqrt(2) * exact[upper]])
        noisy, noise = self.release(step, share, vector, norm)
        matrix = np.zeros_like(exact)
        matrix[upper] = noisy[len(exact) :] / math.sqrt(2)
        return matrix + matrix.T + np.diag(noisy[: len(exact)]), noise

    def spent(self) -> PrivacySpent:
        """Return what was spent so far."""
        return self.ledger.spent()

    def choose(self, name: str, losses: Any, *, margin: float | None = None, usual: int = 0) -> int:
        """Return the option that is taken where rows are not asked."""
        return usual

    def answer(self, name: str, question: Question, rows: Any) -> Any:
        """Refuse a question that has no private answer."""
        self._refuse(f"{self.scope}{name}")

    def _refuse(self, name: str) -> None:
        raise PrivacyError(
            f"privacy: {name!r} would be taken from the rows, and has no private answer. Fit"
            " without privacy, or leave out what asks it."
        )


def _cut(rows: np.ndarray, norm: float) -> np.ndarray:
    """Return rows no longer than a norm, whatever they held."""
    rows = np.nan_to_num(rows, posinf=0.0, neginf=0.0)
    size = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows * np.minimum(1, norm / np.maximum(size, norm))


def _observed(share: np.ndarray, noise: float) -> np.ndarray:
    """Return in which share of the rows both cells of each pair are observed.

    What the noise hides is taken to be as usual: no cell is missing, and no two together.
    """
    unsure = noise**2 + np.finfo(np.float64).tiny
    missing = np.clip(1 - share.diagonal(), 0, 1)
    alone = 1 - missing**3 / (missing**2 + unsure)
    expected = np.outer(alone, alone)
    np.fill_diagonal(expected, alone)
    possible = np.minimum(alone[:, None], alone) - expected
    trust = possible**2 / (possible**2 + unsure)
    both = expected + trust * (share - expected)
    return np.clip(both, LEAST_OBSERVED, np.minimum(alone[:, None], alone))


def _positive(product: np.ndarray) -> np.ndarray:
    """Return the positive part of a symmetric matrix."""
    values, vectors = np.linalg.eigh(product)
    return (vectors * np.maximum(values, LEAST_SHARE * max(values[-1], 1.0))) @ vectors.T


def _on_host(array: Any) -> np.ndarray:
    return array.cpu().numpy() if isinstance(array, torch.Tensor) else np.asarray(array)
