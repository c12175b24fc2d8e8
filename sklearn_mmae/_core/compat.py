"""What older versions of Python and scikit-learn lack."""

from __future__ import annotations

import sys

from sklearn.utils import get_tags

__all__ = [
    "CallbackSupportMixin",
    "VisualBlock",
    "cached_property",
    "has_progress_bar",
    "requires_fit",
    "with_callbacks",
]

if sys.version_info >= (3, 12):
    from functools import cached_property
else:

    class cached_property:  # noqa: N801
        """A property that is computed once, without the lock that functools' own had.

        All instances shared it: threads waited for one another, and a child that was forked
        meanwhile waited for ever.
        """

        def __init__(self, compute):
            self.compute, self.__doc__ = compute, compute.__doc__

        def __set_name__(self, owner, name):
            self.name = name

        def __get__(self, instance, owner=None):
            if instance is None:
                return self
            return vars(instance).setdefault(self.name, self.compute(instance))


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


def requires_fit(transformer):
    """Whether the `fit` of a transformer learns something, as its tag says."""
    from sklearn.feature_extraction.text import HashingVectorizer  # slow to import

    # Its tag is wrong in scikit-learn 1.6.
    return get_tags(transformer).requires_fit and not isinstance(transformer, HashingVectorizer)


def has_progress_bar(estimator):
    """Whether a bar of scikit-learn's was set, on the estimator or on a search around it."""
    callbacks = getattr(estimator, "_skl_callbacks", ())
    return any(type(callback).__name__ == "ProgressBar" for callback in callbacks)
