"""Results of activities and contents of reports; checkpoints keep them as JSON. Imports nothing."""
