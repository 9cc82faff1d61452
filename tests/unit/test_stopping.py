"""Ctrl-C in commands that may end anywhere: it tidies up, and waits for no thread."""

import subprocess
import sys

import pytest

HEAD = """
import asyncio, os, signal, threading
from docpipe.cli.signals import run_stoppable

signal.signal(signal.SIGINT, signal.{handler})

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

"""
END = """
try:
    print(run_stoppable(work(), hint="stopped"))
except KeyboardInterrupt:
    raise SystemExit(130)
"""
NEVER_ENDS = """
async def work():
    await asyncio.to_thread(lambda: (interrupt(), threading.Event().wait()))
"""
TIDIES_UP = """
async def work():
    try:
        asyncio.get_running_loop().call_soon(interrupt)
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        print("tidied up", flush=True)
"""
TWICE = """
async def work():
    try:
        asyncio.get_running_loop().call_soon(interrupt)
        await asyncio.Event().wait()
    finally:
        interrupt()
        print("too late", flush=True)
"""
ENDS = """
async def work():
    interrupt()
    return 5
"""


def run(work: str, handler: str = "default_int_handler") -> "subprocess.CompletedProcess[str]":
    code = HEAD.format(handler=handler) + work + END
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("work", "out"),
    [(NEVER_ENDS, ""), (TIDIES_UP, "tidied up\n"), (TWICE, "")],
    ids=["thread", "tidy", "twice"],
)
def test_it_ends(work: str, out: str) -> None:
    """Whatever is under way, with a word on what is left to do."""
    ended = run(work)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, out, "stopped")


def test_a_job_that_ignores_it_goes_on() -> None:
    """As those do that a script begins in the background."""
    ended = run(ENDS, "SIG_IGN")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "5\n", "")
