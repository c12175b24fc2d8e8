"""`MultimodalNetwork`: encoders, the linear start, a fusion, decoders."""

from __future__ import annotations

from itertools import product

import torch
from torch import nn

from ..nn._blocks import layer, matmul
from ..statistics import PLAIN
from ._batches import Batch
from ._terms import EXTRA_TERMS
from .start._linear import fit_linear_start, ridge

__all__ = ["MultimodalNetwork", "list_patterns"]

MOST_ENUMERATED = 6  # modalities up to which every pattern of presence has its own regression


def list_patterns(present):
    """List the patterns of presence a network should know.

    Parameters
    ----------
    present : Tensor of shape (rows, modalities), bool
        The training rows.

    Returns
    -------
    Tensor of shape (patterns, modalities), bool
        First nothing, last everything. Every subset for a few modalities; else each alone, all
        but each, and those among the rows.
    """
    n = present.shape[1]
    if n <= MOST_ENUMERATED:
        return torch.tensor(list(product([False, True], repeat=n)))
    single = torch.eye(n, dtype=torch.bool)
    seen, counts = present.unique(dim=0, return_counts=True)
    seen = seen[counts.argsort(descending=True, stable=True)[:32]]
    known = torch.cat([single, ~single, seen.cpu()]).unique(dim=0)
    inside = known.any(1) & ~known.all(1)
    ends = torch.tensor([[False] * n, [True] * n])
    return torch.cat([ends[:1], known[inside], ends[1:]])


