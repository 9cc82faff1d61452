"""Documents made up, the same for the same seed and patient."""
