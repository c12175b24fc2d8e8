"""Answers of rows that are not all here: read chunk by chunk (`Merged`), or in ranks (`Ranked`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import reduce
from typing import Any

from .._core.ranks import Ranks
from ._plain import Statistics
from ._questions import Question

__all__ = ["Merged", "Ranked", "Unanswered"]


class Unanswered(Exception):  # noqa: N818, as no error: the rest of the rows is to be read first
    """What was asked is not known before all rows have been read."""


class Merged(Statistics):
    """Answers merged from chunks of rows.

    What asks is run on each chunk, as far as it comes: a question that is not answered yet takes
    the chunk's part of the answer, and raises `Unanswered`. After the last chunk `end_pass` makes
    answers of the parts, and the next pass comes further. What is `agreed` is what the rows shown
    first have, in which nothing else is counted.

    Parameters
    ----------
    ranks : Ranks or None
        Each reads chunks of its own.
    """

    def __init__(self, ranks: Ranks | None = None) -> None:
        self.ranks = ranks
        self._answers: dict[str, Any] = {}
        self._parts: dict[str, tuple[Question, Any]] = {}
        self._learned: set[str] = set()
        self._is_open, self._lacks = False, False

    def agreed(self, name: str, found: Any) -> Any:
        """Return what was found first."""
        return self._answers.setdefault(f"{self.scope}{name}", found)

    def once(self, name: str, learn: Callable[[], None]) -> None:
        """Learn something, unless that has come to its end on rows before."""
        if f"{self.scope}{name}" not in self._learned:
            learn()
            self._learned.add(f"{self.scope}{name}")

    @contextmanager
    def together(self) -> Iterator[None]:
        """Raise `Unanswered` at the end only; until then answers are the chunk's own."""
        self._is_open, self._lacks = True, False
        try:
            yield
        finally:
            self._is_open = False
        if self._lacks:
            raise Unanswered

    def answer(self, name: str, question: Question, rows: Any) -> Any:
        """Return the answer to a question, if it is known."""
        if name in self._answers:
            return self._answers[name]
        part = question.partial(rows)
        whole = question.merge(self._parts[name][1], part) if name in self._parts else part
        self._parts[name] = question, whole
        if not self._is_open:
            raise Unanswered
        self._lacks = True
        return question.finish(part)

    def end_pass(self) -> None:
        """Make answers of what all chunks have said, those of all ranks."""
        parts = self._parts if self.ranks is None else _of_all(self.ranks, self._parts)
        self._answers.update(
            {name: question.finish(part) for name, (question, part) in parts.items()}
        )
        self.forget()

    def forget(self) -> None:
        """Drop what some chunks have said."""
        self._parts.clear()


def _of_all(ranks: Ranks, parts: dict[str, tuple[Question, Any]]) -> dict:
    """Return what all ranks say to each question, merged in their order."""
    merged: dict[str, tuple[Question, Any]] = {}
    for told in ranks.gather("parts of answers", parts):
        for name, (question, part) in told.items():
            whole = question.merge(merged[name][1], part) if name in merged else part
            merged[name] = question, whole
    return merged


class Ranked(Statistics):
    """Answers of ranks, all of which know some rows, and each a share of the others.

    Parameters
    ----------
    ranks : Ranks
    """

    def __init__(self, ranks: Ranks):
        self.ranks, self._is_shared = ranks, False

    def over_all(self) -> Statistics:
        """Return what merges the shares that ranks have in a question about blocks of rows."""
        shared = copy(self)
        shared._is_shared = True
        return shared

    def answer(self, name: str, question: Question, rows: Any) -> Any:
        """Return the answer to a question."""
        if not (self._is_shared and callable(rows)):  # known to all
            return super().answer(name, question, rows)
        parts = self.ranks.gather(name, question.partial(rows))
        return question.finish(reduce(question.merge, parts))
