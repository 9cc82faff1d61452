"""Structs that several threads decode for the first time at once."""

import subprocess
import sys

RACE = """
import sys, threading
import msgspec
from docpipe.util.structs import prepare_structs

kinds = []
for number in range(200):
    inner = msgspec.defstruct(f"Inner{number}", [(f"a{i}", int | None, None) for i in range(8)])
    kinds.append(msgspec.defstruct(f"Outer{number}", [(f"b{i}", list[inner] | None, None) for i in range(8)]))
if "prepared" in sys.argv:
    prepare_structs()
sys.setswitchinterval(1e-6)
rows = [{f"b{i}": [{"a0": 1}] for i in range(8)}]
barrier = threading.Barrier(4)

def decode():
    for kind in kinds:
        barrier.wait()
        msgspec.convert(rows, list[kind])

threads = [threading.Thread(target=decode) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_may_decode_what_is_prepared() -> None:
    """Without it, this ends by a segmentation fault."""
    done = subprocess.run([sys.executable, "-c", RACE, "prepared"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
