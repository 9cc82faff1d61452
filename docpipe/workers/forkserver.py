"""The forkserver, `python -m docpipe.workers.forkserver ORDERS`: imports once, then forks and kills workers.

It runs nothing of a document, has one thread and no loop but the one below, so that a fork is always
safe and nothing keeps it from killing. It leaves when its control socket closes.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import Final

from docpipe.workers import child, confinement, landlock, limits, proc
from docpipe.workers.seccomp import refuse_calls, refuse_programs
from docpipe.workers.wire import (
    BORN,
    FORK,
    GONE,
    KILL,
    MESSAGE_SIZE,
    OWN,
    READY,
    UNBORN,
    Message,
    Orders,
    room_name,
)

_PARENT_DIED: Final = signal.SIGUSR1  # not SIGTERM: service managers send that to everybody
_LAST_RESORT_S: Final = 3


class _ForkServer:
    def __init__(self, orders: Orders, control: socket.socket, target: child.Target) -> None:
        self._orders = orders
        self._control = control
        self._target = target
        there = proc.user_threads()
        self._processes = there and there + limits.SPARE_PROCESSES
        self._libraries = confinement.libraries()
        self._pids: dict[int, int] = {}  # of living workers, by their number
        # A signal's number arrives here as a byte, so that one poll sees requests and deaths.
        self._signals, self._signalled = socket.socketpair()
        for end in (self._signals, self._signalled):
            end.settimeout(0)
        signal.set_wakeup_fd(self._signalled.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, _PARENT_DIED):
            signal.signal(number, lambda *_: None)

    def run(self) -> None:
        """Serve until the main process closes the control socket or dies."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._signals, select.POLLIN)
        self._send(Message(READY, value=proc.threads()))
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._signals.fileno() in ready:
                if _PARENT_DIED in self._signals.recv(4096):
                    return
                self._reap()
            if self._control.fileno() in ready and not self._serve():
                return

    def _send(self, message: Message) -> None:
        self._control.sendall(message.pack())

    def _serve(self) -> bool:
        """One request; False at the end of file."""
        data, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE_SIZE, 1)
        if not data:
            return False
        request = Message.unpack(data)
        if request.op == FORK:
            # A program started by a worker must not hold it.
            os.set_inheritable(descriptors[0], False)  # noqa: FBT003 - positional-only
            with socket.socket(fileno=descriptors[0]) as connection:
                self._fork(request.number, connection)
        elif request.op == KILL and request.number in self._pids:
            _kill(self._pids[request.number])
        return True

    def _fork(self, number: int, connection: socket.socket) -> None:
        mother = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._send(Message(UNBORN, number, error.errno or 0))
            return
        if pid == 0:
            try:
                self._become_worker(mother, connection, number)
            finally:
                os._exit(os.EX_SOFTWARE)
        self._pids[number] = pid
        self._send(Message(BORN, number, pid))

    def _become_worker(self, mother: int, connection: socket.socket, number: int) -> None:
        signal.set_wakeup_fd(-1)
        for unheard in (signal.SIGCHLD, _PARENT_DIED):
            signal.signal(unheard, signal.SIG_DFL)
        for end in (self._control, self._signals, self._signalled):
            end.close()
        peak = child.settle(mother, self._orders.memory, self._processes, self._orders.file)
        room = f"{self._orders.rooms}/{room_name(number)}"
        child.enter_room(f"{room}/{OWN}")
        if self._orders.confined:
            landlock.confine(confinement.allowed(self._libraries, room))
        if not self._orders.programs:
            refuse_programs()
        child.live(connection, self._target, self._orders.timeout, peak)
        os._exit(0)

    def _reap(self) -> None:
        """Bury the dead: workers with all that they started, and orphans that came to us."""
        numbers = {pid: number for number, pid in self._pids.items()}
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if (number := numbers.pop(pid, None)) is None:
                continue
            # While the group has members its number is not reused; without members the signal has no effect.
            _kill(pid, leader=False)
            del self._pids[number]
            self._send(Message(GONE, number, os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024))
        # Workers keep their own orphans, so a child that is no worker had a worker that is dead.
        for stray in set(proc.children(os.getpid())) - set(self._pids.values()):
            _kill(stray)

    def end(self) -> None:
        """Kill all workers, and wait until none is left."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_LAST_RESORT_S)  # for a process that hangs in the kernel
        while True:
            for pid in {*self._pids.values(), *proc.children(os.getpid())}:
                _kill(pid)
            try:
                pid, _ = os.waitpid(-1, 0)
            except ChildProcessError:
                return
            self._pids = {number: other for number, other in self._pids.items() if other != pid}


def _kill(pid: int, *, leader: bool = True) -> None:
    """Kill a process and its group; a fresh worker may not have its group yet."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    if leader:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _find(target: str) -> child.Target:
    module, _, name = target.partition(":")
    function: child.Target = getattr(importlib.import_module(module), name)
    return function


def main() -> None:
    """Run a forkserver with the settings of the command line."""
    orders = Orders(**json.loads(sys.argv[1]))
    child.die_with_parent(_PARENT_DIED, orders.parent)
    child.adopt_orphans()
    limits.set_dumpable(dumpable=False)  # a worker that could write to it would rule all later workers
    limits.drop_capabilities()
    # Ctrl-C, and a stop or reload that goes to all of a service's processes, are for the main process:
    # it closes the socket when it is done with us. Programs that workers start ignore them as well.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.environ.pop("PYTHONPATH", None)  # it brought us here; programs that workers start have their own
    refuse_calls()
    os.set_inheritable(orders.control, False)  # noqa: FBT003 - positional-only
    if orders.preload:
        importlib.import_module(orders.preload)
    target = _find(orders.target)
    gc.collect()
    gc.freeze()  # what is here now is shared by all workers: the collector must not touch its pages
    # Closed by our end and not before: the main process kills at once a forkserver that hangs up.
    forkserver = _ForkServer(orders, socket.socket(fileno=orders.control), target)
    try:
        forkserver.run()
    except ConnectionError:
        pass  # the main process died during the message
    finally:
        forkserver.end()


if __name__ == "__main__":
    main()
