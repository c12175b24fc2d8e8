"""What older versions of scikit-learn lack."""

from __future__ import annotations

__all__ = ["CallbackSupportMixin", "with_callbacks"]

try:  # scikit-learn >= 1.9, experimental
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:
        """Stands in for scikit-learn's callback protocol, which this version does not have."""

    def with_callbacks(method):
        """Return the method as it is."""
        return method
