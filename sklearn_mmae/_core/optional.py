"""Packages that only some uses need, asked for by the name of who needs them."""

from __future__ import annotations

from importlib import import_module

__all__ = ["optional"]


def optional(name, *, extra, why):
    """Import a package of an extra, or say how to install it.

    Parameters
    ----------
    name : str
        The module to import.
    extra : str
        The extra of sklearn-mmae that brings it.
    why : str
        Who needs it.

    Raises
    ------
    ImportError
        With the command that installs it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"{why} needs {name}: pip install 'sklearn-mmae[{extra}]'") from error
