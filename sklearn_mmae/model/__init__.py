"""What a fit has learned, and how: rows to embeddings and back, distributions, lags."""
