"""The TaskTracker's client, which keeps the care team's task current. Imports `gates`, `http` and below."""
