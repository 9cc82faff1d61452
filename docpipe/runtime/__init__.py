"""The environment of a process: state folder, logs, activity log, retention. Imports `checkpoints` and below."""
