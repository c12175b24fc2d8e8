"""Evaluate embeddings, retrieval, translations, intervals and probabilities; scorers."""

from ._agreement import latent_agreement
from ._calibration import expected_calibration_error
from ._intervals import (
    interval_coverage,
    interval_score,
    interval_width,
    worst_slab_coverage,
)
from ._probe import fit_linear_probe, linear_probe_score
from ._retrieval import recall_at_k, retrieval_ranks
from ._scorers import ProbeScorer, RecallScorer, TranslationScorer
from ._shared import shared_components_test
from ._translation import cross_modal_coherence, translation_score

__all__ = [
    "ProbeScorer",
    "RecallScorer",
    "TranslationScorer",
    "cross_modal_coherence",
    "expected_calibration_error",
    "fit_linear_probe",
    "interval_coverage",
    "interval_score",
    "interval_width",
    "latent_agreement",
    "linear_probe_score",
    "recall_at_k",
    "retrieval_ranks",
    "shared_components_test",
    "translation_score",
    "worst_slab_coverage",
]
