"""Where documents come from, and the rule of polling. Imports `gates`, `http`, `archive` and below."""
