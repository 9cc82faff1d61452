"""Runs the pipeline in one process: admission, checkpoints, waits. Imports `activities` and below."""
