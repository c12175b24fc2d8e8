"""`load`: an estimator from a file."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..modalities._media import is_count
from ._autoencoder import MultimodalAutoencoder
from ._files import limit_reading, load_as
from ._vae import MultimodalVAE

__all__ = ["load"]

MAX_PIXELS = 50_000_000  # as of pictures and clips


def load(
    path: str | os.PathLike,
    *,
    trusted: Sequence[type] = (),
    root: str | os.PathLike | None = None,
    max_pixels: int = MAX_PIXELS,
) -> MultimodalAutoencoder | MultimodalVAE:
    """Load an estimator that `MultimodalAutoencoder` or `MultimodalVAE` has saved.

    No code in the file is run and no class is imported by a name in it; every value is checked,
    and no more memory is taken than the file's own size warrants.

    Parameters
    ----------
    path : str or path-like
    trusted : list of class, default=()
        Subclasses of `Modality`, `Fusion` and `Objective`, and optimizers, of your own that the
        file may use; and transformers that a `TextModality` has as vectorizers, scikit-learn's too.
        They are built with what the file says, so they must cope with any values.
    root : str, path or None, default=None
        Folder that the paths in cells of images, sounds and clips are relative to, whatever the
        file says; give it wherever files or paths come from others. None leaves it to the file.
    max_pixels : int, default=50_000_000
        The most pixels of an image or frame that are decoded. The file may ask for fewer.

    Returns
    -------
    MultimodalAutoencoder or MultimodalVAE
        Its `transform` gives the same bits as before on the same machine and versions. `device`,
        `memory`, `callbacks` and `verbose` are the defaults, whatever they were; no modality has a
        `memory`.

    Raises
    ------
    ValueError
        For a `max_pixels` that is no whole number above 0.
    ModelFileError
        If the file is damaged, of a newer version, or asks for what it must not.
    FileNotFoundError
        If there is no such file.

    Notes
    -----
    The file's checksum finds accidents; it does not say who wrote the file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from sklearn_mmae import MultimodalAutoencoder, load
    >>> X = np.random.default_rng(0).normal(size=(40, 5))
    >>> mmae = MultimodalAutoencoder(n_components=2, max_epochs=3, random_state=0).fit(X)
    >>> with TemporaryDirectory() as folder:
    ...     mmae.save(Path(folder) / "model.mmae")
    ...     again = load(Path(folder) / "model.mmae")
    >>> bool((again.transform(X) == mmae.transform(X)).all())
    True
    """
    estimators = {kind.__name__: kind for kind in (MultimodalAutoencoder, MultimodalVAE)}
    if not is_count(max_pixels):
        raise ValueError(f"max_pixels={max_pixels!r}: give a whole number above 0.")
    mmae = load_as(path, trusted, estimators)
    limit_reading(mmae, root, max_pixels)
    return mmae
