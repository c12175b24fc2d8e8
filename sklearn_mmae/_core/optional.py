"""Packages that only some users need: imported where they are used, named where they lack."""

from __future__ import annotations

from importlib import import_module

__all__ = ["optional"]


def optional(module, *, extra, why):
    """Import a module of an optional package.

    Parameters
    ----------
    module : str
        Its name.
    extra : str
        The extra of this package that installs it.
    why : str
        What needs it, such as a class.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        Saying what to install.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{why} needs {module}: pip install 'sklearn-mmae[{extra}]'", name=module
        ) from error
