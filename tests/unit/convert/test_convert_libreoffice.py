"""LibreOffice by a stand-in on the PATH: what fails is an outcome, and nothing is left behind."""

import io
import json
import os
import stat
import struct
import subprocess
import sys

import olefile
import pikepdf
import pytest
from lxml import etree

from docpipe.convert.core.kinds import KINDS
from docpipe.convert.libreoffice import compound, forms, heads, packed, program, rich
from docpipe.convert.writers.sheet import Sheet
from tests.unit.convert.documents import docx, run
from tests.unit.convert.offices import flat_odf, msg, odf, pptx, shape

PDF = b"%PDF-1.4 of the stand-in"
LETTER = b"{\\rtf1 A letter\\par}"
ACTS = {
    "hang": "import time; time.sleep(600)",
    "crash": "os.kill(os.getpid(), 11)",
    "empty": "save(b'')",
    "missing": "pass",
    "link": "os.symlink('/etc/hostname', path)",
    "huge": "save(b'x' * int(os.environ.get('HUGE', 3 * 2**20)))",
    "broken": "save(b'no PDF at all')",
    "not opened": "os._exit(4)",
    "not saved": "os._exit(5)",
    "not started": "os._exit(3)",
    "odd status": "os._exit(77)",
}
REASONS = {
    "hang": "took longer than",
    "crash": "stopped unexpectedly",
    "empty": "made an empty file of it",
    "missing": "made no file of it",
    "link": "made an empty file of it",
    "huge": "stopped unexpectedly",
    "broken": "made a PDF that is not used",
    "not opened": "could not open it",
    "not saved": "could not save it",
    "not started": "could not be started",
    "odd status": "stopped unexpectedly",
}


@pytest.fixture
def office(tmp_path, monkeypatch):
    """An installation with a stand-in for what opens documents; the result sets what that does."""
    folder = tmp_path / "libreoffice" / "program"
    folder.mkdir(parents=True)
    (folder / "soffice").write_text("#!/bin/sh\n")
    (folder / "soffice").chmod(stat.S_IRWXU)
    (folder / "libmergedlo.so").touch()
    (folder / "bootstraprc").write_text("[Bootstrap]\nProductKey=LibreOffice 99.1\n")
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "soffice").symlink_to(folder / "soffice")
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    program.installed.cache_clear()
    kit = tmp_path / "kit.py"
    monkeypatch.setattr(program, "_KIT", kit)

    def act(what):
        kit.write_text(
            "import json, os, resource, sys\n"
            "order = json.loads(sys.argv[1])\n"
            "for name, value in order['limits'].items():\n"
            "    resource.setrlimit(getattr(resource, name), (value, value))\n"
            "path = order['outputs'][0][0].removeprefix('file://')\n"
            "def save(data):\n"
            "    open(path, 'wb').write(data)\n"
            f"{what}\n"
        )

    yield act
    program.installed.cache_clear()


def converted(folder, data, **more):
    return run(folder, data, more={"libreoffice": True, **more})


@pytest.mark.parametrize("act", ACTS)
def test_what_fails_leaves_the_looks_of_today(act, office, tmp_path, monkeypatch):
    """The PDF is set from the text, a warning says why, and no file and no process is left."""
    monkeypatch.setattr(program, "LARGEST", 2**20)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    office(ACTS[act])
    done, outputs = converted(tmp_path / "job", LETTER, seconds=3.0 if act == "hang" else 300.0)
    assert done["outcome"] == "converted"
    assert outputs["text.md"] == b"A letter\n"
    assert outputs["document.pdf"].startswith(b"%PDF-")
    (warning,) = done["warnings"]
    assert warning.startswith("the PDF is set from the text, without pictures: LibreOffice ")
    assert REASONS[act] in warning
    assert "libreoffice" not in done["metadata"]["converter"]["versions"]
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize("act", ["hang", "crash", "empty", "not opened"])
def test_an_old_file_that_fails_is_stored(act, office, tmp_path):
    """It is kept as it is, with the reason, and is not tried again."""
    office(ACTS[act])
    done, outputs = converted(tmp_path / "job", old_word(), seconds=3.0 if act == "hang" else 300.0)
    assert (done["outcome"], done["media_type"]) == ("stored", "application/msword")
    assert done["reason"].startswith("This is an old Word document; LibreOffice ")
    assert REASONS[act] in done["reason"]
    assert not outputs
    assert done["metadata"]["needs"] is None


