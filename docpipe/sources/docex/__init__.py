"""The DocumentExchange: searches, and the download and extraction of their archives."""
