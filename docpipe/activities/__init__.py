"""The ten activities, and the results they return. Imports the adapters; knows no engine."""
