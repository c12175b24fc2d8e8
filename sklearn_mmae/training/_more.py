"""One more epoch of a net that has been taught, and the net as it was where that fails."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ._batches import Rows
from ._net import AutoencoderNet, StopTraining

__all__ = ["as_before_on_error", "one_more_epoch"]


def one_more_epoch(net: AutoencoderNet, rows: Rows) -> None:
    """Train a net for one more epoch of these rows, within `as_before_on_error`."""
    weights, network = net.weights_, net.module_
    network.guard(False, is_held=network.is_held)
    weights.swap()  # what is shown are the means; steps are taken from the weights themselves
    net.notify("on_train_begin", X=rows, y=None)
    with suppress(StopTraining):  # it is one epoch anyway
        net.learn_more(rows)
    net.notify("on_train_end", X=rows, y=None)
    weights.swap()


@contextmanager
def as_before_on_error(net: AutoencoderNet) -> Iterator[None]:
    """Leave a net as it was, to the bit and to the next random number, if anything is raised."""
    weights, n_steps = net.weights_, net.weights_.n_steps
    shown, running = weights.copy(), [mean.clone() for mean in weights.averages]
    moments, n_epochs = copy.deepcopy(net.optimizer_.state_dict()), len(net.history_)
    network, guards = net.module_, net.module_.guards.clone()
    generators = [net.generator, net.iterator_train__generator]
    states = [generator.get_state() for generator in generators]
    try:
        yield
    except BaseException:
        weights.set(shown)
        network.guards.copy_(guards)
        network.obey_guards()
        weights.averages, weights.n_steps = running, n_steps
        net.optimizer_.load_state_dict(moments)
        del net.history_[n_epochs:]
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)
        raise
    finally:
        network.eval()
