"""What a user holds: parameters and methods, each of which asks the model."""
