"""E-mails, mailboxes, saved web pages and Outlook messages: what people read, and what was attached."""

import base64
import email
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.convert.core.detect import detect
from docpipe.convert.readers.mail import mime
from docpipe.convert.readers.rtf import lzfu
from tests.unit.convert import documents, offices
from tests.unit.convert.documents import run, text_of

HEAD = "From: Ann <a@example.org>\r\nTo: b@example.org\r\nSubject: A test\r\nMIME-Version: 1.0\r\n"
SEEN = "# A test\n\nFrom: Ann &lt;a@example.org>  \nTo: b@example.org\n\n"


def mail(rest, head=HEAD):
    """A message: the rest of its header, an empty line and the body."""
    return (head + rest.replace("\n", "\r\n")).encode("utf-8", "surrogateescape")


def parts(kind, *bodies):
    """A multipart message; each part with its own header."""
    inner = "".join(f"--B\n{body}\n" for body in bodies)
    return mail(f'Content-Type: multipart/{kind}; boundary="B"\n\n{inner}--B--\n')


def attached(name, data, kind="application/pdf", more=""):
    """A part that is a file."""
    encoded = base64.encodebytes(data).decode()
    return (
        f'Content-Type: {kind}; name="{name}"\nContent-Transfer-Encoding: base64\n'
        f'Content-Disposition: attachment; filename="{name}"\n{more}\n{encoded}'
    )


PLAIN = "Content-Type: text/plain\n\nplain text of the letter"
STUB = "Content-Type: text/plain\n\nThis message is in HTML. Open it with another mail program to see it all."
HTML = "Content-Type: text/html\n\n<p>rich <b>text</b> of the letter</p>"
BODIES = {
    "plain": (mail("Content-Type: text/plain\n\nHello\n\nthere\n"), "Hello\n\nthere\n"),
    "without a type": (mail("\nHello\n"), "Hello\n"),
    "html": (mail("Content-Type: text/html\n\n<h1>A</h1><script>x</script>b"), "# A\n\nb\n"),
    "rich rather than plain, never both": (
        parts("alternative", PLAIN, HTML),
        "rich **text** of the letter\n",
    ),
    "plain where html lost it": (
        parts("alternative", PLAIN, "Content-Type: text/html\n\nthe letter"),
        PLAIN[26:] + "\n",
    ),
    "a stub beside html": (
        parts("alternative", STUB, "Content-Type: text/html\n\n<p>Stop the tablets today"),
        "Stop the tablets today\n",
    ),
    "a stub of html": (
        parts("alternative", PLAIN, "Content-Type: text/html\n\n<p>See this page in your browser"),
        PLAIN[26:] + "\n",
    ),
    "two alternatives that say different things": (
        parts("alternative", PLAIN, "Content-Type: text/html\n\n<p>Stop all tablets today, call me."),
        "Stop all tablets today, call me.\n\n" + PLAIN[26:] + "\n",
    ),
    "a fuller alternative that speaks of html": (
        parts("alternative", PLAIN, "Content-Type: text/html\n\n<p>the html text of the letter"),
        "the html text of the letter\n",
    ),
    "two texts": (parts("mixed", PLAIN, "Content-Type: text/plain\n\nfooter"), PLAIN[26:] + "\n\nfooter\n"),
    "quoted-printable": (
        mail(
            "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: "
            "quoted-printable\n\nJos=E9 =\nx"
        ),
        "José x\n",
    ),
    "a transfer encoding with rubbish": (
        mail("Content-Type: text/plain\nContent-Transfer-Encoding: base64 (x)\n\nSGVsbG8="),
        "Hello\n",
    ),
    "a charset that lies": (mail("Content-Type: text/plain; charset=us-ascii\n\nJosé"), "José\n"),
    "an unknown charset": (mail("Content-Type: text/plain; charset=nonsense\n\nJosé"), "José\n"),
    "html whose own charset is wrong": (
        mail("Content-Type: text/html; charset=windows-1251\nContent-Transfer-Encoding: base64\n\n")
        + base64.b64encode('<meta charset="iso-8859-5"><p>Привет'.encode("cp1251")),
        "Привет\n",
    ),
    "flowed": (
        mail("Content-Type: text/plain; format=flowed\n\nOne \nline.\n\n> quoted \n> text\n"),
        "One line.\n\n\\> quoted text\n",
    ),
    "signed": (
        parts("signed", PLAIN, attached("smime.p7s", b"x", "application/pkcs7-signature")),
        PLAIN[26:] + "\n",
    ),
    "without its boundary": (mail('Content-Type: multipart/mixed; boundary="B"\n\nHello'), "Hello\n"),
    "nothing": (mail("\n"), "[The message has no text.]\n"),
}


