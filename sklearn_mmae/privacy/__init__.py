"""Differential privacy for rows: what may be spent, what is spent, and answers with noise."""

from ._privacy import Privacy, PrivacySpent

__all__ = ["Privacy", "PrivacySpent"]
