"""Calendar entries and contact cards: what they say, without their source code."""

# ruff: noqa: E501 -- a property a line

import base64

import pytest

from docpipe.convert.core.detect import detect
from tests.unit.convert.documents import run, text_of

CALENDAR = b"""BEGIN:VCALENDAR\r
METHOD:REQUEST\r
BEGIN:VTIMEZONE\r
TZID:Vienna\r
BEGIN:STANDARD\r
DTSTART:19701025T030000\r
END:STANDARD\r
END:VTIMEZONE\r
BEGIN:VEVENT\r
UID:1\r
DTSTART;TZID=Europe/Vienna:20240501T140000\r
DTEND:20240501T123000Z\r
SUMMARY:Follow-up cardiology\\, Dr X\r
LOCATION:Room 4\r
DESCRIPTION:Bring meds\\nStop warfarin 5 days be\r
 fore\r
ORGANIZER;CN="Dr X":mailto:x@example.org\r
ATTENDEE;CN=Ann;PARTSTAT=NEEDS-ACTION:MAILTO:ann@example.org\r
STATUS:CANCELLED\r
X-FASTING-SINCE:midnight\r
BEGIN:VALARM\r
TRIGGER:-PT15M\r
END:VALARM\r
END:VEVENT\r
END:VCALENDAR\r
"""


def test_a_calendar_entry_is_read(tmp_path):
    """Times, place, people, state and text; zones and numbers for machines are left out."""
    done, outputs = run(tmp_path, CALENDAR)
    assert outputs["text.md"].decode() == (
        "- Method: invitation\n\n# Appointment: Follow-up cardiology, Dr X\n\n"
        "- From: 2024-05-01T14:00:00 (Europe/Vienna)\n- To: 2024-05-01T12:30:00Z\n- Place: Room 4\n"
        "- Description: Bring meds  \n  Stop warfarin 5 days before\n- Organizer: Dr X &lt;x@example.org>\n"
        "- Attendee: Ann &lt;ann@example.org>, needs action\n- Status: CANCELLED\n- Fasting since: midnight\n\n"
        "## Reminder\n\n- When: 15 minutes before\n"
    ).replace("# Appointment", "## Appointment").replace("## Reminder", "### Reminder")
    assert done["media_type"] == "text/calendar"
    assert [done["metadata"][key] for key in ("title", "date")] == [
        "Follow-up cardiology, Dr X",
        "2024-05-01T14:00:00",
    ]


CARD = b"""BEGIN:VCARD
VERSION:2.1
N:Person;Testa;Q;Dr
FN:Dr Testa Person
item1.TEL;TYPE=HOME,VOICE:+1 555
ADR;WORK:;;1 Test St;Town;;1010;
BDAY:19700203
NOTE;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Allergic=20to=20=
penicillin=C3=A9
CLASS:PUBLIC
END:VCARD
"""


def test_a_contact_card_is_read(tmp_path):
    """Names in reading order, quoted-printable of old cards decoded and unfolded."""
    text = text_of(tmp_path, CARD)
    assert text == (
        "# Contact: Dr Testa Person\n\n- Full name: Dr Testa Q Person\n- Phone (home, voice): +1 555\n"
        "- Address: 1 Test St, Town, 1010\n- Born: 1970-02-03\n- Note: Allergic to penicillin\N{LATIN SMALL LETTER E WITH ACUTE}\n"
    )


def test_files_within_are_taken_out(tmp_path):
    """A photograph or an attachment in base64 is a document of its own."""
    data = base64.b64encode(b"%PDF-1.4\n1 0 obj").decode()
    card = f"BEGIN:VCARD\nFN:A\nATTACH;FMTTYPE=application/pdf;ENCODING=BASE64;VALUE=BINARY:{data[:9]}\n {data[9:]}\nEND:VCARD\n"
    done, outputs = run(tmp_path, card.encode())
    assert [(part["name"], part["declared"]) for part in done["embedded"]] == [
        ("embedded-1.pdf", "application/pdf")
    ]
    assert "- Attachment: a PDF, kept beside this document as embedded-1.pdf" in outputs["text.md"].decode()


def test_an_empty_card_fails_plainly(tmp_path):
    """What has no entry is reported."""
    done, _ = run(tmp_path, b"BEGIN:VCARD\nEND:VCARD\n")
    assert (done["outcome"], done["reason"]) == ("failed", "The file has no entry that could be read.")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (CALENDAR, "text/calendar"),
        (b"\xef\xbb\xbfbegin:vcard\nFN:A\n", "text/vcard"),
        (b"BEGIN:VCARD of things", "text/plain"),
    ],
)
def test_cards_are_recognised_by_their_first_line(data, kind):
    """Whatever they are called."""
    assert detect(data) == kind


TIMES = {
    "a duration": ("DURATION:PT1H30M", "Duration: 1 hour 30 minutes"),
    "a reminder": ("TRIGGER:-P1D", "When: 1 day before"),
    "every other week": (
        "RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR",
        "Repeats: every 2 weeks, on Monday, Friday",
    ),
    "the last Friday": (
        "RRULE:FREQ=MONTHLY;BYDAY=-1FR;UNTIL=20241231",
        "Repeats: every month, on the last Friday, until 2024-12-31",
    ),
    "a rule that is not known": ("RRULE:FREQ=YEARLY;BYEASTER=1", "Repeats: FREQ=YEARLY;BYEASTER=1"),
    "a page": ("X-ALT-DESC;FMTTYPE=text/html:<p>Do <s>not</s></p>", "Alt desc: Do ~~not~~"),
}


@pytest.mark.parametrize(("line", "text"), TIMES.values(), ids=TIMES)
def test_times_of_entries_are_words(line, text, tmp_path):
    """Codes of calendars are in words."""
    entry = f"BEGIN:VCALENDAR\r\nMETHOD:CANCEL\r\nBEGIN:VEVENT\r\nSUMMARY:x\r\n{line}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    read = text_of(tmp_path, entry.encode())
    assert text in read
    assert "Method: cancelled" in read
