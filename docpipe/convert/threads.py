"""Importing this leaves each library one thread: as many documents run at once as there are processors.

Libraries read the environment as they load, so this is imported before them.
"""

import os

for _name in (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "TOKIO_WORKER_THREADS",
    "QPDF_NUM_THREADS",
):
    os.environ[_name] = "1"
