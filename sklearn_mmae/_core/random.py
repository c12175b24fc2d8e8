"""Random numbers of one fit: generators of its own, none of the caller's."""

from __future__ import annotations

from dataclasses import dataclass

import torch

__all__ = ["Generators"]


@dataclass(frozen=True)
class Generators:
    """The streams of random numbers that a fit uses.

    Attributes
    ----------
    of_weights, of_order : torch.Generator
        On the CPU, so that weights, held-out rows and batches are the same on every device.
    on_device : torch.Generator
        For noise and subsets, drawn where the network is.
    """

    of_weights: torch.Generator
    of_order: torch.Generator
    on_device: torch.Generator

    @classmethod
    def from_state(cls, random_state, device):
        """Seed all three from a numpy ``RandomState``."""
        seeds = random_state.randint(2**31 - 1, size=3)
        return cls(
            *(
                torch.Generator(where).manual_seed(int(seed))
                for where, seed in zip(("cpu", "cpu", device), seeds, strict=True)
            )
        )
