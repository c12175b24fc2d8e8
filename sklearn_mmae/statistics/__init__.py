"""Every number, word, category and choice that is taken from training rows, asked of one object."""

from ._plain import PLAIN, SecondMoments, Statistics

__all__ = ["PLAIN", "SecondMoments", "Statistics"]
