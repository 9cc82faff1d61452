"""The ten activities. Imports the adapters; knows no engine."""
