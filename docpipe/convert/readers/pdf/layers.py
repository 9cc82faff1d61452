"""Layers of a PDF (optional content) that are switched off: what they draw is not on the page."""

import io
from collections.abc import Iterator
from typing import Any, Final

import pikepdf

_SHOWS: Final = frozenset({"Tj", "TJ", "'", '"'})
_PAINTS: Final = frozenset({"S", "s", "f", "F", "f*", "B", "B*", "b", "b*"})
_DROPPED: Final = frozenset({"Do", "sh", "INLINE IMAGE"})
_DEEPEST: Final = 20
"""Expressions within expressions that are read."""
_HIDDEN: Final = 2
"""The flag of an annotation that is hidden."""


def visible(pdf: pikepdf.Pdf) -> tuple[bytes, bool] | None:
    """The PDF without what layers that are off draw, and whether that had text; None if there are none.

    `pdf` is changed. Layers that a viewer switches by itself for the screen count as it shows them, others,
    such as for printing, by their state.
    """
    layers = _Layers(pdf)
    if not layers.off:
        return None
    for page in pdf.pages:
        layers.clear(page.obj, page.obj.get("/Resources") or page.resources)
        layers.hide(page.obj.get("/Annots"))
    if not layers.changed:
        return None
    out = io.BytesIO()
    pdf.save(out)
    return out.getvalue(), layers.text


class _Layers:
    """The layers of a document that are off."""

    def __init__(self, pdf: pikepdf.Pdf) -> None:
        self._pdf = pdf
        self.off = _off(pdf)
        self.text = self.changed = False
        self._seen: set[tuple[int, int]] = set()

    def hide(self, notes: Any) -> None:
        """Hide the annotations of layers that are off."""
        for note in notes if isinstance(notes, pikepdf.Array) else ():
            if isinstance(note, pikepdf.Dictionary) and self._is_off(note.get("/OC")):
                note.F = int(note.get("/F", 0)) | _HIDDEN
                self.text = self.changed = True

    def clear(self, drawing: Any, resources: Any) -> None:
        """Take out of a page or of a form, and of those within it, what is hidden."""
        if not isinstance(resources, pikepdf.Dictionary):
            return
        forms: Any = resources.get("/XObject")
        for name in forms.keys() if isinstance(forms, pikepdf.Dictionary) else ():
            form = forms[name]
            if form.get("/Subtype") == "/Form" and form.objgen not in self._seen:
                self._seen.add(form.objgen)
                self.clear(form, form.get("/Resources") or resources)
        kept = list(self._visible(drawing, resources))
        if self._cut:
            content = pikepdf.unparse_content_stream(kept)
            self.changed = True
            if isinstance(drawing, pikepdf.Stream):
                drawing.write(content)
            else:
                drawing.Contents = self._pdf.make_stream(content)

    def _visible(self, drawing: Any, resources: Any) -> Iterator[Any]:
        """The instructions that draw visible content, and those that change how."""
        self._cut = False
        depth, off = 0, None
        given = pikepdf.Page(drawing) if isinstance(drawing, pikepdf.Dictionary) else drawing
        for instruction in pikepdf.parse_content_stream(given):
            operator = str(instruction.operator)
            if operator in {"BMC", "BDC"}:
                depth += 1
                if off is None and operator == "BDC" and self._ends(instruction.operands, resources):
                    off = depth
            elif operator == "EMC":
                off = None if off == depth else off
                depth -= 1
            gone = off is not None or (
                operator == "Do" and self._form_is_off(instruction.operands, resources)
            )
            if gone and operator in _SHOWS | _PAINTS | _DROPPED:
                self._cut = True
                self.text = self.text or operator in _SHOWS or operator == "Do"
                if operator in _PAINTS:
                    yield pikepdf.ContentStreamInstruction([], pikepdf.Operator("n"))
                continue
            yield instruction

    def _ends(self, operands: Any, resources: Any) -> bool:
        """Whether this mark begins content of a layer that is off."""
        if len(operands) < 2 or operands[0] != "/OC":  # noqa: PLR2004
            return False
        named = operands[1]
        properties = resources.get("/Properties")
        if isinstance(named, pikepdf.Name) and isinstance(properties, pikepdf.Dictionary):
            named = properties.get(str(named))
        return self._is_off(named)

    def _form_is_off(self, operands: Any, resources: Any) -> bool:
        forms = resources.get("/XObject")
        form = forms.get(str(operands[0])) if isinstance(forms, pikepdf.Dictionary) and operands else None
        return isinstance(form, pikepdf.Stream) and self._is_off(form.get("/OC"))

    def _shows(self, expression: Any, depth: int = 0) -> bool | None:
        """Whether an expression over layers (ISO 32000-2, 8.11.2.2) holds; None where it cannot be read."""
        if isinstance(expression, pikepdf.Dictionary):
            return expression.objgen not in self.off
        if not isinstance(expression, pikepdf.Array) or len(expression) < 2 or depth > _DEEPEST:  # noqa: PLR2004
            return None
        known = [part for each in list(expression)[1:] if (part := self._shows(each, depth + 1)) is not None]
        if not known:
            return None
        joined = {"/And": all(known), "/Or": any(known), "/Not": not known[0]}
        return joined.get(str(expression[0]))

    def _is_off(self, layer: Any) -> bool:
        """Whether a layer, or the layers that decide together, are off."""
        if not isinstance(layer, pikepdf.Dictionary):
            return False
        if layer.get("/Type") != "/OCMD":
            return layer.objgen in self.off
        expression: Any = layer.get("/VE")
        if isinstance(expression, pikepdf.Array) and (shows := self._shows(expression)) is not None:
            return not shows
        given: Any = layer.get("/OCGs")
        some = list(given) if isinstance(given, pikepdf.Array) else [given]
        states = [each.objgen not in self.off for each in some if isinstance(each, pikepdf.Dictionary)]
        if not states:
            return False
        policy = str(layer.get("/P", "/AnyOn"))
        on = {"/AllOn": all(states), "/AnyOff": not all(states), "/AllOff": not any(states)}
        return not on.get(policy, any(states))


