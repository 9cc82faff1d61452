"""Importing this loads the heavy libraries once, before workers are forked: those that start no threads.

One thread per library: as many documents run at once as there are processors. The environment is set before
the imports, since libraries read it as they load.
"""

import importlib
import os

for _name in (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "TOKIO_WORKER_THREADS",
    "QPDF_NUM_THREADS",
):
    os.environ[_name] = "1"

import img2pdf  # noqa: E402, F401
import lxml.etree  # noqa: E402, F401
import pikepdf.pdfa  # noqa: E402, F401
import PIL.Image  # noqa: E402
import pypdfium2  # noqa: E402, F401
import selectolax.lexbor  # noqa: E402, F401
import typst  # noqa: E402, F401

import docpipe.convert.document  # noqa: E402, F401
from docpipe.convert.core.kinds import KINDS  # noqa: E402

for _reader in sorted({kind.reader for kind in KINDS.values() if kind.reader}):
    importlib.import_module(f"docpipe.convert.readers.{_reader}")
PIL.Image.init()
