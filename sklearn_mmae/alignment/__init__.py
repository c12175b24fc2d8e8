"""Finding and undoing the lag between streams."""

from ._aligner import DelayAligner
from ._lag import Lag, find_lag
from ._range import LagRange

__all__ = ["DelayAligner", "Lag", "LagRange", "find_lag"]