def test_without_it_the_reason_says_what_to_install(tmp_path, monkeypatch):
    """An old file waits for LibreOffice; the looks of others are those of today, without a warning."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(program, "_USUAL", ())
    program.installed.cache_clear()
    try:
        done, _ = converted(tmp_path / "old", old_word())
        letter, _ = converted(tmp_path / "letter", LETTER)
    finally:
        program.installed.cache_clear()
    assert (done["outcome"], done["metadata"]["needs"]) == ("stored", "libreoffice")
    assert "install LibreOffice" in done["reason"]
    assert (letter["outcome"], letter["warnings"]) == ("converted", [])


def test_it_is_not_used_unless_the_job_asks_for_it(office, tmp_path):
    """Where no sandbox is around the converter, it stays out."""
    office("sys.exit('never')")
    done, _ = run(tmp_path / "job", old_word())
    assert (done["outcome"], done["metadata"]["needs"]) == ("stored", None)
    done, _ = run(tmp_path / "letter", LETTER)
    assert done["warnings"] == []


def test_it_learns_nothing_of_the_environment(office, tmp_path, monkeypatch):
    """Its home and temporary files are in a folder that is removed; secrets are not passed on."""
    monkeypatch.setenv("SECRET", "x")
    office("save(json.dumps(dict(os.environ)).encode())")
    with program.saved(lambda path: path.write_bytes(b""), ".rtf", ("pdf",), 60) as files:
        known = json.loads(files["pdf"].read_bytes())
    assert "SECRET" not in known
    assert known["HOME"] == known["TMPDIR"]
    assert not os.path.exists(known["HOME"])  # noqa: PTH110


def test_it_writes_no_cache_of_the_machine(office):
    """The first cache that Fontconfig is given, the one it writes, lies in the folder that is removed."""
    office(
        "from pathlib import Path\n"
        "save(json.dumps([os.environ['HOME'], Path(os.environ['FONTCONFIG_FILE']).read_text()]).encode())"
    )
    with program.saved(lambda path: path.write_bytes(b""), ".rtf", ("pdf",), 60) as files:
        home, settings = json.loads(files["pdf"].read_bytes())
    caches = etree.fromstring(settings.encode())
    assert [caches[0].tag, caches[0].text] == ["cachedir", f"{home}/fonts"]
    assert caches.findtext("include") == "/etc/fonts/fonts.conf"


def test_limits_leave_room_for_the_worker(monkeypatch):
    """It may hold less than the worker, and where too little is left it is not started."""
    monkeypatch.setattr(program, "_resident", lambda: 150 * 2**20)
    monkeypatch.setattr(program.resource, "getrlimit", lambda _: (900 * 2**20, 900 * 2**20))
    limits = program._limits(60)
    assert 200 * 2**20 < limits["RLIMIT_DATA"] < 708 * 2**20
    assert limits["RLIMIT_AS"] > limits["RLIMIT_DATA"] + 520 * 2**20
    monkeypatch.setattr(program.resource, "getrlimit", lambda _: (256 * 2**20, 256 * 2**20))
    with pytest.raises(program.LibreOfficeError, match=r"convert\.memory"):
        program._limits(60)


def test_a_library_that_is_none_is_reported(office, tmp_path, monkeypatch):
    """The real kit, with an installation that is broken."""
    from docpipe.convert.libreoffice import kit  # noqa: PLC0415

    monkeypatch.setattr(program, "_KIT", program.Path(kit.__file__))
    done, _ = converted(tmp_path / "job", LETTER)
    assert done["warnings"] == [
        "the PDF is set from the text, without pictures: LibreOffice could not be started"
    ]


def test_forms_and_readers_fit():
    """What is opened has no reader, what is only drawn has one, and what is saved has one."""
    for media_type, form in forms.FORMS.items():
        kind = KINDS[media_type]
        assert (kind.reader is None) == (form.modern is not None), media_type
        assert kind.extension == form.extension
        assert form.modern is None or KINDS[forms.MODERN[form.modern]].reader


# Frozen copies.


def frozen(freeze, data, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(data)
    freeze(source, target)
    return target


def words_of(path, part):
    with packed.zipfile.ZipFile(path) as archive:
        root = etree.fromstring(archive.read(part))
    return root, "".join(root.itertext())


def complex_field(instruction, result):
    return (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
        f"<w:r><w:instrText>{instruction}</w:instrText></w:r>"
        f'<w:r><w:fldChar w:fldCharType="separate"/></w:r>{result}'
        '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )


def test_fields_of_word_become_what_they_showed(tmp_path):
    """Dates, nested and simple fields are text; numbers of pages and links stay fields."""
    run_ = "<w:r><w:t>{}</w:t></w:r>".format
    inner = complex_field("IF " + "</w:instrText></w:r>" + complex_field("DATE", run_("2026")) +
                          "<w:r><w:instrText>= 1", run_("adult"))  # fmt: skip
    body = (
        f"<w:p>{complex_field(' DATE ', run_('May 1'))}</w:p><w:p>{inner}</w:p>"
        f'<w:p><w:fldSimple w:instr=" SAVEDATE ">{run_("May 2")}</w:fldSimple></w:p>'
        f'<w:p><w:fldSimple w:instr=" PAGE ">{run_("7")}</w:fldSimple></w:p>'
        f"<w:p>{complex_field('HYPERLINK x', complex_field('TIME', run_('10:15')))}</w:p>"
    )
    target = frozen(packed.word, docx(body), tmp_path)
    root, text = words_of(target, "word/document.xml")
    assert [" ".join(p.itertext()).strip() for p in root.iter("{*}p")] == [
        "May 1", "adult", "May 2", "7", "HYPERLINK x 10:15",
    ]  # fmt: skip
    assert "DATE" not in text
    assert len(list(root.iter("{*}fldSimple"))) == 1
    assert len(list(root.iter("{*}fldChar"))) == 3


def test_dates_on_slides_become_text(tmp_path):
    """A date is text, the number of a slide stays a field."""
    field = '<a:fld id="{{1}}" type="{}"><a:rPr/><a:t>{}</a:t></a:fld>'.format
    part = shape("x").replace("</a:p>", field("datetime1", "1/5/2024") + field("slidenum", "3") + "</a:p>")
    target = frozen(packed.slides, pptx(part), tmp_path)
    root, text = words_of(target, "ppt/slides/slide1.xml")
    assert "1/5/2024" in text
    assert [each.get("type") for each in root.iter("{*}fld")] == ["slidenum"]


BODY = (
    '<text:p><text:date text:date-value="2024-05-01">May 1</text:date>, page <text:page-number>2'
    "</text:page-number>, by <text:author-name>Dr A</text:author-name></text:p>"
)


@pytest.mark.parametrize("flat", [False, True])
def test_fields_of_opendocument_become_text(flat, tmp_path):
    """A date is a span with what it showed; the page's number stays."""
    target = frozen(*((packed.flat, flat_odf(BODY)) if flat else (packed.open_document, odf(BODY))), tmp_path)
    root = etree.fromstring(target.read_bytes()) if flat else words_of(target, "content.xml")[0]
    assert [each.text for each in root.iter("{*}span")] == ["May 1", "Dr A"]
    assert not list(root.iter("{*}date", "{*}author-name"))
    assert len(list(root.iter("{*}page-number"))) == 1


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (rb"{\field{\*\fldinst DATE \\@ x}{\fldrslt May 1}}", False),
        (rb"{\field{\*\fldinst {\f0 D}{\f1 ATE }}{\fldrslt May 1}}", False),
        (rb"{\field{\*\fldinst PAGE}{\fldrslt 1}}", True),
        (rb"{\field{\*\fldinst {HYPERLINK x}}{\fldrslt y}}", True),
    ],
)
def test_fields_of_rtf_keep_their_results(data, kept, tmp_path):
    """What computes is an unknown destination, whose result stays."""
    target = frozen(rich.rich_text, b"{\\rtf1 " + data + b"\\chdate x}", tmp_path).read_bytes()
    assert (b"\\*\\fldinst" in target) == kept
    assert b"fldrslt" in target
    assert b"chdate" not in target


