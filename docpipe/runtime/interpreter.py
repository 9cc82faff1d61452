"""How Python is set in processes that hold many runs: its collector of cyclic garbage, and its threads."""

import gc
import sys
from typing import Final

_YOUNG: Final = 10_000
_MIDDLE: Final = 5
_OLD: Final = 200
_SWITCH_S: Final = 0.0005


def settle() -> None:
    """Leave alone what is loaded by now, look at old objects seldom, and let threads take turns sooner.

    As Python comes, it looks at all objects each time that they have grown by a quarter: while 100,000 runs
    are read, a dozen times, and nothing else goes on for 100 ms each. Young garbage is collected as before;
    what is no longer young is looked at in portions that take 10 ms.

    A thread that comes back from SQLite or the disk waits for the interpreter until the event loop has had it
    for 5 ms, as Python comes, and a transaction comes back several times.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
    sys.setswitchinterval(_SWITCH_S)
