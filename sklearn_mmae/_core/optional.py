"""Packages that only some parts need, asked for where they are used."""

from __future__ import annotations

from importlib import import_module

__all__ = ["optional"]


def optional(module, *, extra, why):
    """Import a module that is not among the package's own dependencies.

    Parameters
    ----------
    module : str
    extra : str
        The extra of this package that installs it.
    why : str
        What needs it.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        Naming the extra.

    Examples
    --------
    >>> from sklearn_mmae._core.optional import optional
    >>> optional("no_such_module", extra="audio", why="AudioModality")
    Traceback (most recent call last):
    ImportError: AudioModality needs no_such_module: pip install 'sklearn-mmae[audio]'
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"{why} needs {module}: pip install 'sklearn-mmae[{extra}]'") from error
