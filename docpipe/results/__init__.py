"""What activities return and reports hold, as values; checkpoints keep them as JSON. Imports nothing."""
