"""What a process needs: state folder, logs, activity log, retention. Imports `checkpoints` and below."""
