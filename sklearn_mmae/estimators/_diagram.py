"""An estimator as a diagram: columns, modalities, encoders, fusion, embedding, decoders."""

from __future__ import annotations

from .._core.compat import VisualBlock
from .._core.errors import listing

__all__ = ["diagram"]

MOST_COLUMNS = 3  # whose names are shown; a click shows all


def diagram(estimator, model=None):
    """Return what scikit-learn's HTML representation draws, before and after `fit`.

    Parameters
    ----------
    estimator : BaseMultimodalAutoencoder
    model : Model, optional
        What it has learned.

    Returns
    -------
    VisualBlock
        From top to bottom: the modalities side by side, each with its columns and encoder; the
        fusion; the embedding; the decoders side by side.
    """
    network = model and model.network
    modalities = estimator.modalities_ if model else estimator.modalities
    if isinstance(modalities, str):
        modalities = [("auto", "auto", "every column")]
    try:
        listed = [(name, part, columns) for name, part, columns in modalities]
    except (TypeError, ValueError):  # a list that `fit` will refuse
        return _box(type(estimator).__name__, "", str(estimator))
    encoders = [_encoder(*entry, network, m) for m, entry in enumerate(listed)]
    decoders = [
        _network("decoder", network and _decoder(network, m))
        for m, (_, part, _) in enumerate(listed)
        if part != "drop"
    ]
    built = model.built if model else vars(estimator)
    spent = model and model.privacy
    private = [_box("privacy", *_spent(spent))] if spent else []
    fusion, length = built["fusion"], built["n_components"]
    return VisualBlock(
        "serial",
        [
            _side_by_side(encoders, listed),
            _network(f"fusion: {_name(fusion)}", network and [network.fusion]),
            _box("embedding", f"{length} components"),
            _side_by_side(decoders, [entry for entry in listed if entry[1] != "drop"]),
            *private,
        ],
        dash_wrapped=False,
    )


def _side_by_side(blocks, listed):
    names, _, columns = zip(*listed, strict=True) if listed else ((), (), ())
    return VisualBlock("parallel", blocks, names=list(map(str, names)), name_details=columns)


def _encoder(name, modality, columns, network, m):
    """Return a modality's columns, the modality, and its encoder, from top to bottom."""
    blocks = [_columns(columns)]
    if modality == "drop":
        blocks.append("drop")
    else:
        known = _box("modality", "found by fit") if modality == "auto" else modality
        parts = network and [network.networks[m].encoder, network.projections[m]]
        blocks += [known, _network("encoder", parts)]
    return VisualBlock("serial", blocks, dash_wrapped=False)


def _decoder(network, m):
    """Return the parts of a modality's network that make outputs of embeddings."""
    return [part for name, part in network.networks[m].named_children() if name != "encoder"]


def _network(name, parts):
    """Return a box with the number of weights, and the layers behind it, once there are any."""
    if parts is None:
        return _box(name, "", "built by fit")
    n = sum(weight.numel() for part in parts for weight in part.parameters())
    return _box(name, f"{n:,} weights", "\n".join(map(str, parts)))


def _spent(spent):
    """Return what a private fit has revealed of its rows, in short and in full."""
    steps = [f"{step}: epsilon {epsilon:.3g}" for step, epsilon in spent.by_step.items()]
    lines = [
        *steps,
        f"neighbours: {spent.neighbours}",
        *(f"public: {fact}" for fact in spent.public),
    ]
    return f"epsilon {spent.epsilon:.3g}, delta {spent.delta:.1g}", "\n".join(lines)


def _columns(key):
    """Return a box with the names of the first columns, and of all of them behind it."""
    names = list(key) if isinstance(key, list | tuple) else [key]
    return _box(listing(names, most=MOST_COLUMNS), "", listing(names, most=len(names)))


def _box(name, caption, details=""):
    details = details or caption or name
    return VisualBlock("single", None, names=name, name_details=details, name_caption=caption)


def _name(fusion):
    return fusion if isinstance(fusion, str) else getattr(fusion, "__name__", type(fusion).__name__)
