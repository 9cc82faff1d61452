"""Names of downloads: readable, and safe on every system."""

import pytest

from docpipe.web.downloads import Described, attachment, readable_name

ID = "0123456789abcdef"


@pytest.mark.parametrize(
    ("title", "date", "name"),
    [
        ("Referral letter", "2023-09-14T10:00:00Z", "2023-09-14 Referral letter.pdf"),
        ("Labs.pdf", None, "Labs.pdf"),
        ("../../etc/passwd", None, "etc passwd.pdf"),
        ('a"b\r\nSet-Cookie: x=1', "2024", "2024 a b Set-Cookie x=1.pdf"),
        ("\u202egnp.exe", None, "gnp.exe.pdf"),
        ("", "unknown", f"{ID}.pdf"),
        ("...", None, f"{ID}.pdf"),
        ("Überweisung", "2024-01-02", "2024-01-02 Überweisung.pdf"),
    ],
)
def test_readable_names(title: str, date: str | None, name: str) -> None:
    """The date and the title, without what a file system or a header would misunderstand."""
    assert readable_name(Described(title=title, date=date), ID, ".pdf") == name


def test_a_long_title_is_cut() -> None:
    """So that every file system takes it."""
    assert len(readable_name(Described(title="x" * 5000), ID, ".pdf")) < 120


def test_the_name_in_the_archive_is_the_title_of_what_has_none() -> None:
    """Without its folders."""
    assert readable_name(Described(name="IHE_XDM/SUBSET01/DOC1.XML"), ID, ".xml") == "DOC1.XML.xml"


def test_names_in_headers() -> None:
    """ASCII for old programs, and the whole name for others (RFC 6266)."""
    assert attachment("a b.pdf") == 'attachment; filename="a b.pdf"'
    assert attachment("Ü.pdf") == "attachment; filename=\"U.pdf\"; filename*=UTF-8''%C3%9C.pdf"
