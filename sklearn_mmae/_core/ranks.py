"""`Ranks`: the processes that learn together, each from rows of its own."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, NoReturn
from zlib import crc32

import torch
import torch.distributed as dist
from torch import Tensor

from .errors import LostRankError

__all__ = ["Ranks", "find_ranks", "ranks_at"]

PATIENCE = timedelta(minutes=10)  # that one rank may be later than another
IN_A_HURRY = timedelta(seconds=2)  # to tell another one of an error
OF_TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
TAG = 0  # of all messages: they are heard in their order
FAILED = -1  # in place of what a message is about


class Ranks:
    """What the ranks of a fit say to one another, by point-to-point messages of gloo.

    All of them call the same methods, with equal names, in the same order. So what is computed of
    the answers is the same on all, to the bit.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup
        Of gloo.

    Attributes
    ----------
    rank, size : int
        The number of this one, and how many there are.
    """

    def __init__(self, group: Any):
        self.group, self.rank, self.size = group, group.rank(), group.size()
        self._end: Exception | None = None  # what all ranks know of, and after which none answers

    @property
    def others(self) -> list[int]:
        """The numbers of the others."""
        return [rank for rank in range(self.size) if rank != self.rank]

    def gather(self, name: str, found: Any) -> list:
        """Return what each rank has found, in their order.

        Parameters
        ----------
        name : str
            The same for all, or they are not at the same place.
        found : picklable

        Raises
        ------
        LostRankError
            If another rank is gone, has failed, or takes too long.
        """
        told = self.exchange(
            name, torch.frombuffer(bytearray(pickle.dumps(found)), dtype=torch.uint8)
        )
        return [
            found if rank == self.rank else pickle.loads(part.numpy().tobytes())
            for rank, part in enumerate(told)
        ]

    def exchange(self, name: str, given: Tensor) -> list[Tensor]:
        """Return the bytes of each rank, in their order; else as `gather`.

        Parameters
        ----------
        name : str
        given : Tensor of shape (bytes,), uint8
        """
        if self._end is not None:
            raise self._end
        try:
            return self._exchange(name, given)
        except LostRankError as error:
            self._end = error
            raise

    def _exchange(self, name: str, given: Tensor) -> list[Tensor]:
        head = torch.tensor([crc32(name.encode()), len(given)])
        sent = [self._send(part, rank) for rank in self.others for part in (head, given)]
        told = [
            given if rank == self.rank else self._receive(name, rank) for rank in range(self.size)
        ]
        for rank, work in zip(self.others, sent[1::2], strict=True):
            self._wait(work, rank)
        return [told[rank] for rank in range(self.size)]

    def _receive(self, name: str, rank: int) -> Tensor:
        head = torch.empty(2, dtype=torch.int64)
        self._wait(self.group.recv([head], rank, TAG), rank)
        place, size = head.tolist()
        told = torch.empty(size, dtype=torch.uint8)
        self._wait(self.group.recv([told], rank, TAG), rank)
        if place == FAILED:
            reason = told.numpy().tobytes().decode()
            raise LostRankError(f"rank {rank} has failed, and with it this fit: {reason}")
        if place != crc32(name.encode()):
            raise LostRankError(
                f"rank {rank} is at another place of the fit than rank {self.rank} ({name!r}). Give"
                " all ranks the same parameters, versions and callbacks."
            )
        return told

    def _send(self, given: Tensor, rank: int) -> Any:
        try:
            return self.group.send([given], rank, TAG)
        except RuntimeError as error:
            raise _lost(rank, error) from error

    def _wait(self, work: Any, rank: int) -> None:
        try:
            work.wait()
        except RuntimeError as error:
            raise _lost(rank, error) from error

    def tell_of(self, error: BaseException) -> None:
        """Let the others know, as far as they can be reached, that this rank fails."""
        if self._end is not None:
            return
        text = _bytes(f"{type(error).__name__}: {error}".encode())
        head = torch.tensor([FAILED, len(text)])
        with suppress(RuntimeError):
            sent = [self.group.send([part], o, TAG) for o in self.others for part in (head, text)]
            for work in sent:
                work.wait(IN_A_HURRY)

    def refuse(self, problem: str) -> NoReturn:
        """Raise an error that all ranks raise."""
        self._end = ValueError(problem)
        raise self._end

    def agree(self, found: Sequence[dict[Any, str]], what: str, remedy: str) -> None:
        """Refuse ranks of which one has found something else than those before.

        Parameters
        ----------
        found : list of dict of str
            Of each rank.
        what : str
            What the keys are, such as "parameter".
        remedy : str

        Raises
        ------
        ValueError
            On every rank.
        """
        for rank, own in enumerate(found):
            for name in {**found[0], **own}:
                here, first = (place.get(name, "none") for place in (own, found[0]))
                if here != first:
                    self.refuse(
                        f"rank {rank}: {what} {name!r} is {here}, but {first} on ranks before."
                        f" {remedy}"
                    )


def _bytes(text: bytes) -> Tensor:
    return torch.frombuffer(bytearray(text), dtype=torch.uint8)


def _lost(rank: int, error: RuntimeError) -> LostRankError:
    reason = str(error).splitlines()[0].rpartition("] ")[2].partition(". ")[0]
    return LostRankError(
        f"rank {rank} is gone, or does not answer ({reason}). What that rank says itself tells why;"
        " begin all of them anew."
    )


@contextmanager
def find_ranks() -> Iterator[Ranks | None]:
    """Give the ranks that this process is one of, None where it is alone.

    They are those of `torch.distributed`, or of the environment that torchrun makes. Each fit has
    messages of its own, so that what an earlier one has left is not heard.
    """
    if not dist.is_available() or not _are_there():
        yield None
        return
    try:
        if not dist.is_initialized():
            dist.init_process_group("gloo", timeout=PATIENCE)
        group = dist.new_group(backend="gloo", timeout=PATIENCE)
    except RuntimeError as error:
        raise LostRankError(
            f"not all ranks have called fit within {PATIENCE}: {str(error).splitlines()[0]}"
        ) from error
    try:
        with _telling_of_errors(Ranks(group)) as ranks:
            yield ranks
    finally:
        dist.destroy_process_group(group)


@contextmanager
def ranks_at(host: str, port: int, rank: int, size: int) -> Iterator[Ranks]:
    """Give the ranks of which the first one listens at an address; nothing of it is global.

    Parameters
    ----------
    host, port : str and int
    rank, size : int
        The number of this one, and how many there are.
    """
    try:
        store = dist.TCPStore(host, port, size, is_master=rank == 0, timeout=PATIENCE)
        group = dist.ProcessGroupGloo(store, rank, size, PATIENCE)
    except RuntimeError as error:
        raise LostRankError(
            f"not all ranks have come within {PATIENCE}: {str(error).splitlines()[0]}"
        ) from error
    with _telling_of_errors(Ranks(group)) as ranks:
        yield ranks


@contextmanager
def _telling_of_errors(ranks: Ranks) -> Iterator[Ranks]:
    try:
        yield ranks
    except BaseException as error:
        ranks.tell_of(error)
        raise


def _are_there() -> bool:
    if dist.is_initialized():
        return dist.get_world_size() > 1
    return all(name in os.environ for name in OF_TORCHRUN) and int(os.environ["WORLD_SIZE"]) > 1