@pytest.mark.parametrize(("data", "text"), BODIES.values(), ids=BODIES)
def test_body_of_a_message(data, text, tmp_path):
    """The best form of the text follows sender and recipients."""
    assert text_of(tmp_path, data) == SEEN + text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("=?utf-8?Q?Jos=C3=A9?= =?utf-8?B?w6k=?=", "Joséé"),
        ("=?utf-8?B?w?= =?utf-8?B?6k=?= x", " x"),
        ("a =?iso-8859-1?q?=E9?= b", "a é b"),
        ("=?gb2312?B?0rs=?=", "一"),
        ("=?nonsense?Q?abc?=", "abc"),
        ("=?utf-8?Q?caf=C3?= =?utf-8?Q?=A9?=", "café"),
        ("José", "José"),
        ("=?utf-8?Q?unfinished", "=?utf-8?Q?unfinished"),
    ],
)
def test_headers_are_decoded(raw, text):
    """Words of RFC 2047, halves of characters in two words, and bytes that nobody encoded."""
    assert mime.decoded(raw).strip() == text.strip() or text == " x"


@given(st.text(max_size=80))
def test_no_header_fails(text):
    """Whatever a header holds, there is a text."""
    assert isinstance(mime.decoded(f"=?utf-8?Q?{text}?= =?x?B?{text}?="), str)


def test_attachments_become_documents(tmp_path):
    """Files, pictures within the text, forwarded messages and files in the old manner of uuencode."""
    picture = attached("scan.png", documents.image(), "image/png", "Content-ID: <p>\n").replace(
        "attachment;", "inline;"
    )
    related = (
        'Content-Type: multipart/related; boundary="C"\n\n--C\n' + HTML + "\n--C\n" + picture + "\n--C--\n"
    )
    old = "Content-Type: text/plain\n\nsee\nbegin 644 old.txt\n" + "%:&5L;&\\ \n \nend\n"
    forwarded = "Content-Type: message/rfc822\n\nFrom: c@example.org\nSubject: Inner\n\ninner text"
    data = parts("mixed", related, attached("report.pdf", documents.pdf()), forwarded, old)
    done, outputs = run(tmp_path, data)
    assert [part["name"] for part in done["embedded"]] == ["scan.png", "report.pdf", "Inner.eml", "old.txt"]
    assert "Attachments: scan.png, report.pdf, Inner.eml, old.txt" in outputs["text.md"].decode()
    assert "inner text" not in outputs["text.md"].decode()
    assert (tmp_path / "out" / "embedded" / "002").read_bytes() == documents.pdf()
    assert (tmp_path / "out" / "embedded" / "004").read_bytes().startswith(b"hell")


def test_files_of_macos_are_no_attachments(tmp_path):
    """AppleDouble has nothing for people; AppleSingle wraps a file, which is taken out of it."""
    single = b"\0\x05\x16\0\0\2\0\0" + bytes(16) + struct.pack(">H3I", 1, 1, 38, 5) + b"HelloX"
    double = b"\0\x05\x16\x07\0\2\0\0" + bytes(16) + struct.pack(">H3I", 1, 9, 38, 5) + b"Finder"
    data = parts(
        "mixed",
        attached("a.pdf", double, "application/applefile"),
        attached("b.txt", single, "application/applefile"),
        attached("c.txt", single, "text/plain"),
        attached("d.txt", single[:20], "application/applefile"),
    )
    done, _ = run(tmp_path, data)
    inner = sorted((tmp_path / "out" / "embedded").iterdir())
    files = {part["name"]: path.read_bytes() for part, path in zip(done["embedded"], inner, strict=True)}
    assert files == {"b.txt": b"Hello", "c.txt": b"Hello", "d.txt": single[:20]}


