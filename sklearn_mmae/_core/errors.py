"""Errors that name the modality, the column, the row and the remedy.

A low level knows only what is wrong with a cell; the level above knows which row, column and
modality it was. `locate` lets each add what it knows, so that one sentence reaches the user.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from types import FrameType

__all__ = [
    "CellError",
    "CellTypeError",
    "ConvergenceError",
    "DataWarning",
    "LostRankError",
    "ModelFileError",
    "PrivacyError",
    "check_names",
    "did_you_mean",
    "keeping_warnings",
    "listing",
    "locate",
    "naming",
    "warn",
]

MOST_SAID = 1000  # warnings that are remembered
_said: set[tuple] = set()  # text, category, file and line of those that were shown
_modality: ContextVar[str | None] = ContextVar("modality", default=None)
_kept: ContextVar[list | None] = ContextVar("kept", default=None)
# Frames of these are no line of the user's: what wraps our methods (`set_output`, `no_grad`), or
# calls them for the user (pipelines, searches).
NOT_THE_USERS = frozenset(
    {__package__.partition(".")[0], "contextlib", "joblib", "sklearn", "torch"}
)


class DataWarning(UserWarning):
    """Something in the data is unusual, but work can go on."""


class ConvergenceError(ValueError):
    """Training or a prediction ran into numbers that are not finite."""


class ModelFileError(ValueError):
    """A model file is damaged, of another kind or version, or asks for what it must not."""


class PrivacyError(ValueError):
    """A private fit would have to take from its rows what it may not."""


class LostRankError(ConnectionError):
    """Another process of a fit is gone, has failed, or does something else."""


class CellError(ValueError):
    """A cell cannot be read; says where it is and what to write instead.

    Parameters
    ----------
    problem : str
        What is wrong, without a full stop.
    remedy : str, default=""
        What to write instead, a sentence.
    modality, column, row : optional
        Where; `locate` fills in what is still unknown.
    """

    def __init__(self, problem, *, remedy="", modality=None, column=None, row=None):
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy
        self.modality, self.column, self.row = modality, column, row

    def __str__(self):
        where = []
        if self.modality is not None:
            where.append(f"modality {self.modality!r}")
        if self.column is not None:
            where.append(f"column {self.column!r}")
        if self.row is not None:
            rows = self.row if isinstance(self.row, list | tuple) else [self.row]
            where.append(f"row{'s' if len(rows) > 1 else ''} {listing(rows, most=5)}")
        text = f"{', '.join(where)}: {self.problem}" if where else self.problem
        if not self.remedy:
            return text
        return f"{text}. {self.remedy}" if self.remedy[-1] in ".)" else f"{text}. {self.remedy}."

    def __reduce__(self):
        # The default would lose the keywords on the way out of a joblib worker.
        return _rebuild, (type(self), self.problem, vars(self))


class CellTypeError(CellError, TypeError):
    """A cell is of a type that its modality cannot hold."""


def _rebuild(cls, problem, state):
    error = cls(problem)
    vars(error).update(state)
    return error


@contextmanager
def locate(*, modality=None, column=None, row=None):
    """Add what this level knows to a `CellError` passing through."""
    try:
        yield
    except CellError as error:
        for name, value in (("modality", modality), ("column", column), ("row", row)):
            if getattr(error, name) is None:
                setattr(error, name, value)
        raise


@contextmanager
def naming(modality: str):
    """Let errors and warnings of a modality's work say its name."""
    token = _modality.set(modality)
    try:
        with locate(modality=modality):
            yield
    finally:
        _modality.reset(token)


@contextmanager
def keeping_warnings():
    """Give the list of what `warn` is called with: who works in a thread knows no user's line."""
    kept = []
    token = _kept.set(kept)
    try:
        yield kept
    finally:
        _kept.reset(token)


def listing(items, most=6):
    """Return ``a, b, c and 14 more``."""
    items = [str(item) for item in items]
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def did_you_mean(name, known, by=str):
    """Return `` Did you mean 'x'?`` when a known name is near, else an empty string.

    Names are compared as ``by(name)``.
    """
    known = {by(k): str(k) for k in known}
    near = get_close_matches(by(name), known, n=1)
    return f" Did you mean {known[near[0]]!r}?" if near else ""


def check_names(given, known: Iterable, parameter: str, what: str) -> list:
    """Return the names that a parameter gives as a list, all for None, or say which there are.

    `what` they are names of is said with one that is none: "modality of this estimator". Of names
    that are those of groups of columns, a mapping to these tells whose column one is instead.
    """
    columns = known if isinstance(known, Mapping) else {}
    known, one = list(known), isinstance(given, str) or not isinstance(given, Iterable)
    names = known if given is None else [given] if one else list(given)
    told = listing(map(repr, known))
    for name in names:
        if name not in known:
            whose = next((group for group, own in columns.items() if name in own), None)
            if whose is not None:
                raise ValueError(
                    f"{parameter}={name!r} is a column of {whose!r}, a {what}. Give"
                    f" {parameter}={whose!r}, or give the column one of its own: modalities=[...]."
                )
            near = did_you_mean(name, known)
            raise ValueError(f"{parameter}={name!r} is no {what}.{near} They are {told}.")
    if not names:
        raise ValueError(f"{parameter} is empty. Name at least one of {told}.")
    return names


def warn(message: str, category: type[Warning] = DataWarning) -> None:
    """Warn, pointing at the user's line that led here: the first one outside of the package.

    Where Python's filters say to show a warning once for a line, it is: Python itself forgets what
    it has shown whenever somebody changes the filters, as scikit-learn does all the time.
    """
    if _modality.get() is not None and issubclass(category, DataWarning):
        message = f"modality {_modality.get()!r}, {message}"
    if (kept := _kept.get()) is not None:
        kept.append((message, category))
        return
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _package_of(frame) in NOT_THE_USERS:
        frame, level = frame.f_back, level + 1
    place = (message, category, frame.f_code.co_filename, frame.f_lineno)
    if _action(message, category, frame) == "default":
        if place in _said:
            return
        if len(_said) >= MOST_SAID:
            _said.clear()
        _said.add(place)
    warnings.warn(message, category, stacklevel=level)


def _action(text: str, category: type[Warning], frame: FrameType) -> str:
    """Return what Python's filters say of a warning."""
    module = frame.f_globals.get("__name__", "")
    for action, message, of, where, line in warnings.filters:
        if (
            (message is None or message.match(text))
            and issubclass(category, of)
            and (where is None or where.match(module))
            and line in (0, frame.f_lineno)
        ):
            return action
    return "default"


def _package_of(frame: FrameType) -> str:
    return frame.f_globals.get("__name__", "").partition(".")[0]
