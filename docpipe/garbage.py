"""How Python's collector of cyclic garbage is set in processes that hold many runs."""

import gc
from typing import Final

_YOUNG: Final = 10_000
_MIDDLE: Final = 20
_OLD: Final = 50


def settle() -> None:
    """Leave alone what is loaded by now, and look at old objects seldom.

    As Python comes, it looks at all objects each time that they have grown by a quarter: while 100,000 runs
    are read, a dozen times, and nothing else goes on for 100 ms each. Young garbage is collected as before.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
