"""Importing this loads what the workers of a chart need, before they are forked; it starts no threads."""

import docpipe.convert.threads
import docpipe.convert.writers.chart  # noqa: F401
