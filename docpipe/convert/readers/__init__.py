"""Readers: each turns one kind of file into `Content`. Imports `convert.core` and `convert.ocr`."""
