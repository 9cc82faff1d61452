"""Conversion of one document to forms that people and programs can read.

`detect` and `kinds` say what a file is, with the standard library alone, so that everybody may ask.
`document.convert` is what a worker process runs. Each `from_*` module reads one family of types into
`Content`: blocks of text, or a PDF that is there already. `markdown` and `typeset` write blocks. A new type
is a `from_*` module and its row in `kinds`.
"""