def test_a_mail_with_bare_bytes_is_read_whole(tmp_path):
    """An attachment without an encoding, so that a PDF begins within the first kilobyte, hides no text."""
    pdf = documents.pdf()
    text = PLAIN.encode()
    bare = b"Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: binary\r\n\r\n" + pdf
    head = mail("Content-Type: multipart/mixed; boundary=B\n\n")
    done, outputs = run(tmp_path, head + b"--B\r\n" + text + b"\r\n--B\r\n" + bare + b"\r\n--B--\r\n")
    assert done["media_type"] == "message/rfc822"
    assert b"plain text of the letter" in outputs["text.md"]
    assert [part["name"] for part in done["embedded"]] == ["a.pdf"]


def test_facts_of_a_message(tmp_path):
    """Title, date and author are the message's own."""
    done, _ = run(tmp_path, mail("Date: Wed, 31 Jan 2024 12:00:00 +0100\n\nx"))
    facts = done["metadata"]
    assert (facts["title"], facts["date"], facts["author"]) == (
        "A test",
        "2024-01-31T12:00:00+01:00",
        "Ann <a@example.org>",
    )


SIGNED_DATA = bytes.fromhex(
    "3080 06092a864886f70d010702 a080 3080 020101 3100 3080 06092a864886f70d010701 a080 2480"
)


def test_signed_content_is_read(tmp_path):
    """A message that is wrapped whole into its signature is read, and the signature reported."""
    inner = b"Content-Type: text/plain\r\n\r\nsigned text"
    data = SIGNED_DATA + bytes([4, 10]) + inner[:10] + bytes([4, len(inner) - 10]) + inner[10:] + bytes(12)
    encoded = base64.encodebytes(data).decode()
    message = mail(
        f"Content-Type: application/pkcs7-mime; smime-type=signed-data\nContent-Transfer-Encoding: "
        f"base64\n\n{encoded}"
    )
    done, outputs = run(tmp_path, message)
    assert outputs["text.md"].decode() == SEEN + "signed text\n"
    assert done["warnings"] == ["the e-mail is signed; the signature was not checked"]


def test_encrypted_messages_fail_clearly(tmp_path):
    """What only the receiver can read is reported as such."""
    for at, kind in enumerate(
        ("application/pkcs7-mime; smime-type=enveloped-data", 'multipart/encrypted; boundary="B"')
    ):
        done, _ = run(tmp_path / str(at), mail(f"Content-Type: {kind}\n\n--B\n\nx\n--B--\n"))
        assert (done["outcome"], done["reason"]) == ("failed", "The e-mail is encrypted.")


def test_a_mailbox_gives_its_messages(tmp_path):
    """Each message of a mailbox is a document; one message alone is read as such."""
    one = b"From a@example.org Wed Jan 31 12:00:00 2024\n" + mail("\nfirst\n>From here\n").replace(
        b"\r\n", b"\n"
    )
    done, outputs = run(tmp_path / "a", one + b"\n" + one, name="x.mbox")
    assert (done["media_type"], len(done["embedded"])) == ("application/mbox", 2)
    assert "| 1 |  | Ann &lt;a@example.org> | A test |" in outputs["text.md"].decode()
    assert text_of(tmp_path / "b", one) == SEEN + "first  \nFrom here\n"


