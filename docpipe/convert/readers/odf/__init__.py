"""OpenDocument texts, spreadsheets, presentations and drawings."""
