"""Pictures and charts that the parts of an Office file refer to by their relations."""

from dataclasses import dataclass, field
from typing import Final

from docpipe.convert.core.base import UnreadableError
from docpipe.convert.core.blocks import Block, Picture
from docpipe.convert.core.opc import SALVAGED, Package
from docpipe.convert.readers.office.charts import chart_blocks
from docpipe.convert.readers.office.pictures import picture

CHARTS: Final = "charts became tables of their numbers; see the original for the curves"
CHARTS_LOST: Final = "charts are not shown; they are in the original"
_MOST_PICTURES: Final = 60


@dataclass(slots=True)
class Objects:
    """The pictures and charts of a file, each made once."""

    package: Package
    _pictures: dict[str, Picture | None] = field(default_factory=dict)
    _charts: dict[str, tuple[Block, ...]] = field(default_factory=dict)

    def of(self, part: str) -> "PartObjects":
        """Those that a part refers to."""
        return PartObjects(self, self.package.targets(part))

    def picture(self, name: str) -> Picture | None:
        """A picture by its part, None where the PDF cannot show it."""
        if name not in self._pictures and len(self._pictures) < _MOST_PICTURES:
            try:
                self._pictures[name] = picture(self.package.part(name)) if self.package.has(name) else None
            except UnreadableError:
                self.package.warnings.append(SALVAGED)
                self._pictures[name] = None
        return self._pictures.get(name)

    def chart(self, name: str) -> tuple[Block, ...]:
        """The blocks of a chart by its part, none where it keeps no numbers."""
        if name not in self._charts:
            try:
                self._charts[name] = chart_blocks(self.package.xml(name)) if self.package.has(name) else ()
            except UnreadableError:
                self.package.warnings.append(SALVAGED)
                self._charts[name] = ()
        return self._charts[name]

    def warnings(self) -> list[str]:
        """What the text lacks of pictures and charts."""
        drawn = len({each.file for each in self._pictures.values() if each is not None})
        lost = len(self.package.pictures()) - sum(each is not None for each in self._pictures.values())
        warnings = picture_warnings(drawn, lost)
        warnings += [CHARTS] if any(self._charts.values()) else []
        return warnings + ([CHARTS_LOST] if not all(self._charts.values()) else [])


@dataclass(frozen=True, slots=True)
class PartObjects:
    """The pictures and charts of a part, by the ids of their relations."""

    objects: Objects
    targets: dict[str, str]

    def picture(self, id_: str) -> tuple[Picture, ...]:
        """A picture, none where the PDF cannot show it."""
        made = self.objects.picture(self.targets[id_]) if id_ in self.targets else None
        return () if made is None else (made,)

    def chart(self, id_: str) -> tuple[Block, ...]:
        """The blocks of a chart."""
        return self.objects.chart(self.targets[id_]) if id_ in self.targets else ()


def picture_warnings(drawn: int, lost: int) -> list[str]:
    """The warnings for pictures that the PDF alone shows, and for those that nothing shows."""
    warnings = []
    if drawn > 0:
        what = "a picture is" if drawn == 1 else f"{drawn} pictures are"
        warnings.append(f"{what} shown in the PDF alone; no text describes what can be seen")
    if lost > 0:
        what = "a picture is" if lost == 1 else f"{lost} pictures are"
        warnings.append(f"{what} not shown in the text and the PDF; see the original")
    return warnings
