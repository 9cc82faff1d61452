"""Composition: gates, credentials and backends made from the configuration. Imports `engine` and below."""
