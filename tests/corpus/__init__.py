"""Conversion of whole corpora by the real workers: `python -m tests.corpus FOLDER`."""
