"""Small helpers without a subject of their own: durable files, JSON, times. Imports `errors` and `model`."""
