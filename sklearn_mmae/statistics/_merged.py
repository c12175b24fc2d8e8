"""`Merged`: answers of rows that are read chunk by chunk, over as many passes as they take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ._plain import Statistics
from ._questions import Question

__all__ = ["Merged", "Unanswered"]


class Unanswered(Exception):  # noqa: N818, as no error: the rest of the rows is to be read first
    """What was asked is not known before all rows have been read."""


class Merged(Statistics):
    """Answers merged from chunks of rows.

    What asks is run on each chunk, as far as it comes: a question that is not answered yet takes
    the chunk's part of the answer, and raises `Unanswered`. After the last chunk `end_pass` makes
    answers of the parts, and the next pass comes further. What is `agreed` is what the rows shown
    first have, in which nothing else is counted.
    """

    def __init__(self) -> None:
        self._answers: dict[str, Any] = {}
        self._parts: dict[str, tuple[Question, Any]] = {}
        self._is_open, self._lacks = False, False

    def agreed(self, name: str, found: Any) -> Any:
        """Return what was found first."""
        return self._answers.setdefault(f"{self.scope}{name}", found)

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
        """Make answers of what all chunks have said."""
        found = {name: question.finish(part) for name, (question, part) in self._parts.items()}
        self._answers.update(found)
        self.forget()

    def forget(self) -> None:
        """Drop what some chunks have said."""
        self._parts.clear()
