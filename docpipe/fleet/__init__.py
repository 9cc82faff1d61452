"""docpipe on many machines: Temporal keeps the runs and assigns their activities to workers.

Imports `wiring` and below.
"""