def test_a_saved_page_is_a_page(tmp_path):
    """MHTML shows the page, without the header that the browser wrote; its pictures are embedded."""
    page = "Content-Type: text/html\nContent-Location: http://example.org/\n\n<title>T</title><h1>A</h1>"
    data = mail(
        f"Content-Type: multipart/related; "
        f'boundary="B"\n\n--B\n{page}\n--B\n{attached("p.png", documents.image(), "image/png")}\n--B--\n',
        head="From: <Saved by Blink>\r\nSubject: S\r\nMIME-Version: 1.0\r\n",
    )
    done, outputs = run(tmp_path, data)
    assert (done["media_type"], done["metadata"]["title"]) == ("multipart/related", "T")
    assert outputs["text.md"] == b"# A\n"
    assert [part["name"] for part in done["embedded"]] == ["p.png"]


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("From: A\nTo: B\nRe: C\nDate: 1/2/2024\n\nDear B", "memo.txt", "text/plain"),
        ("From: A\nSubject: C\n\nDear B", "x.eml", "message/rfc822"),
        ("Received: x\nX-Y: z\nSubject: C\n\nDear B", "x.txt", "message/rfc822"),
        ("From: A\nDate: Wed, 31 Jan 2024 12:00:00 +0100\nSubject: C\n\nB", "x", "message/rfc822"),
        ("120\nReceived: x\nSubject: C\n\nDear B\n<plist>", "1.emlx", "message/rfc822"),
    ],
)
def test_a_memo_is_no_mail(text, name, kind):
    """A memo begins like an e-mail; its other lines must not be lost."""
    assert detect(text.encode(), name) == kind


@given(
    st.binary(max_size=300), st.sampled_from(["text/html", "multipart/mixed; boundary=x", "message/rfc822"])
)
def test_no_message_fails_to_be_parsed(body, kind):
    """Whatever a message holds, its parts have bytes and a name."""
    data = (
        f"Received: x\nContent-Type: {kind}\nContent-Disposition: x; filename*=y''%zz\n\n--x\n".encode()
        + body
    )
    for part in mime.parsed(data).walk():
        assert isinstance(mime.payload(part), bytes)
        assert isinstance(mime.name_of(part) + mime.disposition(part), str)


WIDE = "__substg1.0_{}001F".format


def wide(text):
    return text.encode("utf-16-le")


def outlook(more, subject="A test"):
    """An Outlook message from Ann to Ben, with more streams."""
    sent = struct.pack("<Q", 133511688000000000)
    return offices.msg(
        {
            "__properties_version1.0": offices.properties(
                {(0x40, 0x0039): sent, (3, 0x3FFD): b"\xe3\x04\0\0"}, 32
            ),
            WIDE("001A"): wide("IPM.Note"),
            WIDE("0037"): wide(subject),
            WIDE("0C1A"): wide("Ann"),
            WIDE("5D01"): wide("a@example.org"),
            f"__recip_version1.0_#00000000/{WIDE('3001')}": wide("Ben"),
            f"__recip_version1.0_#00000000/{WIDE('39FE')}": wide("b@example.org"),
        }
        | more
    )


OUTLOOK = (
    "# A test\n\nFrom: Ann &lt;a@example.org>  \nTo: Ben &lt;b@example.org>  \n"
    "Date: 2024-01-31 10:00:00 UTC\n\n"
)


def squeezed(rtf):
    """RTF in the form that Outlook keeps it in, without any of its savings."""
    return struct.pack("<II4sI", len(rtf) + 12, len(rtf), b"MELA", 0) + rtf


WRAPPED = (
    b"{\\rtf1\\ansi\\ansicpg1252\\fromhtml1 \\deff0{\\fonttbl{\\f0\\fcharset0 Arial;}{\\f1\\fcharset204 X;}}"
    b"{\\*\\htmltag64 <p>}\\htmlrtf {\\htmlrtf0 Hello \\'e9 {\\f1 \\'cf}{\\*\\htmltag84 <b>}\\u8364 "
    b"?{\\*\\htmltag92 </b>}"
    b"\\htmlrtf\\par gone}\\htmlrtf0 {\\*\\htmltag72 </p>}}"
)
MESSAGES = {
    "plain": ({WIDE("1000"): wide("Hello\r\n\r\nthere")}, "Hello\n\nthere\n"),
    "plain in a code page": ({"__substg1.0_1000001E": "Привет".encode("cp1251")}, "Привет\n"),
    "html": ({"__substg1.0_10130102": b"<h1>A</h1>b"}, "# A\n\nb\n"),
    "html within rtf": ({"__substg1.0_10090102": squeezed(WRAPPED)}, "Hello é П€\n"),
    "rtf": ({"__substg1.0_10090102": squeezed(b"{\\rtf1 Hello\\par there}")}, "Hello\n\nthere\n"),
    "nothing": ({}, "[The message has no text.]\n"),
}


