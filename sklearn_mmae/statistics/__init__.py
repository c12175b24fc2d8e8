"""Every number, category and choice that is taken from training rows."""
