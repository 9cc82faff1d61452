"""docpipe on many machines: Temporal keeps the runs, and deals their activities out to workers."""