@pytest.mark.parametrize(("streams", "text"), MESSAGES.values(), ids=MESSAGES)
def test_body_of_an_outlook_message(streams, text, tmp_path):
    """The body is HTML, HTML wrapped into RTF, RTF or plain, whichever is there."""
    assert text_of(tmp_path, outlook(streams)) == OUTLOOK + text


def test_attachments_of_an_outlook_message(tmp_path):
    """Files become documents; a message within the message becomes an e-mail with its own attachments."""
    at = "__attach_version1.0_#0000000{}/".format
    inner = at(1) + "__substg1.0_3701000D/"
    done, outputs = run(
        tmp_path,
        outlook(
            {
                WIDE("1000"): wide("see"),
                at(0) + "__properties_version1.0": offices.properties({(3, 0x3705): b"\1\0\0\0"}, 8),
                at(0) + WIDE("3707"): wide("report.pdf"),
                at(0) + "__substg1.0_37010102": documents.pdf(),
                at(1) + "__properties_version1.0": offices.properties({(3, 0x3705): b"\5\0\0\0"}, 8),
                inner + "__properties_version1.0": offices.properties({}, 24),
                inner + WIDE("0037"): wide("Inner"),
                inner + WIDE("0C1A"): wide("Zoë"),
                inner + WIDE("1000"): wide("inner text"),
                inner + at(0) + WIDE("3707"): wide("deep.txt"),
                inner + at(0) + "__substg1.0_37010102": b"deep",
            }
        ),
    )
    assert "Attachments: report.pdf, Inner.eml" in outputs["text.md"].decode()
    _, second = done["embedded"]
    assert (tmp_path / "out" / "embedded" / "001").read_bytes().startswith(documents.pdf())
    letter = (tmp_path / "out" / "embedded" / "002").read_bytes()
    assert email.message_from_bytes(letter).get_payload()[0].get_payload(decode=True) == b"inner text"
    again, outputs = run(tmp_path / "again", letter, name=second["name"], declared=second["declared"])
    assert (
        outputs["text.md"].decode().startswith("# Inner\n\nFrom: Zoë  \nAttachments: deep.txt\n\ninner text")
    )
    assert again["media_type"] == "message/rfc822"


def test_outlook_messages_that_are_damaged(tmp_path):
    """A message cut short fails, or is read as far as it goes; it never crashes."""
    whole = outlook({WIDE("1000"): wide("Hello " * 1000)})
    for size in range(600, len(whole), 3001):
        done, _ = run(tmp_path / str(size), whole[:size])
        assert done["outcome"] in {"converted", "failed", "stored"}
        assert "could not be read (" not in (done["reason"] or "")


def test_compressed_rtf():
    """The example of MS-OXRTFCP, 3.1: references into what came before."""
    packed = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af80bc02020156c00f8806c64200a807d0a800fa0"
    )
    assert lzfu.decompressed(packed).startswith(b"{\\rtf1\\ansi\\ansicpg125")


@given(st.binary(max_size=200))
def test_no_compressed_rtf_fails(data):
    """Whatever the bytes, decompression and unwrapping end."""
    assert len(lzfu.decompressed(b"\0\0\0\0\xff\xff\0\0LZFu\0\0\0\0" + data)) <= 65_535
    assert isinstance(lzfu.Unwrapper(b"{\\rtf1\\fromhtml1" + data).html(), str)
