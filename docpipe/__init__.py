"""docpipe retrieves, converts, stores and reports every document an exchange holds for a patient."""

__version__ = "0.1.0"