def record(kind, body):
    return struct.pack("<HH", kind, len(body)) + body


def formula(result, more=b""):
    return record(0x0006, struct.pack("<HHH", 0, 0, 0) + result + bytes(12)) + more


def test_formulas_of_old_workbooks_become_values(tmp_path):
    """Numbers, truths, errors and texts; nothing changes its size, and records behind them stay."""
    text = record(0x0207, struct.pack("<HB", 4, 0) + b"54 y")
    shared = record(0x04BC, bytes(10))
    cells = (
        formula(struct.pack("<d", 54.0)),
        formula(bytes((1, 0, 1, 0, 0, 0, 0xFF, 0xFF))),
        formula(bytes((2, 0, 42, 0, 0, 0, 0xFF, 0xFF))),
        formula(bytes((3, 0, 0, 0, 0, 0, 0xFF, 0xFF))),
        formula(bytes((0, 0, 0, 0, 0, 0, 0xFF, 0xFF)), text),
        formula(bytes((0, 0, 0, 0, 0, 0, 0xFF, 0xFF)), shared + text),
        record(0x000A, b""),
    )
    data = b"".join(cells).ljust(5000, b"\0")
    target = frozen(compound.old_workbook, msg({"Workbook": data}), tmp_path)
    with olefile.OleFileIO(target) as ole:
        cells_now = bytearray(ole.openstream("Workbook").read())
    records, at = [], 0
    while at + 4 <= 400:
        kind, size = struct.unpack_from("<HH", cells_now, at)
        records.append((kind, bytes(cells_now[at + 4 : at + 4 + size])))
        at += 4 + size
    kinds = [kind for kind, _ in records if kind]
    assert kinds == [0x0203, 0x0205, 0x0205, 0x0201, 0x0204, 0x0204, 0x000A]
    assert struct.unpack_from("<d", records[0][1], 6) == (54.0,)
    assert [records[1][1][6:8], records[2][1][6:8]] == [b"\x01\0", b"\x2a\x01"]
    assert records[4][1][6:13] == records[5][1][6:13] == struct.pack("<HB", 4, 0) + b"54 y"


