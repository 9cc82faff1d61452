"""What holds in RTF until the end of a group: where text goes, in which font, and how it looks."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from docpipe.convert.core.legible import is_too_small
from docpipe.convert.core.marks import Mark
from docpipe.convert.readers.office.runs import Look, Visibility, shifted
from docpipe.convert.readers.rtf.stylesheet import Styled

SKIPPED: Final = {
    "colortbl", "pict", "nonshppict", "objdata", "objclass", "objname", "datafield", "xe", "tc", "tcn",
    "rxe", "txe", "filetbl", "revtbl", "rsidtbl", "generator",
    "themedata", "colorschememapping", "datastore", "latentstyles", "xmlnstbl", "pgptbl", "listpicture",
    "shprslt", "atnid", "atntime", "atnparent", "ffname", "ffdeftext", "ffformat",
    "ffhelptext", "ffstattext", "ffentrymcr", "ffexitmcr", "levelnumbers", "listname", "bkmkstart",
    "bkmkend", "pntxta",
    "pntxtb", "pnseclvl", "background", "ftnsep", "ftnsepc", "aftnsep", "aftnsepc", "ftncn", "aftncn",
    "userprops", "docvar", "mmathpr", "oleclsid", "nonesttables",
}  # fmt: skip
PLACES: Final = {
    "fonttbl": "font", "stylesheet": "stylesheet", "info": "info", "shptxt": "body", "dptxbxtext": "body",
    "listtable": "lists", "listoverridetable": "overrides", "leveltext": "leveltext",
    "fldinst": "instruction", "moMath": "math",
    "formfield": "form", "ffl": "choice", "annotation": "comment", "atnauthor": "commenter", "sn": "name",
    "sv": "value", "nesttableprops": "nested", "upr": "forms", "atrfstart": "begins", "atrfend": "ends",
    "atnref": "about", "atndate": "dated",
}  # fmt: skip
"""Where the text of a destination goes."""
INFO: Final = {"title": "title", "author": "author"} | dict.fromkeys(
    ("subject", "operator", "keywords", "doccomm", "comment", "company", "category", "manager", "hlinkbase",
     "revtim", "printim", "buptim"), "gone",
)  # fmt: skip
"""Destinations within those of the header's facts, and where their text goes."""
CHARACTERS: Final = {
    "tab": "\t", "line": "\n", "lbr": "\n", "softline": "\n", "nestcell": " | ",
    "emdash": "\N{EM DASH}", "endash": "\N{EN DASH}", "bullet": "•", "emspace": " ", "enspace": " ",
    "qmspace": " ", "lquote": "\N{LEFT SINGLE QUOTATION MARK}", "rquote": "\N{RIGHT SINGLE QUOTATION MARK}",
    "ldblquote": "“", "rdblquote": "”",
}  # fmt: skip
SHADES: Final = frozenset({"clshdng", "clcfpat", "trcbpat", "trcfpat", "clcbpatraw", "clcfpatraw"})
DATE: Final = frozenset({"yr", "mo", "dy"})
MARGINS: Final = {
    "header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr", "footerf",
}  # fmt: skip
_QUIET: Final = frozenset({"skip", "forms", "gone", "info", "lists", "overrides", "form", "nested"})
NOTHING_STYLED: Final = Styled()
_USUAL_SHIFT: Final = 6
"""Half points by which text is moved up or down where no number is given."""


