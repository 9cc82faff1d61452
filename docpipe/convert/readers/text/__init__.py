"""Plain text, CSV, JSON, XML of no known kind, calendar entries and contact cards."""
