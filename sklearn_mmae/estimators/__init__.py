"""What a user holds: parameters and methods, each of which asks the model."""

from ._autoencoder import MultimodalAutoencoder
from ._imputer import MultimodalImputer
from ._load import load
from ._vae import MultimodalVAE

__all__ = ["MultimodalAutoencoder", "MultimodalImputer", "MultimodalVAE", "load"]
