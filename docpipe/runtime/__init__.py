"""A process and its surroundings: state folder, logs, retention. Imports `checkpoints` and below."""
