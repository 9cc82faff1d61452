"""Forecasts: the real scheduling code in virtual time, in a world made up from the history.

Imports `wiring` and below.
"""