class MultimodalNetwork(nn.Module):
    """One code for a row of several modalities, from any part of them, and back.

    ``code = linear(views of the present modalities) + fusion(their encodings)``: the linear part
    is the joint principal components where all are present, and their best linear prediction
    otherwise, so that training begins at the linear optimum for every subset.

    Parameters
    ----------
    networks : list of ModalityNetwork
    fusion : Fusion
        Already built.
    n_components : int
    patterns : Tensor of shape (patterns, modalities), bool
        See `list_patterns`.
    modality_dropout : float
        Chance of each modality to be hidden in the second code of a row, and that code's weight.
    extra_terms : dict of str to float
        Weights of those of `EXTRA_TERMS` that are to be part of the loss.
    """

    def __init__(self, networks, fusion, n_components, patterns, modality_dropout, extra_terms):
        super().__init__()
        n = len(networks)
        self.modality_dropout, self.extra_terms = modality_dropout, extra_terms
        self.networks, self.fusion = nn.ModuleList(networks), fusion
        self.register_buffer("patterns", patterns)
        self.register_buffer("meet", _meet(patterns))
        self.register_buffer("share", torch.ones(n))
        alone = patterns & (patterns.sum(1, keepdim=True) == 1)
        self.register_buffer("singles", alone.int().argmax(0), persistent=False)
        # Drawn by inverting the distribution: multinomial would wait for the device.
        self.register_buffer("chances", _chances(patterns, modality_dropout), persistent=False)

        self._register_start(n_components)

    def _register_start(self, n_components):
        """Make the weights of the linear path, and what it is made of."""
        n, k = len(self.networks), n_components
        # With one modality the joint projection and its own are the same.
        self.n_projected = k * (1 if n == 1 else 2)
        self.projections = nn.ModuleList(
            layer(nn.Linear, network.n_view, self.n_projected, bias=False)
            for network in self.networks
        )
        self.register_buffer("moments", torch.zeros(2 * n * k, 2 * n * k))
        self.register_buffer("targets", torch.zeros(2 * n * k, k))
        self.register_buffer("spread", torch.ones(k))
        self.register_buffer("scale", torch.ones(k))
        self.register_buffer("n_rows", torch.zeros((), dtype=torch.int64))
        self.register_buffer("table", torch.zeros(len(self.patterns), k, n * self.n_projected))

    @torch.no_grad()
    def learn_start(self, blocks, generator, *, rotate, statistics=PLAIN):
        """Set the linear path from the closed form.

        Parameters
        ----------
        blocks, generator, rotate, statistics
            See `fit_linear_start`.

        Returns
        -------
        list of Tensor, each of shape (n_view, components)
            The decoders: ``view ~ decoder @ code``.
        """
        linear = fit_linear_start(
            blocks, len(self.spread), generator, rotate=rotate, statistics=statistics
        )
        for network, decoder in zip(self.networks, linear.decoders, strict=True):
            network.start(decoder)
        for projection, weight in zip(self.projections, linear.projections, strict=True):
            projection.weight.copy_(weight[: self.n_projected])
        self.moments.copy_(linear.moments)
        self.targets.copy_(linear.targets)
        self.spread.copy_(linear.spread)
        self.scale.copy_(linear.spread / linear.spread.square().mean().sqrt())
        self.n_rows.fill_(linear.n_rows)
        self.table.copy_(self.regressions(self.patterns))
        return linear.decoders

    def regressions(self, patterns):
        """Return how each pattern of presence makes a code of the projected views.

        Parameters
        ----------
        patterns : Tensor of shape (patterns, modalities), bool

        Returns
        -------
        Tensor of shape (patterns, components, modalities * projected)
        """
        k, n = len(self.spread), len(self.networks)
        table = self.table.new_zeros(len(patterns), k, n, self.n_projected)
        identity = torch.eye(k, device=table.device)
        moments, targets = self.moments.double(), self.targets.double()
        for i, pattern in enumerate(patterns.tolist()):
            members = [m for m, there in enumerate(pattern) if there]
            if len(members) == n:
                table[i, :, :, :k] = identity[:, None]  # the sum of the shares is the projection
            elif len(members) == 1:
                table[i, :, members[0], k:] = identity
            elif members:
                at = torch.cat(
                    [torch.arange(2 * k * m, 2 * k * (m + 1), device=table.device) for m in members]
                )
                solved = ridge(
                    moments[at][:, at], targets[at], self.spread.double() ** 2, int(self.n_rows)
                )
                table[i, :, members] = solved.T.reshape(k, len(members), 2 * k).to(table.dtype)
        return table.flatten(2)

    def views(self, values):
        """Return the view of each modality of a batch."""
        return [network.view(v) for network, v in zip(self.networks, values, strict=True)]

    def observed(self, values):
        """Return which numbers of each view of a batch are observed, None where all are."""
        return [part.observed(v) for part, v in zip(self.networks, values, strict=True)]

    def encode(self, views, pattern, patterns=None, table=None):
        """Return codes for views, given which modalities may be seen.

        Parameters
        ----------
        views : list of Tensor (rows, columns)
        pattern : Tensor of shape (..., rows), int64
            Rows of `patterns`; leading dimensions are several subsets of the same rows.
        patterns, table : Tensor, optional
            Other patterns than the network's own, and their `regressions`.

        Returns
        -------
        Tensor of shape (..., rows, components)
            Of about unit variance.
        """
        return self._fused(views, pattern, patterns, table)

    def _fused(self, views, pattern, patterns, table, prepared=lambda start: start):
        """Return the linear code and what the fusion adds to it."""
        patterns = self.patterns if patterns is None else patterns
        table = self.table if table is None else table
        projected = torch.cat(
            [project(view) for project, view in zip(self.projections, views, strict=True)], 1
        )
        # One product for all patterns, then each row picks its own: no row-wise matrices.
        linear = matmul(projected, table.flatten(0, 1)).unflatten(1, (len(table), -1))
        start = prepared(linear[torch.arange(len(projected), device=linear.device), pattern])
        encodings = torch.stack(
            [network.encode(view) for network, view in zip(self.networks, views, strict=True)]
        )
        present = patterns[pattern].movedim(-1, -2)
        code = start + self.fusion(encodings, present, start)
        # Nothing observed: the average row's code, whatever the fusion makes of nothing.
        return torch.where(present.any(-2)[..., None], code, 0)

    def outputs(self, code, m):
        """Return the outputs of a modality for codes, (..., components) to (..., n_outputs)."""
        return self.networks[m].decode(code)

    def deviances(self, code, batch):
        """Return each modality's deviance, (modality, ..., rows), 0 where it is absent.

        Parameters
        ----------
        code : Tensor of shape (..., rows, components)
        batch : Batch
        """
        there = self.patterns[batch.pattern].T
        return torch.stack(
            [
                torch.where(present, part.deviance(self.outputs(code, m), values), 0)
                for m, (part, values, present) in enumerate(
                    zip(self.networks, batch.values, there, strict=True)
                )
            ]
        )

    def loss_names(self, names):
        """Return what each entry of the loss is called, given the names of the modalities."""
        # No modality can be called so.
        return [*names, *(f"extra_terms__{term}" for term in self.extra_terms)]

    def draw(self, pattern, generator):
        """Draw what the encoder may see: all of each row and, if asked for, a random part of it.

        Parameters
        ----------
        pattern : Tensor of shape (rows,), int64
            What is present.
        generator : torch.Generator

        Returns
        -------
        Tensor of shape (subsets, rows), int64
            Rows of `patterns`.
        """
        if self.chances is None:
            return pattern[None]
        draw = torch.rand(len(pattern), generator=generator, device=pattern.device)
        part = torch.searchsorted(self.chances, draw).clamp_max(len(self.chances) - 2)
        return torch.stack([pattern, self.meet[pattern, part]])

    def row_losses(self, views, batch, shown, generator):
        """Return the loss of each row, (modality, rows), and last the extra terms.

        Parameters
        ----------
        views : list of Tensor (rows, columns)
            What the encoder sees.
        batch : Batch
            What is to be decoded: all that is observed.
        shown : Tensor of shape (subsets, rows), int64
            See `draw`.
        generator : torch.Generator
            For losses that take draws; this one takes none.
        """
        codes = self.encode(views, self._with_singles(shown, batch.pattern))
        deviances = self.deviances(codes[: len(shown)], batch)
        if len(shown) == 1:
            losses = deviances[:, 0]
        else:
            losses = torch.lerp(deviances[:, 0], deviances[:, 1], self.modality_dropout)
        # A modality that is rarely there counts as much as one that always is.
        losses = losses / (self.share * len(self.networks))[:, None]
        return self._with_terms(losses, codes[len(shown) :], batch)

    def _with_singles(self, shown, pattern):
        """Return the subsets and, for the extra terms, each modality alone."""
        if not self.extra_terms:
            return shown
        return torch.cat([shown, self.meet[pattern, self.singles[:, None]]])

    def _with_terms(self, losses, alone, batch):
        """Return losses and last the extra terms, given the codes from each modality alone."""
        if not self.extra_terms:
            return losses
        # As `transform` returns codes, where components count by what they explain.
        alone, there = self.scale * alone, self.patterns[batch.pattern].T
        terms = [
            weight * EXTRA_TERMS[name](alone, there) for name, weight in self.extra_terms.items()
        ]
        return torch.cat([losses, torch.stack(terms)])

    def judged(self, batch, draw):
        """Return the loss of each row that decides whether the networks are kept, (rows,).

        Parameters
        ----------
        batch : Batch
            Of held-out rows.
        draw : callable
            Returns a new generator, always the same.
        """
        shown = self.draw(batch.pattern, draw())
        losses = self.row_losses(self.views(batch.values), batch, shown, draw())
        # Extra terms help to learn; whether networks are better is for the other losses to say.
        return losses[: len(losses) - len(self.extra_terms)].sum(0)

    def forward(self, batch, shown, noise, generator):
        """Return the losses of `row_losses`, averaged over rows.

        Parameters
        ----------
        batch : Batch
        shown : Tensor of shape (subsets, rows), int64
            See `draw`.
        noise : float
            Strength of the corruption of what the encoder sees.
        generator : torch.Generator
        """
        if self.training:
            augmented = [
                network.augment(values, generator)
                for network, values in zip(self.networks, batch.values, strict=True)
            ]
            batch = Batch(augmented, batch.pattern)
        views = self.views(batch.values)
        if noise:
            views = [
                network.corrupt(view, noise, generator)
                for network, view in zip(self.networks, views, strict=True)
            ]
        return self.row_losses(views, batch, shown, generator).mean(1)


def _chances(patterns, modality_dropout):
    """Return the cumulated chances of the patterns of presence to be drawn, or None for none."""
    if patterns.shape[1] == 1 or not modality_dropout:
        return None
    seen = patterns.sum(1, dtype=torch.float32)
    hidden = patterns.shape[1] - seen
    chance = (1 - modality_dropout) ** seen * modality_dropout**hidden
    chance[0] = chance[-1] = 0  # nothing teaches nothing; everything is the first code
    return (chance / chance.sum()).cumsum(0)


def _meet(patterns):
    """Return the table of intersections: (patterns, patterns), int64.

    Where the intersection is empty or not among the patterns, the first one stays.
    """
    keys = {tuple(p): i for i, p in enumerate(patterns.tolist())}
    table = torch.arange(len(patterns))[:, None].repeat(1, len(patterns))
    for i, a in enumerate(patterns.tolist()):
        for j, b in enumerate(patterns.tolist()):
            both = tuple(x and y for x, y in zip(a, b, strict=True))
            if any(both) and both in keys:
                table[i, j] = keys[both]
    return table
