"""`MultimodalNetwork`: the joint network of the deterministic autoencoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..fusion import Fusion
from ..nn._modality import ModalityNetwork
from ..statistics import Statistics
from ._batches import Batch
from ._joint import JointNetwork, NewGenerator, Paths, RowBlocks, Views
from ._patterns import Solved
from .start._linear import fit_linear_start, ridge
from .start._moments import ViewMoments

__all__ = ["MultimodalNetwork"]

HELD = 3.0  # weight of what is added to a held code, in units of its own variance


class MultimodalNetwork(JointNetwork):
    """One embedding per row: joint principal components where all modalities are present.

    Else it is their best linear prediction. Each row is decoded twice: from all of it, and from a
    random part, so that each modality alone leads to the whole row.

    Parameters
    ----------
    networks, fusion
        See `JointNetwork`.
    n_components : int
    patterns : Tensor of shape (patterns, modalities), bool
    modality_dropout : float
        Also the weight of the second embedding of a row.
    extra_terms : dict of str to float
    target : ModalityNetwork, optional
    weights : sequence of float, optional
        See `JointNetwork`.
    """

    # A cycle is too short for longer memories, and the weights themselves are averaged.
    betas = (0.6, 0.95)

    def __init__(
        self,
        networks: Sequence[ModalityNetwork],
        fusion: Fusion,
        n_components: int,
        patterns: Tensor,
        modality_dropout: float,
        extra_terms: dict[str, float],
        target: ModalityNetwork | None = None,
        weights: Sequence[float] | None = None,
    ):
        n, k = len(networks), n_components
        # With one modality the joint projection and its own are the same.
        n_projected = k * (1 if n == 1 else 2)
        super().__init__(
            networks,
            fusion,
            patterns,
            modality_dropout,
            extra_terms,
            n_components=k,
            n_projected=n_projected,
            target=target,
            weights=weights,
        )
        self.n_projected = n_projected
        self.register_buffer("moments", torch.zeros(2 * n * k, 2 * n * k))
        self.register_buffer("targets", torch.zeros(2 * n * k, k))
        self.register_buffer("spread", torch.ones(k))
        self.register_buffer("scale", torch.ones(k))
        self.register_buffer("n_rows", torch.zeros((), dtype=torch.int64))
        self.register_buffer("table", None, persistent=False)  # of its own patterns, once needed
        self.solved = Solved()
        self.register_load_state_dict_post_hook(lambda network, _: network._forget_solved())

    def _forget_solved(self) -> None:
        self.table, self.solved = None, Solved()

    @torch.no_grad()
    def learn_start(
        self,
        blocks: RowBlocks,
        generator: torch.Generator,
        *,
        rotate: bool,
        statistics: Statistics,
        known: ViewMoments | None = None,
    ) -> tuple[list[Tensor], ViewMoments]:
        """Set the linear path to joint principal components and the regressions onto them."""
        linear = fit_linear_start(
            blocks,
            len(self.spread),
            generator,
            rotate=rotate,
            weights=self.weights.tolist(),
            has_target=self.target is not None,
            statistics=statistics,
            known=known,
        )
        for network, decoder in zip(self.decoders, linear.decoders, strict=True):
            network.start(decoder)
        for projection, weight in zip(self.projections, linear.projections, strict=True):
            projection.weight.copy_(weight[: self.n_projected])
        self.moments.copy_(linear.moments)
        self.targets.copy_(linear.targets)
        self.spread.copy_(linear.spread)
        self.explained.copy_(linear.explained)
        self.scale.copy_(linear.spread / linear.spread.square().mean().sqrt())
        self.n_rows.fill_(linear.n_rows)
        self._forget_solved()
        return linear.decoders, linear.views

    def regressions(self, patterns: Tensor) -> Tensor:
        """Return the projection for all modalities, the own share for one, ridge for others."""
        k, n = len(self.spread), len(self.networks)
        table = self.spread.new_zeros(len(patterns), k, n, self.n_projected)
        identity = torch.eye(k, device=table.device)
        for i, pattern in enumerate(patterns.tolist()):
            members = [m for m, there in enumerate(pattern) if there]
            if len(members) == n:
                table[i, :, :, :k] = identity[:, None]  # the sum of the shares is the projection
            elif len(members) == 1:
                table[i, :, members[0], k:] = identity
            elif members:
                solved = self.solved.get(tuple(members), self._regression)
                for m, own in zip(members, solved, strict=True):
                    table[i, :, m] = (own @ self._bases[m]).to(table.dtype)
        return table.flatten(2) * (self.n_rows > 0)  # nothing without a linear start

    def _regression(self, members: tuple[int, ...]) -> list[Tensor]:
        """Return the ridge regression on some modalities: (components, rank) in each one's basis.

        The same as on their projected columns, without the directions that those do not span.
        """
        bases = [self._bases[m] for m in members]
        basis, at = torch.block_diag(*bases), self._columns(members)
        moments = basis @ self.moments[at][:, at].double() @ basis.T
        targets, weight = basis @ self.targets[at].double(), self.spread.double() ** 2
        solved = ridge(moments, targets, weight, int(self.n_rows))
        return list(solved.T.split([len(basis) for basis in bases], 1))

    def _columns(self, members: Sequence[int]) -> Tensor:
        """Return where in `moments` the projected columns of some modalities stand."""
        width = 2 * len(self.spread)
        places = torch.arange(len(self.moments), device=self.moments.device)
        return places.view(-1, width)[list(members)].flatten()

    @property
    def _bases(self) -> list[Tensor]:
        """Of each modality, an orthonormal basis of what its projected columns span, rows."""
        return self.solved.get("bases", self._find_bases)

    def _find_bases(self, _: str) -> list[Tensor]:
        bases = []
        for m, network in enumerate(self.networks):
            at = self._columns([m])
            _, vectors = torch.linalg.eigh(self.moments[at][:, at].double())
            bases.append(vectors.T[-network.n_view :])
        return bases

    def paths_of(self, patterns: Tensor) -> Paths:
        """Return patterns and their regressions."""
        return patterns, self.regressions(patterns)

    @property
    def own_paths(self) -> Paths:
        """The network's own patterns and their regressions."""
        if self.table is None:
            with torch.inference_mode(False), torch.no_grad():  # training may need it, too
                self.table = self.regressions(self.patterns)
        return self.patterns, self.table

    def encode(self, views: Views, pattern: Tensor, paths: Paths | None = None) -> Tensor:
        """Return the linear embedding and what the fusion adds to it."""
        patterns, table = paths or self.own_paths
        return self._fused(views, self._linear(views, pattern, table), patterns[pattern])

    def draw(self, pattern: Tensor, generator: torch.Generator) -> Tensor:
        """Draw all of each row and, if asked for, a random part of it."""
        if self.chances is None:
            return pattern[None]
        return torch.stack([pattern, self._random_part(pattern, generator)])

    def row_losses(
        self, views: Views, batch: Batch, shown: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the deviance of each modality, over the subsets, and last the extra terms."""
        subsets = self._with_singles(shown, batch.pattern)
        start = self._linear(views, subsets, self.own_paths[1])
        codes = self._fused(views, start, self.patterns[subsets])
        deviances = self.deviances(codes[: len(shown)], batch)
        if len(shown) == 1:
            losses = deviances[:, 0]
        else:
            losses = torch.lerp(deviances[:, 0], deviances[:, 1], self.modality_dropout)
        losses = self._weighted(losses)
        if self.is_held and self.training:
            added = (codes - start)[: len(shown)].square().mean((0, -1))
            losses = losses + HELD * added / len(losses)
        return self._with_terms(losses, codes[len(shown) :], batch)

    def judged(self, batch: Batch, draw: NewGenerator) -> Tensor:
        """Return the losses of `row_losses`, without extra terms."""
        return self._judged_by_losses(batch, draw)
