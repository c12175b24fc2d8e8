"""`JointNetwork`: encoders, a linear path, a fusion, decoders; what both kinds share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from ..fusion import Fusion
from ..nn._blocks import layer, matmul
from ..nn._modality import ModalityNetwork
from ..nn._sparse import View
from ..statistics import Statistics
from ._batches import Batch
from ._direct import Direct, DirectRegressions
from ._patterns import MOST_ENUMERATED, chances_of, meetings_of
from ._products import by_pattern, by_tiles
from ._terms import EXTRA_TERMS
from .start._moments import ViewMoments

__all__ = ["JointNetwork", "NewGenerator", "Paths", "RowBlocks", "Views"]

Views = Sequence[View]  # (rows, columns) of each modality
Paths = tuple[Tensor, ...]  # patterns of presence and what belongs to each, patterns first
RowBlocks = Callable[[], Iterable[tuple[list[View], list[Tensor | None], Tensor]]]
NewGenerator = Callable[[], torch.Generator]

MANY_PATTERNS = 32  # from which on rows are grouped by theirs in training
FEW_PATHS = 256  # numbers that all patterns make of a row: one product for all costs less


class JointNetwork(nn.Module, ABC):
    """One embedding for a row of several modalities, from any part of them, and back.

    The embedding of a row is linear in the views of the modalities that may be seen, and what the
    fusion makes of their encodings is added to it. A subclass has the linear path and its closed
    form, so that training begins at the linear optimum for every subset; and what a loss is.

    Parameters
    ----------
    networks : list of ModalityNetwork
    fusion : Fusion
        Already built.
    patterns : Tensor of shape (patterns, modalities), bool
        See `list_patterns`.
    modality_dropout : float
        Chance of each modality to be hidden in a random part of a row.
    extra_terms : dict of str to float
        Weights of those of `EXTRA_TERMS` that are to be part of the loss.
    n_components : int
    n_projected : int
        Columns that the linear path makes of each view.
    target : ModalityNetwork, optional
        Decodes what embeddings are to tell besides, and is never encoded.
    weights : sequence of float, optional
        How much the loss of each modality counts, and last that of a target. Default: all alike.
    private : Tensor of shape (modalities, components), bool, optional
        Components that only this modality's decoder hears of.

    Attributes
    ----------
    scale : Tensor of shape (components,)
        A buffer of the subclass: what `transform` multiplies embeddings by.
    explained : Tensor of shape (components,)
        A buffer: share of the views' variance that each component explains in the linear start;
        zeros without one.
    direct : DirectRegressions or None
        What predicts absent modalities beside the embedding; None for one modality.
    """

    scale: Tensor
    table: Tensor | None  # regressions of the own patterns
    betas = (0.9, 0.999)  # of Adam, as a rule: a subclass may forget sooner
    own_losses: tuple[str, ...] = ()  # names of those beside the modalities' own
    has_prior: bool = False  # whether codes have a distribution that is part of the model
    guards_parts: bool = True  # whether decoders are judged one by one, and codes by who reads them

    def __init__(
        self,
        networks: Sequence[ModalityNetwork],
        fusion: Fusion,
        patterns: Tensor,
        modality_dropout: float,
        extra_terms: dict[str, float],
        *,
        n_components: int,
        n_projected: int,
        target: ModalityNetwork | None = None,
        weights: Sequence[float] | None = None,
        private: Tensor | None = None,
    ):
        super().__init__()
        self.modality_dropout, self.extra_terms = modality_dropout, extra_terms
        self.networks, self.fusion = nn.ModuleList(networks), fusion
        self.target = target
        weights = torch.tensor(weights or [1.0] * len(self.decoders))
        self.register_buffer("weights", weights, persistent=False)
        self.projections = nn.ModuleList(
            layer(nn.Linear, network.n_view, n_projected, bias=False) for network in networks
        )
        self.register_buffer("patterns", patterns)
        self.register_buffer("meet", meetings_of(patterns))
        self.register_buffer("share", torch.ones(len(self.decoders)))
        self.register_buffer("explained", torch.zeros(n_components))
        self.register_buffer("private", private, persistent=False)
        # Of each decoder, whether it is linear; whether the encoder is; whether codes are held.
        self.register_buffer("guards", torch.zeros(len(self.decoders) + 2, dtype=torch.bool))
        self.is_linear = self.is_held = False
        self.register_load_state_dict_post_hook(lambda network, _: network.obey_guards())
        alone = patterns & (patterns.sum(1, keepdim=True) == 1)
        self.register_buffer("singles", alone.int().argmax(0), persistent=False)
        self.direct = DirectRegressions(networks, n_components) if len(networks) > 1 else None
        # Drawn by inverting the distribution: multinomial would wait for the device.
        chances = chances_of(patterns, modality_dropout)
        self.register_buffer("chances", chances, persistent=False)

    @property
    def decoders(self) -> list[ModalityNetwork]:
        """The networks that are decoded: of each modality, and last of a target."""
        return [*self.networks, *([] if self.target is None else [self.target])]

    def guard(
        self,
        linear_decoders: Sequence[bool] | bool,
        *,
        is_linear: bool = False,
        is_held: bool = False,
    ) -> None:
        """Say where networks are left out.

        Parameters
        ----------
        linear_decoders : sequence of bool, or bool
            Of each of `decoders`, or of all: whether it is its linear path alone.
        is_linear : bool, default=False
            Whether an embedding is that of the linear path alone.
        is_held : bool, default=False
            Whether what is added to it has to stay small, and the linear path as it is.
        """
        if isinstance(linear_decoders, bool):
            linear_decoders = [linear_decoders] * len(self.decoders)
        self.guards.copy_(torch.tensor([*linear_decoders, is_linear, is_held]))
        self.obey_guards()

    def obey_guards(self) -> None:
        """Do what the buffer `guards` says."""
        # Plain bools: a tensor would make every step wait for the device.
        *decoders, self.is_linear, self.is_held = self.guards.tolist()
        for part, is_linear in zip(self.decoders, decoders, strict=True):
            part.keep_linear(is_linear)

    # What the two kinds of networks differ in --------------------------------------------------

    @abstractmethod
    def learn_start(
        self,
        blocks: RowBlocks,
        generator: torch.Generator,
        *,
        rotate: bool,
        statistics: Statistics,
        known: ViewMoments | None = None,
    ) -> tuple[list[Tensor], ViewMoments]:
        """Set the linear path from the closed form.

        Parameters
        ----------
        blocks, generator, rotate, statistics, known
            See `fit_linear_start`.

        Returns
        -------
        decoders : list of Tensor, each of shape (n_view, components)
            ``view ~ decoder @ code``.
        moments : ViewMoments
            Of the modalities' views.
        """

    @abstractmethod
    def regressions(self, patterns: Tensor) -> Tensor:
        """Return how each pattern of presence makes an embedding of the projected views.

        Parameters
        ----------
        patterns : Tensor of shape (patterns, modalities), bool

        Returns
        -------
        Tensor of shape (patterns, components, modalities * projected)
        """

    @abstractmethod
    def paths_of(self, patterns: Tensor) -> Paths:
        """Return patterns of presence, their `regressions`, and what else a vector is made with."""

    @property
    @abstractmethod
    def own_paths(self) -> Paths:
        """Those of the network's own patterns, for training."""

    @property
    def has_few_paths(self) -> bool:
        """Whether it knows every pattern, and one product for all costs less than groups."""
        knows_all = len(self.networks) <= MOST_ENUMERATED
        return knows_all and len(self.patterns) * len(self.scale) <= FEW_PATHS

    @abstractmethod
    def encode(self, views: Views, pattern: Tensor, paths: Paths | None = None) -> Tensor:
        """Return embeddings for views, given which modalities may be seen.

        Parameters
        ----------
        views : list of Tensor (rows, columns)
        pattern : Tensor of shape (..., rows), int64
            Rows of the patterns; leading dimensions are several subsets of the same rows.
        paths : tuple of Tensor, optional
            Default: the own ones.

        Returns
        -------
        Tensor of shape (..., rows, components)
            Of about unit variance.
        """

    @abstractmethod
    def draw(self, pattern: Tensor, generator: torch.Generator) -> Tensor:
        """Draw what the encoder may see: several subsets of what is present in each row.

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

    @abstractmethod
    def row_losses(
        self, views: Views, batch: Batch, shown: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the loss of each row: of the modalities, `own_losses`, last the extra terms.

        Parameters
        ----------
        views : list of Tensor (rows, columns)
            What the encoder sees.
        batch : Batch
            What is to be decoded: all that is observed.
        shown : Tensor of shape (subsets, rows), int64
            See `draw`.
        generator : torch.Generator
            For losses that take draws.

        Returns
        -------
        Tensor of shape (losses, rows)
        """

    @abstractmethod
    def judged(self, batch: Batch, draw: NewGenerator) -> Tensor:
        """Return the loss of each row that decides whether the networks are kept, (rows,).

        Parameters
        ----------
        batch : Batch
            Of held-out rows.
        draw : callable
            Returns a new generator, always the same.
        """

    # What rows, codes and losses are made of --------------------------------------------------

    def views(self, values: Sequence[dict[str, Tensor]]) -> list[View]:
        """Return the view of each modality of a batch, whatever else there is of it."""
        return [network.view(v) for network, v in zip(self.networks, values, strict=False)]

    def observed(self, values: Sequence[dict[str, Tensor]]) -> list[Tensor | None]:
        """Return which numbers of each view of a batch are observed, None where all are."""
        return [part.observed(v) for part, v in zip(self.networks, values, strict=False)]

    def present(self, batch: Batch) -> Tensor:
        """Return what there is to decode: (rows, decoders) bool; of a target, rows with a label."""
        present = self.patterns[batch.pattern]
        if self.target is None:
            return present
        observed = self.target.observed(batch.values[-1])
        labelled = torch.ones_like(present[:, 0]) if observed is None else observed.any(1)
        return torch.cat([present, labelled[:, None]], 1)

    def _linear(self, views: Views, pattern: Tensor, table: Tensor) -> Tensor:
        """Return the linear embedding of each row from what its pattern shows.

        views      modality x (row, column)                      -> (row, modality * projected)
        x table    (pattern, component, modality * projected)    -> (row, pattern, component)
        [pattern]  (..., row)                                    -> (..., row, component)
        """
        projected = torch.cat(
            [project(view) for project, view in zip(self.projections, views, strict=True)], 1
        )
        projected = projected.detach() if self.is_held else projected
        if projected.device.type == "cpu":
            if self.training and len(table) >= MANY_PATTERNS:
                return by_pattern(projected, pattern, table)
            if not self.training and not (self.has_few_paths and table is self.table):
                return by_tiles(projected, pattern, table)
        # One product for all patterns, then each row picks its own: no row-wise matrices.
        linear = matmul(projected, table.flatten(0, 1)).unflatten(1, (len(table), -1))
        return linear[torch.arange(projected.shape[0], device=linear.device), pattern]

    def _fused(self, views: Views, start: Tensor, present: Tensor) -> Tensor:
        """Return the linear embedding and what the fusion adds to it.

        views      modality x (row, column)                      -> (modality, row, width)
        present    (..., row, modality)                          -> (..., modality, row)
        + start    (..., row, component)                         -> (..., row, component)
        """
        if self.is_linear:
            return torch.where(present.any(-1)[..., None], start, 0)
        present = present.movedim(-1, -2)
        encodings = torch.stack(
            [network.encode(view) for network, view in zip(self.networks, views, strict=True)]
        )
        code = start + self.fusion(encodings, present, start)
        # Nothing observed: the average row's code, whatever the fusion makes of nothing.
        return torch.where(present.any(-2)[..., None], code, 0)

    def outputs(
        self, code: Tensor, m: int, reduced: Tensor | None = None, beside: Direct | None = None
    ) -> Tensor:
        """Return the outputs of one of `decoders`.

        A modality hears nothing of others' private components.

        Parameters
        ----------
        code : Tensor of shape (..., components)
        m : int
        reduced : Tensor of shape (..., reduced columns of all), optional
            See `reduce`.
        beside : Direct, optional
            What else predicts the modality, if it is absent: see `beside`.

        Returns
        -------
        Tensor of shape (..., n_outputs)
        """
        outputs = self.decoders[m].decode(self._heard(code, m))
        return outputs if beside is None else self.blended(outputs, reduced, m, beside)

    def blended(self, outputs: Tensor, reduced: Tensor, m: int, beside: Direct) -> Tensor:
        """Return outputs for a vector and what else predicts an absent modality; see `outputs`."""
        predicted, noise = self.direct.view(reduced, beside, m)
        # The decoder takes the noise along: where it is as strong as what is known, it counts half.
        weight = beside.weight / (1 + noise.square())
        return torch.lerp(self.networks[m].link(predicted), outputs, weight)

    def reduce(self, views: Views) -> Tensor:
        """Return what regressions beside the embedding look at, (rows, reduced columns of all)."""
        if self.direct is None:
            return self.scale.new_zeros(len(views[0]), 0)
        return self.direct.reduce(views)

    def beside(self, pattern: Tensor, targets: Sequence[int]) -> dict[int, Direct]:
        """Return what predicts modalities beside the embedding, those of which anything does.

        Parameters
        ----------
        pattern : Tensor of shape (modalities,), bool
            What is present.
        targets : sequence of int
            Absent modalities.
        """
        if self.direct is None or not pattern.any():
            return {}
        counting = [m for m in targets if self.direct.counts_for(m)]
        return self.direct.given(pattern, counting) if counting else {}

    def loadings(self, m: int) -> Tensor:
        """Return what a unit of each component of an embedding adds to the outputs of a modality.

        Of the linear path alone; see `ModalityNetwork.loadings`.
        """
        return self._heard(self.networks[m].loadings(len(self.scale)), m)

    def _heard(self, code: Tensor, m: int) -> Tensor:
        """Return embeddings without the components that one of `decoders` hears nothing of."""
        if self.private is None or m >= len(self.networks):
            return code
        others = self.private.any(0) & ~self.private[m]
        return torch.where(others, 0, code)

    def deviances(self, code: Tensor, batch: Batch) -> Tensor:
        """Return the deviance of each of `decoders`, (decoder, ..., rows), 0 where it is absent.

        Parameters
        ----------
        code : Tensor of shape (..., rows, components)
        batch : Batch
        """
        return torch.stack(
            [
                torch.where(present, part.decoded_deviance(self._heard(code, m), values), 0)
                for m, (part, values, present) in enumerate(
                    zip(self.decoders, batch.values, self.present(batch).T, strict=True)
                )
            ]
        )

    def _weighted(self, losses: Tensor) -> Tensor:
        """Return losses of the decoders, (decoder, rows), as they count; all are about 1 at first.

        A modality that is rarely there counts as much as one that always is.
        """
        return losses * (self.weights / (self.share * len(self.networks)))[:, None]

    def loss_names(self, names: Sequence[str]) -> list[str]:
        """Return what each entry of the loss is called, given the names of the modalities."""
        # No modality can be called as a term is.
        target = [] if self.target is None else ["target__loss"]
        return [
            *names,
            *target,
            *self.own_losses,
            *(f"extra_terms__{term}" for term in self.extra_terms),
        ]

    def _random_part(self, pattern: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a part of what is present in each row; all of it where nothing is to be hidden."""
        if self.chances is None:
            return pattern
        draw = torch.rand(len(pattern), generator=generator, device=pattern.device)
        part = torch.searchsorted(self.chances, draw).clamp_max(len(self.chances) - 2)
        return self.meet[pattern, part]

    def _with_singles(self, shown: Tensor, pattern: Tensor) -> Tensor:
        """Return the subsets and, for the extra terms, each modality alone."""
        if not self.extra_terms:
            return shown
        return torch.cat([shown, self.meet[pattern, self.singles[:, None]]])

    def _with_terms(self, losses: Tensor, alone: Tensor, batch: Batch) -> Tensor:
        """Return losses and last the extra terms, given the embeddings from each modality alone."""
        if not self.extra_terms:
            return losses
        # As `transform` returns codes, where components count by what they explain.
        alone, there = self.scale * alone, self.patterns[batch.pattern].T
        terms = [
            weight * EXTRA_TERMS[name](alone, there) for name, weight in self.extra_terms.items()
        ]
        return torch.cat([losses, torch.stack(terms)])

    def decoder_losses(self, batch: Batch, draw: NewGenerator) -> Tensor:
        """Return the losses of each of `decoders`, (decoder, rows); see `judged`."""
        shown = self.draw(batch.pattern, draw())
        return self.row_losses(self.views(batch.values), batch, shown, draw())[: len(self.decoders)]

    def _judged_by_losses(self, batch: Batch, draw: NewGenerator) -> Tensor:
        """Return the sum of each row's losses, without extra terms; see `judged`."""
        shown = self.draw(batch.pattern, draw())
        losses = self.row_losses(self.views(batch.values), batch, shown, draw())
        # Extra terms help to learn; whether networks are better is for the other losses to say.
        return losses[: len(losses) - len(self.extra_terms)].sum(0)

    def forward(
        self, batch: Batch, shown: Tensor, noise: float, generator: torch.Generator
    ) -> Tensor:
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
                for network, values in zip(self.decoders, batch.values, strict=True)
            ]
            batch = Batch(augmented, batch.pattern)
        views = self.views(batch.values)
        if noise:
            views = [
                network.corrupt(view, noise, generator)
                for network, view in zip(self.networks, views, strict=True)
            ]
        return self.row_losses(views, batch, shown, generator).mean(1)
