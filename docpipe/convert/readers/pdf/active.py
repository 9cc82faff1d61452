"""What acts by itself in a PDF, or leads out of it: all that is not known to be harmless is taken out.

Every dictionary is looked at, wherever it hangs and however deep. Of actions only three kinds stay: to a
place in the document, to another page, and to the web at a click, which half of all documents have. Files
within the PDF are documents of their own. Source: ISO 32000-2, 12.6 and 7.11.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pikepdf

_PAGE_MOVES: Final = frozenset({"/NextPage", "/PrevPage", "/FirstPage", "/LastPage"})
_ACTIONS: Final = frozenset(
    {
        *(
            "/JavaScript",
            "/Launch",
            "/SubmitForm",
            "/ResetForm",
            "/ImportData",
            "/GoToR",
            "/GoToE",
            "/GoToDp",
        ),
        *("/Thread", "/Sound", "/Movie", "/Rendition", "/GoTo3DView", "/RichMediaExecute", "/Hide"),
        *("/SetOCGState", "/Trans", "/Named", "/URI", "/GoTo"),
    }
)
"""Values of /S that only actions have: an object with one is an action wherever it is."""
_AT_A_CLICK: Final = "/A"
_ACTS: Final = frozenset({_AT_A_CLICK, "/PA", "/Next", "/OpenAction"})
"""Keys whose values are actions, if they have an /S; structure elements and outlines use two of them."""
_SCRIPTS: Final = frozenset(
    {
        *("/AA", "/JavaScript", "/JS", "/RichMediaContent", "/RichMediaSettings", "/3DD", "/Renditions"),
        *("/AlternatePresentations", "/Requirements", "/Ref", "/OPI", "/SpiderInfo", "/DestOutputProfileRef"),
    }
)
"""Keys that are taken out of every dictionary: what acts, and what is fetched from elsewhere."""
_PARTS: Final = frozenset({"/EmbeddedFiles", "/EF", "/AF", "/XFA", "/NeedsRendering", "/Collection"})
"""Keys that are removed although they do not act: embedded files, and XFA forms."""
_ELSEWHERE: Final = frozenset({"/F", "/FFilter", "/FDecodeParms"})
"""Of a stream: its bytes are in another file."""
_MEDIA: Final = {"/Movie": "/Movie", "/Sound": "/Sound"}
_WEB: Final = re.compile(r"\s*(https?|mailto|tel):|(?!\s*//)[^:\\]*$", re.IGNORECASE)


@dataclass(slots=True)
class Disarmed:
    """What was taken out."""

    scripts: bool = False
    """Something that acts, or leads out of the document."""
    parts: bool = False
    """Files, or a form of Adobe's own."""


def disarm(pdf: pikepdf.Pdf) -> Disarmed:
    """Remove actions, and everything outside of the pages.

    Raises: whatever pikepdf does for odd objects; the PDF is not safe then.
    """
    done = Disarmed()
    for item in [*pdf.objects, pdf.trailer]:
        waiting = [item]  # and its direct values: references are objects of their own
        while waiting:
            holder = waiting.pop()
            for key, value in list(_values(holder)):
                if _is_part(key, holder, value):
                    done.parts = True
                elif _acts(key, holder, value):
                    done.scripts = True
                else:
                    if isinstance(value, pikepdf.Dictionary | pikepdf.Array) and not value.is_indirect:
                        waiting.append(value)
                    continue
                del holder[key]
    return done


def _values(holder: Any) -> Iterator[tuple[Any, Any]]:
    """Keys of a dictionary, or places of an array from the last to the first, with what is there."""
    if isinstance(holder, pikepdf.Dictionary | pikepdf.Stream):
        yield from ((key, holder[key]) for key in holder.keys())  # noqa: SIM118 -- no other way to iterate
    elif isinstance(holder, pikepdf.Array):
        yield from ((at, holder[at]) for at in reversed(range(len(holder))))


def _is_part(key: Any, holder: Any, value: Any) -> bool:
    if key == "/FS":
        return bool(holder.get("/Subtype") == "/FileAttachment")
    return key in _PARTS and not isinstance(value, bool | int)


def _acts(key: Any, holder: Any, value: Any) -> bool:
    """Whether the value of a key acts, or leads out of the document."""
    if isinstance(key, int):  # in an array, such as the one behind /Next or in a tree of names
        return _is_action(value) and not _is_harmless(value, at_a_click=False)
    if key == "/URI" and isinstance(value, pikepdf.Dictionary):  # relative addresses continue its /Base
        return True
    if key in _SCRIPTS or (key in _ELSEWHERE and isinstance(holder, pikepdf.Stream)):
        return True
    if _MEDIA.get(str(holder.get("/Subtype"))) == key or _is_program(key, holder, value):
        return True
    if not isinstance(value, pikepdf.Dictionary | pikepdf.Stream):
        return False
    named = "/S" in value and key in _ACTS
    return (named or _is_action(value)) and not _is_harmless(value, at_a_click=key == _AT_A_CLICK)


def _is_program(key: Any, holder: Any, value: Any) -> bool:
    """Whether a stream is PostScript, which some viewers send to a printer unchanged (ISO 32000-1, 8.8.2)."""
    return isinstance(holder, pikepdf.Stream) and (
        (key in {"/Subtype", "/Subtype2"} and value == pikepdf.Name.PS)
        or (key == "/PS" and isinstance(value, pikepdf.Stream))
    )


def _is_action(value: Any) -> bool:
    """By its /S alone: viewers do not look at /Type."""
    return isinstance(value, pikepdf.Dictionary | pikepdf.Stream) and str(value.get("/S")) in _ACTIONS


def _is_harmless(action: Any, *, at_a_click: bool) -> bool:
    if isinstance(action, pikepdf.Stream):
        return False
    match str(action.get("/S")):
        case "/GoTo":
            return True
        case "/Named":
            return str(action.get("/N")) in _PAGE_MOVES
        case "/URI":
            target = action.get("/URI")
            return at_a_click and isinstance(target, pikepdf.String) and bool(_WEB.match(str(target)))
    return False
