"""Figures in scikit-learn's way: ``from_estimator(...)``, ``plot(ax=...)``; by matplotlib."""

from ._component import ComponentDisplay
from ._explained_deviance import ExplainedDevianceDisplay
from ._latent import LatentDisplay
from ._learning_curve import LearningCurveDisplay
from ._reconstruction import ReconstructionDisplay
from ._translation import TranslationDisplay

__all__ = [
    "ComponentDisplay",
    "ExplainedDevianceDisplay",
    "LatentDisplay",
    "LearningCurveDisplay",
    "ReconstructionDisplay",
    "TranslationDisplay",
]
