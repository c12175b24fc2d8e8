"""The density of a network's embeddings, of whole rows and given a part of them: what draws rows.

A network without a prior has embeddings all the same, and these have a distribution: a Gaussian
mixture of the training rows' embeddings. The embedding of a *part* of a row (modalities, or cells
of its tables) is a noisy, linear look at the embedding of the whole row, so that the mixture given
a part is a mixture, too, in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import logsumexp
from torch import Tensor

from .._core.later import Later
from .._core.plain import check, fields
from .._core.threads import one_thread
from ..nn._modality import ModalityNetwork
from ..statistics import PLAIN, Statistics
from ..statistics._mixture import Mixture, fit_mixture, log_normal
from ..statistics._questions import Sums
from ..statistics._samples import SampledRows
from ._batches import Rows
from ._holes import BINS, Fill, observed_cells
from ._joint import JointNetwork
from ._looks import Looks, parts_to_learn

__all__ = ["Axes", "Density", "learn_density"]

MOST_ROWS = 2048  # of which the codes are looked at
MOST_CODES = 2**15  # of them and their parts
FEWEST = 3  # rows
RIDGE = 1e-3  # of the variance of codes: that of the noise, at least
ENLARGED = 0.03  # of the mean variance: what each variance has more, for canonical axes
LEAST_NOISE = 1e-4  # of a number's standard deviation


class Axes(NamedTuple):
    """Along which embeddings of a part of a row are compared with those of another part.

    Attributes
    ----------
    centre, spread : ndarray of shape (components,)
        Mean and standard deviation of embeddings of whole rows.
    mean : ndarray of shape (components,)
        Of embeddings of the part.
    variates : ndarray of shape (components, components)
        Canonical axes, each as long as the variates correlate.
    """

    centre: np.ndarray
    spread: np.ndarray
    mean: np.ndarray
    variates: np.ndarray


class Density(NamedTuple):
    """A mixture of embeddings, and how embeddings of parts of rows come of them.

    Attributes
    ----------
    mixture : Mixture
        Of embeddings as `transform` gives them.
    patterns : ndarray of shape (parts, modalities), bool
        Which modalities are present.
    bins : ndarray of shape (parts,), int64
        Of the share of missing cells in the tables that are present, see `bins_of`.
    maps : ndarray of shape (parts, components, components)
        ``code of the part ~ code of the row @ map + offset + noise``.
    offsets : ndarray of shape (parts, members, components)
        Of each member of the mixture.
    roots : ndarray of shape (parts, components, components)
        Lower triangular roots of the covariances of the noise.
    noise : list of ndarray of shape (1 + parts, numbers), one for each modality
        Log standard deviations of what numbers of a table have beside what a sampled embedding
        makes of them, in standardised units: of a new row, and of what is not seen of the row of a
        part. Without numbers for other modalities.
    """

    mixture: Mixture
    patterns: np.ndarray
    bins: np.ndarray
    maps: np.ndarray
    offsets: np.ndarray
    roots: np.ndarray
    noise: list[np.ndarray]

    def draw(self, n: int, generator: np.random.Generator) -> np.ndarray:
        """Return embeddings of rows that might as well have been seen, (n, components)."""
        shares = self.mixture.shares.astype(np.float64)
        members = generator.choice(len(shares), n, p=shares / shares.sum())
        noise = generator.standard_normal((n, self.mixture.means.shape[1]))
        return _placed(noise, members, self.mixture.means, self.mixture.roots)

    def draw_given(
        self,
        codes: np.ndarray,
        present: np.ndarray,
        bins: np.ndarray,
        n: int,
        generator: np.random.Generator,
    ) -> np.ndarray:
        """Return embeddings of whole rows, given those of parts of them.

        Parameters
        ----------
        codes : ndarray of shape (rows, components)
        present : ndarray of shape (rows, modalities), bool
        bins : ndarray of shape (rows,), int64
        n : int
            Samples of each row.
        generator : numpy.random.Generator

        Returns
        -------
        ndarray of shape (n, rows, components)
            The embedding itself where nothing is known to be added to what is present.
        """
        noise = generator.standard_normal((n, *codes.shape))
        uniform = generator.random((n, len(codes)))
        drawn = np.repeat(codes[None].astype(np.float64), n, 0)
        seen = np.column_stack([present, bins])
        found, which = np.unique(seen, axis=0, return_inverse=True)
        for i, key in enumerate(found):
            part = self._part_of(key[:-1].astype(bool), key[-1])
            if part is None:
                continue
            rows = np.flatnonzero(which.ravel() == i)
            chances, means, roots = self._given(part, codes[rows].astype(np.float64))
            below = chances.cumsum(1)[None] < uniform[:, rows, None]
            members = below.sum(2).clip(max=chances.shape[1] - 1)
            own = means[np.arange(len(rows))[None], members]
            drawn[:, rows] = own + np.einsum("drij,drj->dri", roots[members], noise[:, rows])
        return drawn

    def axes(self, one: np.ndarray, other: np.ndarray) -> tuple[Axes, Axes]:
        """Return along which vectors of two patterns of presence, (modalities,) bool, are compared.

        Notes
        -----
        Canonical correlation analysis [1]_ of the covariances that the mixture and its looks
        imply: noise of two parts is independent given the whole row. Variances are made larger by
        a share, as in ridge regression.

        References
        ----------
        .. [1] Hotelling (1936), "Relations between two sets of variates", Biometrika 28.
        """
        shares = self.mixture.shares.astype(np.float64)
        shares = shares / shares.sum()
        looks = [self._look(pattern) for pattern in (one, other)]
        means = [shares @ centres for _, centres, _ in looks]
        apart = [centres - mean for (_, centres, _), mean in zip(looks, means, strict=True)]
        within = sum(s * root @ root.T for s, root in zip(shares, self.mixture.roots, strict=True))
        between = [[(a.T * shares) @ b for b in apart] for a in apart]
        maps = [map_ for map_, _, _ in looks]
        own = [m.T @ within @ m + look[2] for m, look in zip(maps, looks, strict=True)]
        whiten = [_inverse_root(v + between[i][i]) for i, v in enumerate(own)]
        cross = maps[0].T @ within @ maps[1] + between[0][1]
        left, correlation, right = np.linalg.svd(whiten[0] @ cross @ whiten[1])
        centre = shares @ self.mixture.means
        variance = np.diag(within) + shares @ (self.mixture.means - centre) ** 2
        spread = np.sqrt(np.maximum(variance, RIDGE * max(variance.mean(), RIDGE)))
        variates = whiten[0] @ left * correlation, whiten[1] @ right.T * correlation
        return tuple(Axes(centre, spread, *one) for one in zip(means, variates, strict=True))

    def _look(self, pattern: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return map, centre of each member and covariance of the noise of vectors of a pattern."""
        part, k = self._part_of(pattern, 0), self.mixture.means.shape[1]
        if part is None:
            return np.eye(k), self.mixture.means.astype(np.float64), np.zeros((k, k))
        map_, root = (a[part].astype(np.float64) for a in (self.maps, self.roots))
        return map_, self.mixture.means @ map_ + self.offsets[part], root @ root.T

    def noise_of(self, m: int, present: np.ndarray, bins: np.ndarray) -> np.ndarray:
        """Return the noise of a modality's cells that are not seen, (rows, numbers); see `noise`.

        Parameters
        ----------
        m : int
        present : ndarray of shape (rows, modalities), bool
        bins : ndarray of shape (rows,), int64
        """
        found, which = np.unique(np.column_stack([present, bins]), axis=0, return_inverse=True)
        parts = [self._part_of(key[:-1].astype(bool), key[-1]) for key in found]
        rows = np.array([0 if part is None else 1 + part for part in parts])
        return self.noise[m][rows[which.ravel()]]

    def _part_of(self, pattern: np.ndarray, bin_: int) -> int | None:
        """Return the number of the largest part within what is seen; None where it is all."""
        whole = pattern.all() and not bin_
        within = ~(self.patterns & ~pattern).any(1)
        if whole or not within.any():
            return None
        # With as many holes, as far as they are known, else the most that are.
        away = np.where(self.bins >= bin_, self.bins - bin_, len(BINS) + 1 + bin_ - self.bins)
        return int(np.lexsort((away, -self.patterns.sum(1), ~within))[0])

    def _given(self, part: int, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the mixture given codes of a part: shares, means (row, member, ...) and roots."""
        # Of each member: prior N(mean, cov), seen through map, offset and noise. Gaussian algebra.
        logs, means, roots = [], [], []
        map_, spread = (a[part].astype(np.float64) for a in (self.maps, self.roots))
        noise = spread @ spread.T
        for share, mean, root, offset in zip(*self.mixture, self.offsets[part], strict=True):
            root, mean = root.astype(np.float64), mean.astype(np.float64)
            seen = map_.T @ root
            total = np.linalg.cholesky(seen @ seen.T + noise)
            surprise = codes - (mean @ map_ + offset)
            logs.append(np.log(share) + log_normal(surprise, total))
            gain = np.linalg.solve(total.T, np.linalg.solve(total, seen @ root.T)).T
            means.append(mean + surprise @ gain.T)
            rest = (np.eye(len(mean)) - gain @ map_.T) @ root
            left = rest @ rest.T + gain @ noise @ gain.T  # Joseph's form: never negative
            left[np.diag_indices(len(mean))] += 1e-9 * np.trace(root @ root.T) / len(mean)
            roots.append(np.linalg.cholesky(left))
        logs = np.stack(logs, 1)
        chances = np.exp(logs - logsumexp(logs, 1, keepdims=True))
        return chances, np.stack(means, 1), np.stack(roots)

    def to_plain(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        return {**self._asdict(), "mixture": self.mixture._asdict()}

    @classmethod
    def from_plain(cls, node: Any, n_components: int, parts: Sequence[ModalityNetwork]) -> Density:
        """Return the density that `to_plain` gave, checked against the networks of a model."""
        mixture, *values = fields(node, *cls._fields)
        density = cls(Mixture(*fields(mixture, *Mixture._fields)), *values)
        check(density._is_sound(n_components, parts), "its density")
        return density

    def _is_sound(self, k: int, parts: Sequence[ModalityNetwork]) -> bool:
        """Whether all that is known agrees with itself."""
        arrays = [*self.mixture, self.patterns, self.bins, self.maps, self.offsets, self.roots]
        whole = isinstance(self.noise, list) and len(self.noise) == len(parts)
        if not whole or not all(isinstance(a, np.ndarray) for a in (*arrays, *self.noise)):
            return False
        n, p = self.mixture.shares.size, self.bins.size
        shapes = [(n,), (n, k), (n, k, k), (p, len(parts)), (p,), (p, k, k), (p, n, k), (p, k, k)]
        shapes += [(1 + p, _n_noise(part)) for part in parts]
        kinds = "fffbifff" + "f" * len(parts)
        return (
            n > 0
            and all(
                a.shape == shape and a.dtype.kind == kind
                for a, shape, kind in zip((*arrays, *self.noise), shapes, kinds, strict=True)
            )
            and all(bool(np.isfinite(a).all()) for a in (*arrays, *self.noise))
            and bool((self.mixture.shares > 0).all())
            and all(
                bool((np.diagonal(a, axis1=1, axis2=2) > 0).all())
                for a in (self.mixture.roots, self.roots)
            )
        )


def _inverse_root(covariance):
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0) + ENLARGED * max(values.mean(), RIDGE)
    return (vectors / np.sqrt(values)) @ vectors.T


def _placed(noise, members, means, roots):
    return means[members] + np.einsum("rij,rj->ri", roots[members], noise)


def _n_noise(part: ModalityNetwork) -> int:
    return part.n_numbers if part.is_table else 0


def learn_density(
    network: JointNetwork, rows: Rows, fills: Sequence[Fill], statistics: Statistics = PLAIN
) -> Later[Density | None]:
    """Learn the density of embeddings from training rows; there is none of too few of them.

    Parameters
    ----------
    network : JointNetwork
    rows : Rows
        On the network's device.
    fills : list of callable
        `Modality.fill` of each modality: how it sees rows of which cells are hidden.
    statistics : Statistics, default=PLAIN

    Returns
    -------
    Later of Density or None
        Learned of a sample of rows, with the network as it will be then.
    """
    parts = parts_to_learn(network, rows, len(network.scale), statistics)
    n = min(len(rows), MOST_ROWS, max(MOST_CODES // (1 + len(parts)), FEWEST))
    places = torch.linspace(0, len(rows) - 1, n, device=rows.pattern.device).long()

    def learn(kept: Rows) -> Density | None:
        return _learn(network, kept, parts, fills, statistics)

    return rows.copied(places).later(learn, statistics)


@one_thread(helpers=False)
@torch.no_grad()
def _learn(network, rows, parts, fills, statistics):
    """Return the density of codes of rows, and of parts of them."""
    network.eval()
    k, n = len(network.scale), len(rows)
    looks = Looks(network, rows, parts, fills)
    sample = statistics.second_moments("codes", looks.blocks, products=False, most_rows=n).sample
    if sample is None or len(sample.rows) < FEWEST:
        return None
    codes, of_parts = sample.rows[:, :k], sample.rows[:, k:].reshape(len(sample.rows), -1, k)
    mixture = fit_mixture(SampledRows(codes, sample.weights), statistics)
    known = np.flatnonzero(np.isfinite(of_parts[..., 0]).sum(0) >= FEWEST)
    learned = [_look(mixture, codes, of_parts[:, i], sample.weights) for i in known]
    shapes = ((k, k), (len(mixture.shares), k), (k, k))
    maps, offsets, roots = (
        np.array([look[i] for look in learned], np.float32).reshape(-1, *shape)
        for i, shape in enumerate(shapes)
    )
    numbers, bins = np.array([parts[i] for i in known], np.int64).reshape(-1, 2).T
    patterns = network.patterns.cpu().numpy()[numbers]
    mixture = Mixture(*(a.astype(np.float32) for a in mixture))
    density = Density(mixture, patterns, bins, maps, offsets, roots, [])
    return density._replace(noise=_noise(density, looks, known, statistics))


def _look(
    mixture: Mixture, codes: np.ndarray, of_part: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return map, offsets and root of how vectors of a part come of whole ones; see `Density`."""
    there = np.isfinite(of_part).all(1)
    both, weights = np.concatenate([codes, of_part], 1)[there], weights[there]
    members = mixture.memberships(codes[there]) * weights[:, None]
    n, k = len(both), codes.shape[1]
    centre = np.average(both, axis=0, weights=weights)
    apart = both - centre
    # A member of few rows is near the mean of all.
    sums, sizes = members.T @ apart, members.sum(0)[:, None]
    means = sums / (sizes + 1)
    # Squares about the means: those about the centre, less what the means explain of them.
    products = (apart.T * weights) @ apart - (sums.T * (2 - sizes / (sizes + 1)).T) @ means
    means = means + centre
    unit = RIDGE * max(np.trace(products[:k, :k]) / n / k, RIDGE)
    between = products[:k, k:]
    map_ = np.linalg.solve(products[:k, :k] + n * unit * np.eye(k), between)
    rest = products[k:, k:] - map_.T @ between - between.T @ map_ + map_.T @ products[:k, :k] @ map_
    rest = (rest + k * np.diag(np.diag(rest)) / n) / (n + k) + unit * np.eye(k)
    return map_, means[:, k:] - means[:, :k] @ map_, np.linalg.cholesky(rest)


def _noise(
    density: Density, looks: Looks, known: np.ndarray, statistics: Statistics
) -> list[np.ndarray]:
    """Return what numbers of tables have beside what sampled vectors make of them; see `Density`.

    Squared distances of a truth from a draw have the variances of both: that of draws is known by
    their distances from one another, and what is left is not in them yet.
    """
    network = looks.network
    tables = [m for m, part in enumerate(network.networks) if part.is_table and part.n_numbers]
    noise = [np.zeros((1 + len(known), _n_noise(part)), np.float32) for part in network.networks]
    for m in tables:
        batch, part = looks.batch, network.networks[m]
        there = observed_cells(batch.values[m], part)[:, : part.n_numbers]
        there = there & network.patterns[batch.pattern, m][:, None]
        error = _decoded(network, looks.codes[0], m) - part.numbers(batch.values[m])
        noise[m][:] = _log_deviation(error.square(), there, statistics.of(f"noise of modality {m}"))
    for place, i in enumerate(known):
        rows = looks.there[1 + i].nonzero()[:, 0]
        pattern, bin_ = (a[place] for a in (density.patterns, density.bins))
        present, bins = np.tile(pattern, (len(rows), 1)), np.full(len(rows), bin_)
        generator = np.random.default_rng(len(rows))
        codes = looks.codes[1 + i][rows].cpu().numpy()
        drawn = density.draw_given(codes, present, bins, 2, generator)
        drawn = torch.as_tensor(drawn, dtype=torch.float32, device=rows.device)
        for m in tables:
            there, part = looks.unseen(i, m)[rows], network.networks[m]
            one, other = _decoded(network, drawn, m)
            truth = part.numbers(looks.batch.values[m])[rows]
            rest = (one - truth).square() - (one - other).square()
            own = statistics.of(f"noise of modality {m}, part {place}")
            noise[m][1 + place] = _log_deviation(rest, there, own)
    return noise


def _decoded(network: JointNetwork, codes: Tensor, m: int) -> Tensor:
    """Return what embeddings, as `transform` gives them, say of the numbers of a table."""
    return network.outputs(codes / network.scale, m)[..., : network.networks[m].n_numbers]


def _log_deviation(squares: Tensor, there: Tensor, statistics: Statistics) -> np.ndarray:
    """Return the logarithm of the root of mean squares, (numbers,)."""
    both = torch.stack([torch.where(there, squares, 0), there.float()], 1)
    total, counts = statistics.ask("squares", Sums(), both.double()).cpu().numpy()
    variance = total / np.maximum(counts, 1)
    return 0.5 * np.log(np.maximum(variance, LEAST_NOISE**2)).astype(np.float32)
