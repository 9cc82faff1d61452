"""Excel: conversations on cells, with who, when and replies; the copy for older versions is left out."""

# ruff: noqa: E501 -- an element a line

from tests.unit.convert.documents import OFFICE, text_of
from tests.unit.convert.offices import PACKAGE, SHEET, xlsx

NEWER = "http://schemas.microsoft.com/office/2017/10/relationships"
SPACE = 'xmlns="http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments"'
ROW = '<row r="1"><c r="A1"><v>6.9</v></c><c r="B1"><v>7</v></c></row>'
LEGACY = (
    f'<comments xmlns="{SHEET}"><authors><author>tc={{1}}</author><author>Nurse</author></authors><commentList>'
    '<comment ref="A1" authorId="0"><text><t>[Threaded comment] wrong value</t></text></comment>'
    '<comment ref="B1" authorId="1"><text><t>note</t></text></comment></commentList></comments>'
)
TALK = (
    f'<ThreadedComments {SPACE}><threadedComment ref="A1" dT="2024-01-02T03:04:05.00" personId="{{P}}" id="{{1}}" '
    'done="1"><text>wrong value</text></threadedComment><threadedComment ref="A1" parentId="{1}" personId="{Q}" '
    'id="{2}"><text>agreed, 5.9</text></threadedComment></ThreadedComments>'
)
PEOPLE = f'<personList {SPACE}><person displayName="Dr Doe" id="{{P}}"/></personList>'


def workbook(*, talk):
    """A workbook with notes, and perhaps with the conversation that one of them copies."""
    link = f'<Relationship Id="b" Type="{NEWER}/threadedComment" Target="../threadedComments/t1.xml"/>'
    more = {
        "xl/worksheets/_rels/sheet1.xml.rels": f'<Relationships xmlns="{PACKAGE}">'
        f'<Relationship Id="a" Type="{OFFICE}/comments" Target="../comments1.xml"/>{link * talk}</Relationships>',
        "xl/comments1.xml": LEGACY,
        "xl/threadedComments/t1.xml": TALK,
        "xl/persons/person.xml": PEOPLE,
    }
    return xlsx({"S": ROW}, more=more)


def test_a_conversation_has_its_authors_times_and_replies(tmp_path):
    """And the other notes stay."""
    text = text_of(tmp_path, workbook(talk=True))
    assert text.split("### Comments\n\n")[1] == (
        "- A1 (Dr Doe, 2024-01-02T03:04, resolved): wrong value\n- A1 (reply): agreed, 5.9\n- B1 (Nurse): note\n"
    )


def test_the_copy_stays_where_the_conversation_is_missing(tmp_path):
    """Without the number that stands for an author."""
    text = text_of(tmp_path, workbook(talk=False))
    assert (
        "- A1: \\[Threaded comment\\] wrong value\n" in text
        or "- A1: [Threaded comment] wrong value\n" in text
    )
