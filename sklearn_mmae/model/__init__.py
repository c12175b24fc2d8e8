"""What a fit has learned, and how: rows to codes and back, distributions, lags."""
