"""What readers share: blocks, detection of types, encodings, XML, containers. Imports `model` and `errors`."""
