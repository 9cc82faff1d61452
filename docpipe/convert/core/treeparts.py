"""Parts of a page other than text: fields of forms and formulas (MathML)."""

from typing import Final

from docpipe.convert.core.blocks import tidy
from docpipe.convert.core.marks import lowered, raised
from docpipe.convert.core.treenode import Node

TICKED: Final = "☑"
EMPTY: Final = "☐"
_MUTE: Final = frozenset({"hidden", "password", "submit", "reset", "button", "image", "file"})
_MOST_CHOICES: Final = 8
"""Choices of a list that are all written; of longer lists only what was chosen."""
_SKIPPED: Final = frozenset({"annotation", "annotation-xml", "maction-hidden"})


def field(node: Node, labelled: frozenset[str]) -> str:
    """What a form shows of a field (`input`): a box that is ticked or not, or what was typed.

    Args:
        node: the element.
        labelled: ids of fields that have a label; others are named by `aria-label`.
    """
    kind = node.attributes.get("type", "text").strip().lower()
    if kind in _MUTE:
        return ""
    if kind in {"checkbox", "radio"}:
        ticked = "checked" in node.attributes or node.attributes.get("aria-checked") == "true"
        return f" {_named(node, labelled, TICKED if ticked else EMPTY, behind=True)} "
    value = node.attributes.get("value", "")
    return f" {_named(node, labelled, value)} " if value.strip() else ""


def state(node: Node) -> str:
    """The box of an element that a script makes a box to tick or a choice (WAI-ARIA), empty for others."""
    role = node.attributes.get("role", "").strip().lower()
    if node.tag in {"input", "option"} or role not in _TICKABLE:
        return ""
    name = "aria-selected" if role == "option" else "aria-checked"
    value = node.attributes.get(name, node.attributes.get("aria-pressed", "")).strip().lower()
    return {"true": TICKED, "false": EMPTY, "mixed": "[partly] " + EMPTY}.get(value, "")


_TICKABLE: Final = frozenset(
    {"checkbox", "radio", "switch", "menuitemcheckbox", "menuitemradio", "option", "button"}
)


def gauge(node: Node) -> str:
    """What a bar shows (`meter`, `progress`): its value, and the end of its scale."""
    value = node.attributes.get("value", "").strip()
    most = node.attributes.get("max", "").strip()
    if node.text() or not value:
        return node.text()
    return f"{value} of {most}" if most else value


def choice(node: Node, labelled: frozenset[str]) -> str:
    """What a form shows of a list to choose from (`select`): all choices with boxes, or the chosen ones."""
    options = [(_option(each), "selected" in each.attributes) for each in node.find("option")]
    options = [(text, chosen) for text, chosen in options if text]
    if len(options) > _MOST_CHOICES:
        picked = ", ".join(f"{TICKED} {text}" for text, chosen in options if chosen)
        return f" {_named(node, labelled, picked or '(nothing chosen)')} "
    return f" {_named(node, labelled, ' '.join(f'{TICKED if c else EMPTY} {text}' for text, c in options))} "


def _option(node: Node) -> str:
    return node.text() or tidy(node.attributes.get("label", ""))


def _named(node: Node, labelled: frozenset[str], text: str, *, behind: bool = False) -> str:
    name = " ".join(tidy(node.attributes.get("aria-label", "")).split())
    if not name or node.attributes.get("id", "") in labelled - {""}:
        return text
    return f"{text} {name}" if behind else f"{name}: {text}"


def formula(node: Node) -> str:
    """MathML in one line: `(a + b)/2`, `x²`, `√(2)`; its text form where it has nothing else."""
    return " ".join(_math(node).split()) or tidy(node.attributes.get("alttext", ""))


def _math(node: Node) -> str:
    children = [child for child in node.children if isinstance(child, Node) and child.tag not in _SKIPPED]
    if not children:
        text = " ".join(node.text().split())
        return f" {text} " if node.tag == "mo" and text not in _TIGHT else text
    parts = [_math(child) for child in children]
    first, second, third = (*(part.strip() for part in parts[:3]), "", "", "")[:3]
    match node.tag:
        case "mfrac":
            text = f"{_grouped(first)}/{_grouped(second)}"
        case "msup" | "mover":
            text = f"{_grouped(first)}{raised(second)}"
        case "msub" | "munder":
            text = f"{_grouped(first)}{lowered(second)}"
        case "msubsup" | "munderover":
            text = f"{_grouped(first)}{lowered(second)}{raised(third)}"
        case "msqrt":
            text = f"√({_joined(parts).strip()})"
        case "mroot":
            text = f"{raised(second)}√({first})"
        case "mtr" | "mlabeledtr":
            text = ", ".join(part.strip() for part in parts) + "; "
        case "semantics":
            text = parts[0]
        case _:
            text = _joined(parts)
    return text


_TIGHT: Final = frozenset({"(", ")", "[", "]", "{", "}", ",", "|", "!", "\u2061", "\u2062", "\u2063"})


def _joined(parts: list[str]) -> str:
    """Neighbours joined; a blank between two that would run into one word or number."""
    out = ""
    for part in parts:
        out += " " if out[-1:].isalnum() and part[:1].isalnum() else ""
        out += part
    return out


def _grouped(text: str) -> str:
    simple = text.replace(".", "").replace(",", "").isalnum()
    return text if simple or (text.startswith("(") and text.endswith(")")) else f"({text})"
