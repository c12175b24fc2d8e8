"""Finding and undoing the lag between streams."""

from ._aligner import DelayAligner
from ._lag import Lag, find_lag

__all__ = ["DelayAligner", "Lag", "find_lag"]
