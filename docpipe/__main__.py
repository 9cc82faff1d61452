"""`python -m docpipe` is `docpipe`. Until a command begins, Ctrl-C ends the process without a traceback."""

import os
import signal
import sys


def main() -> int:
    """Run a command; returns the exit status."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # else somebody has it ignored
        signal.signal(signal.SIGINT, _leave)
    from docpipe import cli  # noqa: PLC0415 -- takes a while, in which people press Ctrl-C

    return cli.main(begin=lambda: signal.signal(signal.SIGINT, handler))


def _leave(*_: object) -> None:
    os._exit(130)  # imports can swallow an exception


if __name__ == "__main__":
    sys.exit(main())
