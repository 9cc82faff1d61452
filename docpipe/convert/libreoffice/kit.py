"""A process of its own that has LibreOffice open one document and save it: `python kit.py ORDER`.

LibreOffice is loaded as a library (LibreOfficeKit): unlike the program soffice it opens no sockets, so that
it runs with no more rights than any other converter, and it loads a document once for several formats. The
process ends with its document: nothing of one can get into the next.

Standard library only, and nothing of docpipe: it is run as a file, without the packages of docpipe.
Source: include/LibreOfficeKit/LibreOfficeKit.h, whose members keep their places from version to version.
"""

import ctypes
import json
import os
import resource
import sys
from typing import Any, Final

LOADED: Final = 0
NOT_STARTED: Final = 3
NOT_LOADED: Final = 4
NOT_SAVED: Final = 5
_LIBRARIES: Final = ("libmergedlo.so", "libsofficeapp.so")
_OPTIONS: Final = b"Batch=true"
"""No dialogs; macros run only where an option asks for them."""

_HANDLE = ctypes.c_void_p
_DESTROY = ctypes.CFUNCTYPE(None, _HANDLE)


class _OfficeClass(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_size_t),
        ("destroy", _DESTROY),
        ("load", ctypes.CFUNCTYPE(_HANDLE, _HANDLE, ctypes.c_char_p)),
        ("get_error", ctypes.c_void_p),
        ("load_with_options", ctypes.CFUNCTYPE(_HANDLE, _HANDLE, ctypes.c_char_p, ctypes.c_char_p)),
    )


class _Office(ctypes.Structure):
    _fields_ = (("methods", ctypes.POINTER(_OfficeClass)),)


class _DocumentClass(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_size_t),
        ("destroy", _DESTROY),
        (
            "save_as",
            ctypes.CFUNCTYPE(ctypes.c_int, _HANDLE, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p),
        ),
    )


class _Document(ctypes.Structure):
    _fields_ = (("methods", ctypes.POINTER(_DocumentClass)),)


def _run(order: dict[str, Any]) -> int:
    """Execute an order; returns the status to exit with.

    Args:
        order: {"program": the folder of LibreOffice's libraries, "profile": URL of its profile,
            "source": URL of the document, "outputs": [[URL, format]],
            "limits": {name of a resource: bytes or seconds}}.
    """
    for name, value in order["limits"].items():
        _limit(getattr(resource, name), value)
    library = next(
        (name for name in _LIBRARIES if os.path.exists(f"{order['program']}/{name}")),  # noqa: PTH110
        _LIBRARIES[0],
    )
    try:
        hook = ctypes.CDLL(f"{order['program']}/{library}").libreofficekit_hook_2
    except (OSError, AttributeError):
        return NOT_STARTED
    hook.restype = ctypes.POINTER(_Office)
    hook.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
    office = hook(order["program"].encode(), order["profile"].encode())
    if not office:
        return NOT_STARTED
    handle = ctypes.cast(office, _HANDLE)
    opened = office.contents.methods.contents.load_with_options(handle, order["source"].encode(), _OPTIONS)
    if not opened:
        return NOT_LOADED
    document = ctypes.cast(opened, ctypes.POINTER(_Document))
    for url, form in order["outputs"]:
        if not document.contents.methods.contents.save_as(opened, url.encode(), form.encode(), None):
            return NOT_SAVED
    return LOADED


def _limit(what: int, value: int) -> None:
    """Lower a limit, for good; it may be lower already."""
    hard = resource.getrlimit(what)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


if __name__ == "__main__":
    # Without its way of ending, which takes half a second and can crash.
    os._exit(_run(json.loads(sys.argv[1])))
