"""What readers share: blocks, detection, encodings, XML, containers. Imports `model` and `errors` only."""
