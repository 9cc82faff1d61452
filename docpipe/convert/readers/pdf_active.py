"""What acts by itself in a PDF: scripts, programs to start, forms that send themselves, films.

pikepdf's own sanitizer knows the places where actions belong; here every dictionary is looked at, wherever
it hangs. Links to the web stay: they lead somewhere only when they are clicked, and half of all documents
have some.
"""

from typing import Any, Final

import pikepdf

_ACTIONS: Final = frozenset(
    {
        "/JavaScript",
        "/Launch",
        "/SubmitForm",
        "/ImportData",
        "/GoToR",
        "/Rendition",
        "/Movie",
        "/Sound",
        "/RichMediaExecute",
    }
)
_MEDIA: Final = {
    "/Movie": ("/Movie",),
    "/Sound": ("/Sound",),
    "/RichMedia": ("/RichMediaContent", "/RichMediaSettings"),
    "/3D": ("/3DD",),
}
_DEEPEST: Final = 30
_MOST_XFA: Final = 8 * 2**20


def disarm(pdf: pikepdf.Pdf) -> bool:
    """Take out what acts by itself; whether there was anything."""
    found = [_disarmed(item, 0) for item in pdf.objects]
    found += [_disarmed(pdf.Root, 0), _scripted_form(pdf)]
    return any(found)


def _disarmed(item: Any, depth: int) -> bool:
    """One object and what stands directly inside of it; what it refers to is an object of its own."""
    if depth > _DEEPEST:
        return False
    found = False
    if isinstance(item, pikepdf.Dictionary | pikepdf.Stream):
        for key in list(item.keys()):
            value = item[key]
            if _is_active(value) or _follows(key, value) or key == "/JavaScript":
                del item[key]
                found = True
            elif isinstance(value, pikepdf.Dictionary | pikepdf.Array) and not value.is_indirect:
                found |= _disarmed(value, depth + 1)
        found |= _silenced(item)
    elif isinstance(item, pikepdf.Array):
        for at in reversed(range(len(item))):
            value = item[at]
            if _is_active(value):
                del item[at]
                found = True
            elif isinstance(value, pikepdf.Dictionary | pikepdf.Array) and not value.is_indirect:
                found |= _disarmed(value, depth + 1)
    return found


def _is_active(value: Any) -> bool:
    """Whether this is an action; its type may be missing, but another one may not stand there."""
    if not isinstance(value, pikepdf.Dictionary | pikepdf.Stream):
        return False
    kind = value.get("/S")
    return (
        isinstance(kind, pikepdf.Name)
        and str(kind) in _ACTIONS
        and value.get("/Type", pikepdf.Name.Action) == "/Action"
    )


def _follows(key: str, value: Any) -> bool:
    """Whether a link to the web is followed as soon as the document or a page is opened."""
    if key == "/OpenAction":
        return isinstance(value, pikepdf.Dictionary) and value.get("/S") == "/URI"
    if key == "/AA" and isinstance(value, pikepdf.Dictionary):
        return any(
            isinstance(part, pikepdf.Dictionary) and part.get("/S") == "/URI" for part in value.values()
        )
    return False


def _silenced(item: Any) -> bool:
    """The media of an annotation taken out."""
    found = False
    for key in _MEDIA.get(str(item.get("/Subtype")), ()):
        if key in item:
            del item[key]
            found = True
    return found


def _scripted_form(pdf: pikepdf.Pdf) -> bool:
    """An XFA form with scripts is taken out whole: its fields, if it has any, are the PDF's own, too."""
    form = pdf.Root.get("/AcroForm")
    if not isinstance(form, pikepdf.Dictionary) or "/XFA" not in form:
        return False
    xfa: Any = form["/XFA"]
    parts = list(xfa) if isinstance(xfa, pikepdf.Array) else [xfa]
    for part in parts:
        if isinstance(part, pikepdf.Stream):
            text = part.read_bytes()
            if len(text) > _MOST_XFA or b"<script" in text or b"<submit" in text:
                del form["/XFA"]
                return True
    return False
