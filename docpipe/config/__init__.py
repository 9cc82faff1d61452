"""The configuration: sections, keys, environment and their parsing. Imports `errors`, `model` and `util`."""
