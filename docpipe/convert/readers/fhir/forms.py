"""Questionnaires of FHIR and the answers to them, as questions and answers."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from docpipe.convert.core.blocks import Block, Listing, Paragraph
from docpipe.convert.readers.fhir import values as fhir

_DEEPEST: Final = 40
UNANSWERED: Final = "(no answer)"


def questions(resources: list[Mapping[str, Any]]) -> dict[str, str]:
    """The texts of questions by their link ids, of all questionnaires among the resources."""
    texts: dict[str, str] = {}
    stack = [one for one in resources if one.get("resourceType") == "Questionnaire"]
    while stack:
        one = stack.pop()
        link, text = one.get("linkId"), one.get("text")
        if isinstance(link, str) and isinstance(text, str):
            texts.setdefault(link, text)
        stack += [item for item in fhir.listed(one.get("item")) if isinstance(item, Mapping)]
    return texts


def form(
    items: Any, texts: Mapping[str, str], resolve: fhir.Resolve, *, filled: bool, depth: int = 0
) -> Iterator[tuple[Block, ...]]:
    """An item of a list for each question, with its answers behind it.

    Args:
        items: `item` of a Questionnaire or of a QuestionnaireResponse.
        texts: the texts of questions by their link ids, for responses that lack them.
        resolve: names resources.
        filled: whether it is a response, in which a question without an answer was not answered.
        depth: how deep the items are nested.
    """
    for item in fhir.listed(items) if depth < _DEEPEST else ():
        if not isinstance(item, Mapping):
            continue
        link = fhir.inline(item.get("linkId"), resolve) or ""
        question = (
            fhir.inline(item.get("text"), resolve)
            or texts.get(link)
            or fhir.inline(item.get("definition"), resolve)
            or link
        )
        prefix = fhir.inline(item.get("prefix"), resolve)
        question = f"{prefix} {question}" if prefix else question
        answers = [each for each in fhir.listed(item.get("answer")) if isinstance(each, Mapping)]
        inner = list(form(item.get("item"), texts, resolve, filled=filled, depth=depth + 1))
        for answer in answers:
            inner += form(answer.get("item"), texts, resolve, filled=filled, depth=depth + 1)
        given = "; ".join(filter(None, (_answer(each, resolve) for each in answers)))
        if not filled:
            given = _choices(item, texts, resolve)
        elif not given and not inner:
            given = _absent(item) or UNANSWERED
        between = " " if question.endswith(("?", ":")) else ": "
        text = f"{question}{between}{given}" if given else question
        yield (Paragraph(text), *((Listing(tuple(inner)),) if inner else ()))


def _answer(answer: Mapping[str, Any], resolve: fhir.Resolve) -> str:
    parts = []
    for key, value in answer.items():
        if key.startswith("value"):
            text = fhir.inline(value, resolve)
            if text is None:
                text = ", ".join(fhir.flat_items(fhir.members(value, resolve)))
            parts.append({"true": "yes", "false": "no"}.get(text, text) if key == "valueBoolean" else text)
    return "; ".join(part for part in parts if part) or _absent(answer)


def _absent(value: Mapping[str, Any]) -> str:
    """Why there is no answer, where an extension gives the reason: `(asked declined)`."""
    holders = [value, *(part for key, part in value.items() if key.startswith("_"))]
    for holder in holders:
        for one in fhir.listed(holder.get("extension") if isinstance(holder, Mapping) else None):
            if isinstance(one, Mapping) and str(one.get("url")).endswith(_REASONS):
                reason = one.get("valueCode") or one.get("valueString") or one.get("valueCoding")
                return f"({fhir.plain_code(fhir.concept(reason))})"
    return ""


_REASONS: Final = ("data-absent-reason", "iso21090-nullFlavor")


def _condition(one: Mapping[str, Any], texts: Mapping[str, str], resolve: fhir.Resolve) -> str:
    """When a question is asked, by the answer to another: `Smoker? = yes`."""
    link = str(one.get("question") or "")
    sign = str(one.get("operator") or "")
    wanted = next((value for key, value in one.items() if key.startswith("answer")), None)
    answer = _answer({"valueBoolean" if isinstance(wanted, bool) else "value": wanted}, resolve)
    if sign == "exists":
        return f"{texts.get(link, link)} {'is not' if answer == 'no' else 'is'} answered"
    return f"{texts.get(link, link)} {sign} {answer}"


def _choices(item: Mapping[str, Any], texts: Mapping[str, str], resolve: fhir.Resolve) -> str:
    options = [each for each in fhir.listed(item.get("answerOption")) if isinstance(each, Mapping)]
    named = [text for text in (_answer(each, resolve) for each in options) if text]
    chosen = [each for each in options if each.get("initialSelected") is True]
    initial = [text for each in (*fhir.listed(item.get("initial")), *chosen) if isinstance(each, Mapping)
               for text in (_answer(each, resolve),) if text]  # fmt: skip
    parts = [f"choices: {', '.join(named)}"] if named else []
    conditions = [each for each in fhir.listed(item.get("enableWhen")) if isinstance(each, Mapping)]
    joined = " and " if item.get("enableBehavior") == "all" else " or "
    if asked := joined.join(_condition(each, texts, resolve) for each in conditions):
        parts.insert(0, f"if {asked}")
    parts += [f"filled in with {', '.join(initial)}"] if initial else []
    return f"({'; '.join(parts)})" if parts else ""
