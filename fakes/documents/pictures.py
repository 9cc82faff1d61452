"""Pictures: pages of text as scanners and fax machines make them, a photograph, a rhythm strip."""

import functools
import io
import math
import textwrap
import unicodedata
from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

from fakes.documents.story import Story

_DPI: Final = 150
_SIZE: Final = (1240, 1754)
"""A4 at 150 dpi."""
_MARGIN: Final = 110
_LINE: Final = 38
_STROKES: Final = str.maketrans("łŁøØđĐ", "lLoOdD")
"""Letters that do not come apart into a letter and an accent."""
_TEXT: Final = (
    "Thank you for seeing this patient, who has been under our care for several years. The complaint "
    "began gradually and has been worse on exertion. There is no fever and no weight loss. The "
    "examination of heart and lungs was without finding; the abdomen is soft. We ask for your "
    "opinion and for advice on the further treatment. Copies of the laboratory results and of "
    "earlier letters are enclosed. Please call the practice with any question; we are open on "
    "weekdays from eight to five. "
)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)  # comes with Pillow: the same everywhere


@functools.cache
def _form() -> Image.Image:
    """What is the same on each page; drawn once."""
    image = Image.new("L", _SIZE, 255)
    draw = ImageDraw.Draw(image)
    draw.rectangle((60, 60, _SIZE[0] - 60, _SIZE[1] - 60), outline=0, width=3)
    text = "\n".join(textwrap.wrap(_TEXT, 68))
    draw.multiline_text((_MARGIN, 520), text, fill=0, font=_font(28), spacing=_LINE - 28)
    draw.line((_MARGIN, 1500, 620, 1500), fill=0, width=2)
    draw.text((_MARGIN, 1510), "Signature", fill=0, font=_font(22))
    return image.convert("1", dither=Image.Dither.NONE)


def _plain(text: str) -> str:
    """The text without accents, of which the font has none."""
    parts = unicodedata.normalize("NFKD", text.translate(_STROKES))
    return parts.encode("ascii", "ignore").decode()


def page(title: str, story: Story, number: int) -> Image.Image:
    """A page, black on white."""
    image = _form().copy()
    draw = ImageDraw.Draw(image)
    draw.text((_MARGIN, 120), f"{title}, page {number}", fill=0, font=_font(44))
    lines = (
        _plain(story.place),
        story.day.isoformat(),
        _plain(story.header),
        f"Dear colleague, case {story.number}:",
    )
    for row, line in enumerate(lines):
        draw.text((_MARGIN, 240 + row * 54), line, fill=0, font=_font(30))
    for row, (problem, day) in enumerate(story.problems):
        text = f"{number}.{row + 1}  {problem.name}, since {day.isoformat()}"
        draw.text((_MARGIN, 940 + row * 50), text, fill=0, font=_font(28))
    return image


def g4_tiff(pages: Sequence[Image.Image]) -> bytes:
    """A TIFF of several pages, compressed as faxes are (CCITT group 4)."""
    file = io.BytesIO()
    first, *others = pages
    first.save(file, "TIFF", compression="group4", save_all=True, append_images=others, dpi=(_DPI, _DPI))
    return file.getvalue()


def fax(story: Story) -> bytes:
    """A fax of three pages."""
    return g4_tiff([page("Fax: outside records", story, number) for number in (1, 2, 3)])


def photograph(story: Story) -> bytes:
    """A JPEG in colour, with a label."""
    red = Image.radial_gradient("L").resize((640, 480))
    green = ImageOps.invert(Image.linear_gradient("L")).resize((640, 480))
    image = Image.merge("RGB", (ImageOps.invert(red), green, Image.new("L", (640, 480), 96)))
    draw = ImageDraw.Draw(image)
    draw.text(
        (20, 430), f"Left forearm {story.day.isoformat()} #{story.number}", fill="white", font=_font(28)
    )
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85, dpi=(_DPI, _DPI))
    return file.getvalue()


def rhythm_strip(story: Story) -> bytes:
    """A PNG of an electrocardiogram."""
    image = Image.new("L", (900, 300), 255)
    draw = ImageDraw.Draw(image)
    for x in range(0, 900, 30):
        draw.line((x, 0, x, 300), fill=215)
    rate = 70 + story.number % 20
    period = 60 * 250 / rate
    points = []
    for x in range(900):
        phase = (x % period) / period
        spike = 90 * math.exp(-(((phase - 0.4) / 0.012) ** 2)) + 16 * math.exp(
            -(((phase - 0.65) / 0.05) ** 2)
        )
        points.append((x, 190 - round(spike)))
    draw.line(points, fill=0, width=2)
    draw.text((20, 20), f"Lead II  {rate}/min  25 mm/s  #{story.number}", fill=0, font=_font(26))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
