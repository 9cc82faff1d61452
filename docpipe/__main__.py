"""`python -m docpipe` is `docpipe`."""

import sys

from docpipe.cli import main

sys.exit(main())
