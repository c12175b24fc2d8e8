"""The network of sounds."""

from __future__ import annotations

from ._steps import StepsNetwork

__all__ = ["AudioNetwork"]


class AudioNetwork(StepsNetwork):
    """Sounds."""
