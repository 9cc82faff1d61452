"""Importing this loads the heavy libraries once, before workers are forked: those that start no threads."""

import importlib

import chardet
import filetype  # noqa: F401
import img2pdf  # noqa: F401
import lxml.etree  # noqa: F401
import pikepdf.pdfa  # noqa: F401
import PIL.Image
import pypdfium2  # noqa: F401
import selectolax.lexbor  # noqa: F401
import typst  # noqa: F401

import docpipe.convert.document
import docpipe.convert.threads  # noqa: F401 -- before the libraries: they read it as they load
from docpipe.convert.core.kinds import KINDS

for _reader in sorted({kind.reader for kind in KINDS.values() if kind.reader}):
    importlib.import_module(f"docpipe.convert.readers.{_reader}")
PIL.Image.init()
chardet.detect("Grüße aus Köln".encode("latin-1"))  # loads its tables and sixty encodings
