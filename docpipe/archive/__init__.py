"""Takes archives apart within limits, and accounts for every member. Imports `errors`, `model` and `util`."""
