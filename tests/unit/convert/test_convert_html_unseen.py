"""Letters of a page that nobody sees: in the colour of what is behind them, clear, or too small."""
# ruff: noqa: E501 - a page on one line

import pytest
from PIL import ImageColor

from docpipe.convert.core.csscolours import Colour, colour_in
from docpipe.convert.core.tree import HIDDEN
from tests.unit.convert.documents import run

UNSEEN = {
    "nearly white": "<i style='color:#fdfdfd'>dose</i>",
    "white by its hue": "<i style='color:hsl(120deg 10% 99%)'>dose</i>",
    "white by its whiteness": "<i style='color:hwb(90 100% 0%)'>dose</i>",
    "white by percentages": "<i style='color:rgb(100%, 100%, 99%)'>dose</i>",
    "white in three digits and alpha": "<i style='color:#ffff'>dose</i>",
    "snow": "<i style='color:snow'>dose</i>",
    "a black bar": "<i style='background:#000'>dose</i>",
    "a bar in the colour of its letters": "<i style='color:#123; background-color:rgb(17 34 51)'>dose</i>",
    "a bar by a variable": "<style>:root{--x:#010101}i{background:var(--x) none;color:black}</style><i>dose</i>",
    "white in a white cell of a dark page": (
        "<body bgcolor=navy text=white>a<table bgcolor=FFFFFF><tr><td>a<td><i>dose</i></table>"
    ),
    "clear": "<i style='color:transparent'>dose</i>",
    "nearly clear": "<i style='color:rgba(0,0,0,.02)'>dose</i>",
    "clear letters that are filled": "<i style='-webkit-text-fill-color:transparent'>dose</i>",
    "clear as a whole": "<i style='opacity:1%'>dose</i>",
    "1 pt": "<i style='font-size:1pt'>dose</i>",
    "1 px by its font": "<i style='font:bold 1px/1 Arial'>dose</i>",
    "a tenth": "<p style='font-size:10pt'><i style='font-size:.1em'>dose</i>",
    "no scale": "<i style='display:inline-block;transform:scale(0)'>dose</i>",
    "a point cut out": "<i style='position:absolute;clip-path:circle(0)'>dose</i>",
}
SEEN = {
    "gray": "<i style='color:#bbb'>dose</i>",
    "white on a bar": "<i style='color:white;background:#000 none'>dose</i>",
    "white on a picture": "<p style='background:white url(a.png)'><i style='color:white'>dose</i>",
    "white on a shade from one colour to another": "<p style='background:linear-gradient(red,blue)'><i style='color:#fff'>dose</i>",
    "white on a half black bar": "<i style='color:white;background:rgba(0,0,0,.5)'>dose</i>",
    "white on a cell's picture": "<table background=a.gif><tr><td>a<td><font color=white>dose</font></table>",
    "white upon something else": "<i style='position:absolute;top:0;color:white'>dose</i>",
    "white before something else": "<i style='position:relative;z-index:2;color:white'>dose</i>",
    "white with a shadow": "<i style='color:white;text-shadow:0 0 2px #000'>dose</i>",
    "in the colour around": "<p style='color:navy'><i style='color:inherit'>dose</i>",
    "a link on black": "<p style='background:black'><a href=x>dose</a>",
    "small": "<i style='font-size:6px'>dose</i>",
    "usual within none": "<p style='font-size:0'><i style='font-size:12px'>dose</i>",
    "1 px of a drawing": "<svg viewBox='0 0 9 9'><text style='font-size:1px;fill:red'>dose</text></svg>",
}


def test_names_of_colours_do_not_depend_on_pictures_before():
    """Pillow changes its table of names when it makes a picture; a worker has made some before."""
    for _ in range(2):
        assert colour_in("white") == Colour("ffffff")
        ImageColor.getrgb("white")


@pytest.mark.parametrize("page", UNSEEN.values(), ids=UNSEEN.keys())
def test_what_nobody_sees_is_hidden(page, tmp_path):
    """It is marked, with a warning."""
    done, outputs = run(tmp_path, page.encode(), declared="text/html")
    assert b"[hidden: " in outputs["text.md"]
    assert b"dose" in outputs["text.md"]
    assert HIDDEN in done["warnings"]


@pytest.mark.parametrize("page", SEEN.values(), ids=SEEN.keys())
def test_what_may_be_seen_is_not(page, tmp_path):
    """So is what has a background that is not known."""
    done, outputs = run(tmp_path, page.encode(), declared="text/html")
    assert b"dose" in outputs["text.md"]
    assert b"hidden" not in outputs["text.md"]
    assert HIDDEN not in done["warnings"]