def _off(pdf: pikepdf.Pdf) -> set[tuple[int, int]]:
    """The layers that are off when the document is opened on a screen."""
    off = set(_usually_off(pdf))
    properties = pdf.Root.get("/OCProperties")
    switched: Any = _at(properties, "/D", "/AS")
    for each in switched if isinstance(switched, pikepdf.Array) else ():
        if _at(each, "/Event") != "/View" or "/View" not in _names(_at(each, "/Category")):
            continue
        layers: Any = _at(each, "/OCGs")
        for layer in layers if isinstance(layers, pikepdf.Array) else ():
            state = _at(layer, "/Usage", "/View", "/ViewState")
            if state == "/OFF":
                off.add(layer.objgen)
            elif state == "/ON":
                off.discard(layer.objgen)
    return off


def _at(element: Any, *path: str) -> Any:
    """What is at a path of keys, None where it ends before."""
    for name in path:
        element = element.get(name) if isinstance(element, pikepdf.Dictionary) else None
    return element


def _names(given: Any) -> set[str]:
    return {str(each) for each in given} if isinstance(given, pikepdf.Array) else {str(given)}


def _usually_off(pdf: pikepdf.Pdf) -> Iterator[tuple[int, int]]:
    """The layers that the usual configuration has switched off."""
    properties = pdf.Root.get("/OCProperties")
    usual = properties.get("/D") if isinstance(properties, pikepdf.Dictionary) else None
    if not isinstance(usual, pikepdf.Dictionary) or not isinstance(properties, pikepdf.Dictionary):
        return
    listed: Any = usual.get("/OFF")
    if usual.get("/BaseState") == "/OFF":
        on = {layer.objgen for layer in usual.get("/ON", ())}
        yield from (layer.objgen for layer in properties.get("/OCGs", ()) if layer.objgen not in on)
    elif isinstance(listed, pikepdf.Array):
        yield from (layer.objgen for layer in listed if isinstance(layer, pikepdf.Dictionary))