@dataclass(frozen=True, slots=True)
class Style:
    """What holds until the end of a group."""

    place: str = "body"
    """Where text goes: body, label (of a list item), note, comment, the margins, or a table of the header;
    text in `skip` and `gone` is left out; a destination within `gone` is left out too."""
    font: int | None = None
    unicode_skip: int = 1
    hidden: bool = False
    deleted: bool = False
    marks: Mark = Mark.NONE
    struck_twice: bool = False
    level: int = 0
    """1 for raised, -1 for lowered text."""
    shift: int = 0
    """Half points above the line, negative below it."""
    of_paragraph: Styled = NOTHING_STYLED
    """The properties that the style of the paragraph sets."""
    of_passage: Styled = NOTHING_STYLED
    """The properties that the style of the characters sets."""
    ink: int = 0
    """The number of the colour of its letters in the file's table, 0 for none."""
    paper: int = 0
    """The same of what is behind them."""
    block: int = 0
    """The same of what is behind the paragraph."""
    in_table: bool = False
    size: int | None = None
    """Half points, None where it has the usual size."""
    boxed: bool = False
    """Whether the text is in a shape, which may be filled."""

    @property
    def quiet(self) -> bool:
        """Whether the text of the place is not part of the document."""
        return self.place in _QUIET

    @property
    def visibility(self) -> Visibility:
        """Whether the page shows the text."""
        if self.deleted:
            return Visibility.DELETED
        hidden = self.hidden or self.of_paragraph.hidden or self.of_passage.hidden
        hidden = hidden or is_too_small(None if self.size is None else self.size / 2)
        return Visibility.HIDDEN if hidden else Visibility.VISIBLE

    def look(self, text: str) -> Look:
        """How the text looks."""
        struck = self.struck_twice or self.of_paragraph.struck or self.of_passage.struck
        marks = self.marks | (Mark.STRUCK if struck else Mark.NONE)
        level = self.level or self.of_passage.level or self.of_paragraph.level
        return Look(marks, level or shifted(text, self.shift), self.visibility)

    def without(self, name: str) -> "Style":
        """The style without a property (struck, hidden, level) that the sheet's styles set."""
        if NOTHING_STYLED is self.of_paragraph is self.of_passage:
            return self
        usual = getattr(NOTHING_STYLED, name)
        return replace(
            self,
            of_paragraph=replace(self.of_paragraph, **{name: usual}),
            of_passage=replace(self.of_passage, **{name: usual}),
        )

    def marked(self, mark: Mark, *, on: bool) -> "Style":
        """The style with a mark, or without it."""
        return replace(self, marks=self.marks | mark if on else self.marks & ~mark)


def of_note(style: Style) -> Style:
    """How a note begins in text that looks like this: its mark is raised, the note is not."""
    made = replace(_plain(style), font=style.font, hidden=style.hidden, deleted=style.deleted, place="note")
    return replace(made, of_paragraph=NOTHING_STYLED)


def _plain(style: Style) -> Style:
    """What the word plain leaves: changes are tracked whatever the text looks like."""
    marks = style.marks & Mark.INSERTED
    return Style(
        style.place,
        None,
        style.unicode_skip,
        marks=marks,
        of_paragraph=style.of_paragraph,
        block=style.block,
        in_table=style.in_table,
        boxed=style.boxed,
    )


STYLES: Final[dict[str, Callable[[Style, int | None, bool], Style]]] = {
    "f": lambda style, number, _: replace(style, font=number or 0),
    "uc": lambda style, number, _: replace(
        style, unicode_skip=max(0, min(1 if number is None else number, 8))
    ),
    "v": lambda style, _, on: replace(style if on else style.without("hidden"), hidden=on),
    "deleted": lambda style, _, on: replace(style, deleted=on),
    "revised": lambda style, _, on: style.marked(Mark.INSERTED, on=on),
    "b": lambda style, _, on: style.marked(Mark.BOLD, on=on),
    "i": lambda style, _, on: style.marked(Mark.ITALIC, on=on),
    "strike": lambda style, _, on: (style if on else style.without("struck")).marked(Mark.STRUCK, on=on),
    "striked": lambda style, _, on: replace(style, struck_twice=on),
    "strikedl": lambda style, _, on: replace(style, struck_twice=on),
    "super": lambda style, _, on: replace(style, level=int(on)),
    "sub": lambda style, _, on: replace(style, level=-int(on)),
    "nosupersub": lambda style, _number, _on: replace(style.without("level"), level=0),
    "up": lambda style, number, _: replace(style, shift=_USUAL_SHIFT if number is None else number),
    "dn": lambda style, number, _: replace(style, shift=-(_USUAL_SHIFT if number is None else number)),
    "cf": lambda style, number, _: replace(style, ink=number or 0),
    "highlight": lambda style, number, _: replace(style, paper=number or 0),
    "cb": lambda style, number, _: replace(style, paper=number or 0),
    "chcbpat": lambda style, number, _: replace(style, paper=number or 0),
    "chcfpat": lambda style, number, _: replace(style, paper=number or style.paper),
    "cbpat": lambda style, number, _: replace(style, block=number or 0),
    "cfpat": lambda style, number, _: replace(style, block=number or style.block),
    "fs": lambda style, number, _: replace(style, size=number),
    "plain": lambda style, _number, _on: _plain(style),
}
"""How control words change the style, by the number behind them and whether that is not 0."""
