"""Building blocks of the networks: tensors only, no frames, no scikit-learn."""