def test_locked_workbooks_are_not_given_away(tmp_path):
    """Their records are encrypted: nothing in them is replaced."""
    data = (record(0x002F, bytes(4)) + formula(bytes(8))).ljust(5000, b"\0")
    with pytest.raises(program.LibreOfficeError, match="password"):
        frozen(compound.old_workbook, msg({"Workbook": data}), tmp_path)


def test_formulas_of_binary_workbooks_become_values():
    """Records of XLSB may change their size; others pass as they are."""
    head = struct.pack("<II", 1, 0)
    text = "54 y"
    number = bytes((9,)) + bytes((8 + 8 + 6,)) + head + struct.pack("<d", 54.0) + bytes(6)
    words = bytes((8,)) + bytes((8 + 4 + 8 + 3,)) + head + struct.pack("<I", 4) + text.encode("utf-16-le")
    other = b"\x81\x01\x02ab"
    now = packed._freeze_cells(number + words + bytes(3) + other)
    assert now.startswith(bytes((5, 16)) + head + struct.pack("<d", 54.0))
    assert bytes((6, 20)) + head + struct.pack("<I", 4) + text.encode("utf-16-le") in now
    assert now.endswith(other)


def old_word(flags=0x0200, fields=(31, 33), table=None):
    """An old Word document with two fields: nothing but their places."""
    plc = struct.pack("<5I", 0, 1, 2, 3, 4) + b"".join(bytes((0x13, kind, 0x15, 0)) for kind in fields)
    head = bytearray(0x9A + 8 * 93)
    struct.pack_into("<H", head, 10, flags)
    struct.pack_into("<II", head, 0x9A + 8 * 16, 0, len(plc))
    streams = {"WordDocument": bytes(head).ljust(5000, b"\0"), "1Table": (table or plc).ljust(5000, b"\0")}
    return msg(streams)


