"""The service's HTTP API and page: `server` holds them open. `docpipe run` imports what it shows, too.

Imports all but `cli` and `check`.
"""
