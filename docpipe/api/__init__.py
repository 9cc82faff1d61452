"""The shapes of the HTTP API: the service sends them, the client reads them. Imports `model`."""