def test_fields_of_old_word_lose_their_type(tmp_path):
    """A date is of no type that computes; the page's number stays; a locked file is not given away."""
    target = frozen(compound.old_word, old_word(), tmp_path)
    with olefile.OleFileIO(target) as ole:
        table = ole.openstream("1Table").read()
    assert table[20:28] == bytes((0x13, 58, 0x15, 0, 0x13, 33, 0x15, 0))
    with pytest.raises(program.LibreOfficeError, match="password"):
        frozen(compound.old_word, old_word(0x0300), tmp_path)


def test_old_slides_show_no_date_of_today(tmp_path):
    """Places of dates are of no known type, and the footer's switch for today is off, within containers."""
    atom = lambda kind, body: struct.pack("<HHI", 0, kind, len(body)) + body  # noqa: E731
    inner = atom(0x0FF7, bytes(8)) + atom(0x0FDA, b"\x01\0\x07\0") + atom(0x0FD8, bytes(4))
    data = struct.pack("<HHI", 0xF, 0x03E8, len(inner)) + inner
    source = msg({"PowerPoint Document": data.ljust(5000, b"\0")})
    target = frozen(compound.old_slides, source, tmp_path)
    with olefile.OleFileIO(target) as ole:
        now = ole.openstream("PowerPoint Document").read()
    assert now[10:12] == b"\xff\x0f"
    assert now[8 + 16 + 8 : 8 + 16 + 12] == b"\x01\0\x05\0"


@pytest.mark.parametrize(
    "freeze", [packed.word, packed.open_document, compound.old_word, compound.old_slides]
)
def test_damaged_files_are_not_given_away(freeze, tmp_path):
    """What cannot be gone through could show what it does not say."""
    with pytest.raises(program.LibreOfficeError, match="damaged"):
        frozen(freeze, b"PK\x03\x04 and nothing else", tmp_path)


# Lines above the pages.


def pages(*sizes):
    pdf = pikepdf.new()
    for width, height in sizes:
        pdf.add_blank_page(page_size=(width, height))
    pdf.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS=pikepdf.String("x"))
    out = io.BytesIO()
    pdf.trailer.ID = pikepdf.Array([pikepdf.String(os.urandom(16).hex())] * 2)
    pdf.save(out)
    return out.getvalue()


def test_each_page_bears_its_line(tmp_path):
    """Patient, title and which page of how many, above the page and not on it; scripts are taken out."""
    import pypdfium2  # noqa: PLC0415

    sheet = Sheet("TESTA PERSON, born 1970-02-03, MRN 000111", "Discharge letter")
    done = heads.with_heads(pages((595, 842), (842, 595)), sheet)
    assert done == heads.with_heads(pages((595, 842), (842, 595)), sheet)
    read = pypdfium2.PdfDocument(done)
    for at, (width, height) in enumerate(((595, 842), (842, 595))):
        page = read[at]
        text = page.get_textpage().get_text_range()
        assert "TESTA PERSON, born 1970-02-03, MRN 000111" in text
        assert "Discharge letter" in text
        assert f"page {at + 1} of 2" in text
        assert page.get_size() == (width, pytest.approx(height + 26))
        (line,) = page.get_objects(max_depth=1)
        assert line.get_matrix().f == height
    assert b"JavaScript" not in done


def test_pages_that_are_none_are_refused():
    """No PDF, and one without pages."""
    for data in (b"none", b""):
        with pytest.raises(heads.HeadsError):
            heads.with_heads(data, Sheet())


def test_the_kit_runs_without_docpipe():
    """It is a file of its own that the sandbox lets Python read: nothing but the standard library."""
    from docpipe.convert.libreoffice import kit  # noqa: PLC0415

    code = f"import runpy; runpy.run_path({kit.__file__!r})"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, timeout=60)
