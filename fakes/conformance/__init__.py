"""Does a real exchange, or a real tracker, keep the contract? `python -m fakes.conformance --help`.

Run it before going live. Without `write` nothing is created: what does not exist is asked for, and what has
to be refused is tried. With it a search for one test patient is begun and followed to its archive, and a
task is created and brought to its end.
"""

from fakes.conformance.kit import Result, Target, Verdict, examine

__all__ = ["Result", "Target", "Verdict", "examine"]
