"""Conversion of one document to forms that people and programs can read. Imports `errors` and `model`.

`detect` and `kinds` determine the type of a file with the standard library alone, so that any process may
use them.
`document.convert` is what a worker process runs. Each `from_*` module reads one family of types into
`Content`: blocks of text, or an existing PDF. `markdown` and `typeset` write blocks. A new type
is a `from_*` module and its row in `kinds`.
"""
