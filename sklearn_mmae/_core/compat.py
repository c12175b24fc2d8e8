"""What older versions of scikit-learn lack."""

from __future__ import annotations

__all__ = ["CallbackSupportMixin", "VisualBlock", "has_progress_bar", "with_callbacks"]

try:
    from sklearn.utils._repr_html.estimator import _VisualBlock as VisualBlock
except ImportError:  # scikit-learn < 1.7
    from sklearn.utils._estimator_html_repr import _VisualBlock as VisualBlock

try:  # scikit-learn >= 1.9, experimental
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:
        """Stands in for scikit-learn's callback protocol, which this version does not have."""

    def with_callbacks(method):
        """Return the method as it is."""
        return method


def has_progress_bar(estimator):
    """Whether a bar of scikit-learn's was set, on the estimator or on a search around it."""
    callbacks = getattr(estimator, "_skl_callbacks", ())
    return any(type(callback).__name__ == "ProgressBar" for callback in callbacks)
