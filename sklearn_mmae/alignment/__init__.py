"""Finding and undoing the lag between streams."""

from ._lag import Lag, find_lag

__all__ = ["Lag", "find_lag"]
