"""How a network is taught: hold rows out, start linear, train, keep what helps, finish on all rows.

The held-out rows decide after how many epochs to stop, which decoders are better without their
networks (`_guard`), and whether the networks help at all. They are kept only if they lower the
held-out loss by more than one standard error of the paired difference; otherwise the model is the
linear start on all rows. So a small or linear table gets its principal components, exactly.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from skorch.callbacks import Callback
from torch import Tensor

from .._core.errors import LostRankError, warn
from .._core.later import Later
from .._core.memory import give_back
from .._core.progress import LOG
from .._core.random import Generators
from ..nn._blocks import initialise, seed_dropout
from ..statistics import Statistics
from ._batches import Batch, Rows
from ._best import BestEpoch
from ._calibration import MOST_TAUGHT
from ._folds import Folds, held_out, is_cheap_to_refit, refitted
from ._gradients import MakeGradients, PlainGradients
from ._guard import LinearReaders, held_out_losses, judge_decoders
from ._joint import JointNetwork
from ._net import AutoencoderNet, StopTraining
from ._patterns import shares_of
from ._progress import Progress
from ._rates import NEVER, Deadline, finishing, one_cycle
from ._settings import MOST_OF_AN_EPOCH, Settings
from ._translation import weigh
from .start._begin import seen_blocks, start_linear
from .start._moments import ViewMoments, learn_view_moments

__all__ = ["Learned", "Lesson", "make_net"]

LEAST_HELD_OUT = 50  # rows, as far as they are at most LARGEST_HELD_OUT of all
LARGEST_HELD_OUT = 0.3
STANDARD_ERRORS = 1.0  # at least, by which the networks must beat the linear start
USUAL_ROWS = 1024  # to learn from, where nobody knows how many they will be
MOST_HELD_OUT = 1024  # rows: enough to decide by, and to calibrate by
TIME_TO_TRAIN, TIME_TO_FINISH = 0.75, 0.9  # shares of what is left of `max_time`
FINISH = 0.3  # epochs on all rows after the held-out ones have spoken, as a share of those before
FIRST, SLOWER = 2, 0.3  # epochs; share of the learning rate where the first were the best
LEAST_FINISH = 3  # such epochs: where the held-out loss stops training early, at high rates still;
# but never more than `max_epochs` ask for


@dataclass(frozen=True)
class Learned:
    """What a lesson leaves."""

    net: AutoencoderNet
    interrupted: BaseException | None  # what ended training early; the best epoch is kept
    calibration: Later | None  # by rows that no network had seen, if there were any
    moments: ViewMoments | None  # of the views, where it began with the closed form


class Lesson:
    """Teach a network all it can learn from some rows: `begin`, `run`, `judge`, `finish`.

    Parameters
    ----------
    network : JointNetwork
        On the CPU, weights not yet initialised.
    rows : Rows
        On the device.
    settings : Settings
    generators : Generators
    statistics : Statistics
        Asked for whatever is counted in the rows, and to choose by their losses.
    progress : Progress
        Hears of every epoch.
    names : list of str
        Of the modalities.
    calibrate : callable
        ``calibrate(folds)`` measures networks on rows that they were not trained on.
    previous : JointNetwork, optional
        Go on from the weights of this one, of the same shape, instead of drawing them.
    make_gradients : callable
        Makes the `Gradients` of a stretch of epochs.
    deadline : Deadline, optional
        When the last step may be taken. Default: never.
    """

    def __init__(
        self,
        network: JointNetwork,
        rows: Rows,
        settings: Settings,
        generators: Generators,
        statistics: Statistics,
        progress: Progress,
        *,
        names: Sequence[str],
        calibrate: Callable[[Folds], Any],
        previous: JointNetwork | None = None,
        make_gradients: MakeGradients = PlainGradients,
        deadline: Deadline = NEVER,
    ):
        self.deadline = deadline
        self.network, self.rows, self.settings = network, rows, settings
        self.generators, self.statistics, self.progress = generators, statistics, progress
        self.names, self.previous = names, previous
        self.make_gradients, self.calibrate = make_gradients, calibrate
        self.moments: ViewMoments | None = None  # of the views of the rows to train on
        self.starts_linear = previous is None and settings.init == "linear"
        # Against a good beginning the networks have to prove themselves.
        self.guarded = self.starts_linear or previous is not None

    def learn(self) -> Learned:
        """Go through the whole lesson."""
        for stage in (self.begin, self.run, self.judge):
            stage()
            if self.rows.are_wide:
                give_back()
        return self.finish()

    def begin(self) -> None:
        """Hold rows out, and set the weights to those that training starts from."""
        self.train, self.held_out = self._split()
        if self.previous is None:
            of_weights = self.generators.of_weights
            initialise(self.network, of_weights, residuals_at_zero=self.starts_linear)
        else:
            self.network.load_state_dict(self.previous.state_dict())
            self.network.guard(False, is_held=self.network.is_held)
        self.network.to(self.rows.pattern.device)
        self.network.share.copy_(self._shares())
        if self.starts_linear:
            of_order = self.generators.of_order
            self.before_start = of_order.get_state()
            self.moments = self._start_linear(self.train, "start", of_order)
            if self.network.target is not None and self.network.guards_parts:
                # What the start knows of it is what linear models and trees read best.
                self.network.guard(False, is_held=True)
        self.net = make_net(
            self.network,
            self.settings,
            self.generators,
            self.network.loss_names(self.names),
            n_rows=len(self.rows),
            make_gradients=self.make_gradients,
        )

    def run(self) -> None:
        """Run the epochs, until they are over, do not help, or are interrupted."""
        self.interrupted = None
        self.first = self.net.weights_.copy()
        if self.statistics.is_private:
            self._run_untold()
            return
        trains = self.settings.max_epochs > 0
        if self.held_out is not None:
            self.before = self._held_out_losses() if self.guarded and trains else None
            self.best = BestEpoch(
                self.settings.n_iter_no_change, self.settings.tol, self.statistics
            )
        may_lose = len(self.names) > 1 and not self.network.is_held
        if trains and self._parts_are_guarded and may_lose:
            readers = LinearReaders(
                self.network, self.train, self.held_out, self.best.is_last, self.statistics
            )
            self._run_cycle(readers)
            if readers.lost_:
                self._begin_held()
                self._run_cycle()
        else:
            self._run_cycle()
        if self._has_leapt():
            self._run_slower()
        if trains and not len(self.net.history):
            self.net.weights_.restart(self.first)
            if self.interrupted is None:
                warn(
                    "max_time was over before an epoch had ended: nothing was learned but the"
                    " start. Give more seconds, or max_epochs=0 if it is all you want."
                )

    def _run_untold(self) -> None:
        """Run all epochs, of whose losses nobody hears: they are of the rows."""
        epochs = self.settings.max_epochs
        learning = self.net.learn_unheard(self.train, epochs, one_cycle, self.deadline)
        try:
            with suppress(StopTraining):
                self.progress.finish(learning, epochs)
        except KeyboardInterrupt as interrupted:
            self.interrupted = interrupted

    @property
    def _parts_are_guarded(self) -> bool:
        return self.starts_linear and self.held_out is not None and self.network.guards_parts

    def _begin_held(self) -> None:
        """Go back to the linear start, from which embeddings may then not go far."""
        LOG.info("linear readers lose by the networks: vectors are held near the linear ones")
        self.net.weights_.restart(self.first)
        self.net.optimizer_.state.clear()
        self.network.guard(False, is_held=True)

    def _has_leapt(self) -> bool:
        """Whether the first epochs, of the smallest steps, did no good, and all others harm."""
        tried = self.starts_linear and self.held_out is not None and self.interrupted is None
        if not (tried and self.best.has_stopped_ and 0 < self.best.epoch_ <= FIRST):
            return False
        self.net.weights_.set(self.best.best_)
        return not self._beats(self.before, self._held_out_losses(), "first epochs")

    def _run_slower(self) -> None:
        """Begin once more with smaller steps, and keep what is better."""
        LOG.info("the first epochs were the best: once more, with %g of the learning rate", SLOWER)
        before = self.best.best_, self.best.loss_, self.best.epoch_
        self.net.weights_.restart(self.first)
        self.net.optimizer_.state.clear()
        for group in self.net.optimizer_.param_groups:
            group["lr"] *= SLOWER
        self._run_cycle()
        if not self.best.loss_ < before[1]:
            self.best.best_, self.best.loss_, self.best.epoch_ = before

    def _run_cycle(self, *listeners: Callback) -> None:
        """Run the epochs that are left."""
        net, epochs = self.net, self.settings.max_epochs - len(self.net.history)
        if self.held_out is not None:
            listeners = (self.best, *listeners)
        with net.heard_by(*listeners, self.progress):
            net.notify("on_train_begin", X=self.train, y=None)
            try:
                deadline = self.deadline.of(TIME_TO_TRAIN)
                net.learn(self.train, self.held_out, epochs=epochs, deadline=deadline)
            except StopTraining:
                net.drop_open_epoch()
            except (KeyboardInterrupt, LostRankError) as interrupted:
                net.drop_open_epoch()
                self.interrupted = interrupted
            finally:
                net.notify("on_train_end", X=self.train, y=None)

    def judge(self) -> None:
        """Keep the best epoch, or what there was before; measure how far off it is."""
        self.calibration, self.helped = None, True
        if self.held_out is None:
            return
        self.net.weights_.set(self.best.best_)
        with self._best_kept():
            self._judge()

    @contextmanager
    def _best_kept(self) -> Iterator[None]:
        """Let Ctrl-C end what comes after the epochs, and leave what was learned until then."""
        best = {name: known.clone() for name, known in self.network.state_dict().items()}
        try:
            yield
        except (KeyboardInterrupt, LostRankError) as interrupted:
            self.network.load_state_dict(best)
            self.interrupted = interrupted

    def _judge(self) -> None:
        if self._parts_are_guarded and self.best.epoch_:
            judge_decoders(self.network, self.train, self.held_out, self.statistics)
        self.helped = not self.guarded or self._has_helped()
        if not self.helped:
            LOG.info("the networks do not lower the loss of held-out rows: they are left out")
            self._undo()
        if self.previous is None:  # which may have been trained on these very rows
            self._weigh_direct()
            self.calibration = self._calibrated()

    def _calibrated(self) -> Later:
        """Return the calibration of the network as it is now, before it has seen these rows."""
        generator, train = self.generators.on_device, self.train.rows
        network = copy.deepcopy(self.network, {id(generator): generator})
        if not self.helped and self.starts_linear and is_cheap_to_refit(network, self.rows):
            statistics = self.statistics.of("calibration")
            known = network, self.settings, generator, self.before_start, statistics
            folds = partial(refitted, *known)
        else:
            n_taught = min(len(train), MOST_TAUGHT)
            train = train[torch.linspace(0, len(train) - 1, n_taught, device=train.device).long()]
            finished = self.network if self.helped else None
            folds = partial(held_out, network, finished, n_taught)
        every = Rows(self.rows.values, self.rows.pattern)
        rows = every.copied(torch.cat([train, self.held_out.rows]))
        return rows.later(partial(_calibrated, self.calibrate, folds), self.statistics)

    def _weigh_direct(self) -> None:
        """Learn the regressions beside the embedding, and how much they count."""
        direct = self.network.direct
        if direct is not None:
            direct.learn(self._moments())
            direct.cross_validate(self.moments.n_rows)
            weigh(self.network, self.held_out, self.statistics.of("regressions"))

    def _moments(self) -> ViewMoments:
        """Return the second moments of the rows to train on, learning them if need be."""
        if self.moments is None:
            self.moments = learn_view_moments(
                self._blocks_of(self.train),
                len(self.network.scale),
                torch.Generator().manual_seed(0),
                self.statistics.of("views").over_all(),
            )
        return self.moments

    def _blocks_of(self, rows: Rows) -> Callable:
        return partial(seen_blocks, self.network, list(self.network.networks), rows)

    def _undo(self) -> None:
        """Go back to what there was before, without the networks of the linear start."""
        self.net.weights_.set(self.first)
        if self.previous is not None:
            self.network.guards.copy_(self.previous.guards)
            self.network.obey_guards()
        else:
            self.network.guard(True, is_linear=True)

    def finish(self) -> Learned:
        """Let all rows have their part: epochs from the best weights on, or the linear start."""
        weights = self.net.weights_
        if self.held_out is None:
            weights.swap()
            if self.network.direct is not None and self.previous is None:
                self.network.direct.learn(self._moments())
            if self.starts_linear and not weights.n_steps:
                self.network.guard(True, is_linear=True)
            return Learned(self.net, self.interrupted, self.calibration, self.moments)
        with self._best_kept():
            if self.helped and self.interrupted is None and self.best.epoch_:
                epochs = max(LEAST_FINISH, round(FINISH * self.best.epoch_))
                self._learn_on(min(epochs, self.settings.max_epochs))
                self._complete_direct()
            elif not self.helped and self.starts_linear:
                self._start_again()
                if self.network.direct is not None:
                    self.network.direct.learn(self.moments)
        weights.averages = weights.copy()
        return Learned(self.net, self.interrupted, self.calibration, self.moments)

    def _shares(self) -> Tensor:
        """Return in which share of the rows each of the decoders has something to decode."""
        network, rows = self.network, self.rows
        if self.statistics.is_private:
            return torch.ones_like(network.share)  # only training asks for them
        shares = shares_of(network.patterns, rows.pattern, self.statistics)
        if network.target is None:
            return shares
        labelled = network.present(Batch(rows.values, rows.pattern))[:, -1].long()
        counts = self.statistics.counts("labels", labelled.cpu().numpy(), 2)
        return torch.cat([shares, torch.tensor([counts[1] / counts.sum()]).float()])

    def _split(self) -> tuple[Rows, Rows | None]:
        """Return the rows to train on and those held out, if any are."""
        rows, n = self.rows, len(self.rows)
        if not self.settings.early_stopping:
            return rows, None
        share = self.settings.validation_fraction
        n_held = round(max(share * n, min(LEAST_HELD_OUT, LARGEST_HELD_OUT * n)))
        n_held = min(n_held, MOST_HELD_OUT, n - 1)
        if n_held < 1:
            return rows, None
        order = torch.randperm(n, generator=self.generators.of_order).to(rows.pattern.device)
        train, held_out = (
            rows.subset(some.sort().values) for some in order.tensor_split([n_held])[::-1]
        )
        train.rest, train.share = rows.rest, rows.share
        return train, held_out

    def _start_linear(
        self,
        rows: Rows,
        scope: str,
        generator: torch.Generator,
        known: ViewMoments | None = None,
    ) -> ViewMoments:
        statistics = self.statistics.of(scope).over_all()
        return start_linear(self.network, rows, self.settings, generator, statistics, known)

    def _start_again(self) -> None:
        """Begin with all rows; where most are no part of the sample, they are not read again."""
        # The same draws: what refused networks leave is what max_epochs=0 gives.
        again = torch.Generator()
        again.set_state(self.before_start)
        adds = self.rows.rest is not None and self.network.target is None
        known = self._moments_of_all() if adds else None
        self.moments = None  # large, and not to be there twice
        self.moments = self._start_linear(self.rows, "start of all rows", again, known)

    def _moments_of_all(self) -> ViewMoments:
        """Return the moments of the rows to train on, and of those held out beside them."""
        blocks, k = self._blocks_of(self.held_out), len(self.network.scale)
        return self._moments().with_rows(blocks, k, self.statistics.of("rows held out"))

    def _complete_direct(self) -> None:
        """Let the regressions learn from the rows held out, too."""
        if self.network.direct is not None and self.previous is None:
            self.network.direct.learn(self._moments_of_all())

    def _learn_on(self, epochs: int) -> None:
        """Go on from the weights there are with all rows, steps shrinking to nothing."""
        weights = self.net.weights_
        weights.averages = weights.copy()
        deadline = self.deadline.of(TIME_TO_FINISH)
        learning = self.net.learn_unheard(self.rows, epochs, finishing, deadline)
        with suppress(StopTraining):
            self.progress.finish(learning, epochs)
        weights.swap()

    def _has_helped(self) -> bool:
        """Whether there was an epoch that left the networks better than what there was before."""
        return self.best.epoch_ > 0 and self._beats(self.before, self._held_out_losses())

    def _held_out_losses(self) -> Tensor:
        """Return the validation loss of each held-out row, as the epochs measure it."""
        self.network.eval()
        return held_out_losses(self.held_out, self.network.judged)

    def _beats(self, before: Tensor, after: Tensor, name: str = "networks") -> bool:
        """Whether the networks are clearly better, row by row, than what there was before."""
        losses = torch.stack([before, after])
        return self.statistics.choose(name, losses, margin=STANDARD_ERRORS) == 1


def _calibrated(calibrate: Callable, folds: Callable, rows: Rows) -> Any:
    return calibrate(folds(rows))


def make_net(
    network: JointNetwork,
    settings: Settings,
    generators: Generators,
    names: Sequence[str],
    *,
    n_rows: int = USUAL_ROWS,
    make_gradients: MakeGradients = PlainGradients,
) -> AutoencoderNet:
    """Return an initialised net around a network, on its device; `names` are those of losses."""
    seed_dropout(network, generators.on_device)
    optimizer = settings.find_optimizer()
    accepted = inspect.signature(optimizer).parameters
    options = {"weight_decay": settings.weight_decay, "fused": True}
    if isinstance(settings.optimizer, str):
        options["betas"] = network.betas
    return AutoencoderNet(
        network,
        noise=settings.noise,
        generator=generators.on_device,
        names=names,
        make_gradients=make_gradients,
        lr=settings.lr,
        max_epochs=settings.max_epochs,
        batch_size=settings.find_batch_size(n_rows),
        device=network.patterns.device,
        callbacks=list(settings.callbacks or ()),
        optimizer=optimizer,
        iterator_train__generator=generators.of_order,
        iterator_train__most=MOST_OF_AN_EPOCH,
        **{f"optimizer__{name}": value for name, value in options.items() if name in accepted},
    ).initialize()
