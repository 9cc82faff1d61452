"""Formulas on one line, and fields whose text is in their instruction: a dose must not lose its fraction."""

import pytest

from docpipe.convert.readers.office.wordfields import instruction_text
from tests.unit.convert.documents import docx, text_of
from tests.unit.convert.offices import odf, pptx, xlsx

M = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'


def m(name, *inner, **properties):
    """An element of a formula with its properties."""
    given = "".join(f'<m:{key} m:val="{value}"/>' for key, value in properties.items())
    held = f"<m:{name}Pr>{given}</m:{name}Pr>" if given else ""
    return f"<m:{name}>{held}{''.join(inner)}</m:{name}>"


def t(text):
    return f"<m:r><m:t>{text}</m:t></m:r>"


FORMULAS = {
    "a fraction": (m("f", m("num", t("1")), m("den", t("2"))), "1/2"),
    "a fraction of sums": (m("f", m("num", t("140-age")), m("den", t("72 Cr"))), "(140-age)/(72 Cr)"),
    "brackets": (m("d", m("e", t("a+b"))) + t("/c"), "(a+b)/c"),
    "other brackets": (m("d", m("e", t("x")), m("e", t("y")), begChr="|", endChr="|", sepChr=","), "|x,y|"),
    "an index and a power": (m("sSubSup", m("e", t("x")), m("sub", t("i")), m("sup", t("10"))), "x_i^10"),
    "a square root": (m("rad", m("deg"), m("e", t("ht*wt")), degHide="1"), "√(ht\\*wt)"),
    "a cube root": (m("rad", m("deg", t("3")), m("e", t("x"))), "³√x"),
    "a sum": (m("nary", m("sub", t("1")), m("sup", t("n")), m("e", t("x")), chr="∑"), "∑\\_1^n x"),
    "a function": (m("func", m("fName", t("log")), m("e", t("ab"))), "log (ab)"),
    "a matrix": (m("m", m("mr", m("e", t("a")), m("e", t("b"))), m("mr", m("e", t("c")))), "[a, b; c]"),
    "lines": (m("eqArr", m("e", t("a=1")), m("e", t("b=2"))), "a=1; b=2"),
}


@pytest.mark.parametrize(("inner", "text"), FORMULAS.values(), ids=FORMULAS)
def test_formulas_stand_on_one_line(inner, text, tmp_path):
    """In Word documents and on slides alike."""
    whole = f"<m:oMath {M}>{inner}</m:oMath>"
    assert text_of(tmp_path / "word", docx(f"<w:p>{whole}</w:p>")) == text + "\n"
    slide = pptx(f"<p:sp><p:txBody><a:p>{whole}</a:p></p:txBody></p:sp>")
    assert text_of(tmp_path / "slide", slide) == f"## Slide 1\n\n{text}\n"


INSTRUCTIONS = {
    "a letter in Symbol": (r" SYMBOL 109 \f Symbol \s 10 ", "μ"),
    "a tick": (r'SYMBOL 0xFE \f "Wingdings"', "☑"),
    "a fraction": (r"EQ \f(1,2)", "1/2"),
    "a fraction of a sum": (r"EQ \f(a + b;2)", "(a + b)/2"),
    "a root": (r"EQ \r(3,x)", "3√x"),
    "brackets within": (r"EQ \f(\b(x),y\,z)", "(x)/(y,z)"),
    "options": (r"EQ \s\up8(9) \a\al\co2(1,2)", "9 1, 2"),
    "a prompt": ("MACROBUTTON NoMacro [click here]", "[click here]"),
    "a date": (r"DATE \@ yyyy", ""),
}


@pytest.mark.parametrize(("instruction", "text"), INSTRUCTIONS.values(), ids=INSTRUCTIONS)
def test_instructions_give_their_text(instruction, text, tmp_path):
    """Where the file has no result: in simple and other fields of DOCX, and in RTF."""
    assert instruction_text(instruction) == text
    kind = "<w:r><w:fldChar w:fldCharType='{}'/></w:r>".format
    typed = f"<w:r><w:instrText>{instruction}</w:instrText></w:r>"
    quoted = instruction.replace('"', "&quot;")
    complex_ = f"<w:p>{kind('begin')}{typed}{kind('end')}<w:r><w:t>.</w:t></w:r></w:p>"
    simple = f'<w:p><w:fldSimple w:instr="{quoted}"/><w:r><w:t>.</w:t></w:r></w:p>'
    assert text_of(tmp_path / "a", docx(complex_)) == f"{text}.\n"
    assert text_of(tmp_path / "b", docx(simple)) == f"{text}.\n"
    escaped = instruction.replace("\\", "\\\\")
    rtf = r"{\rtf1{\field{\*\fldinst " + escaped + r"}}.}"
    assert text_of(tmp_path / "c", rtf.encode()) == f"{text}.\n"


def test_a_result_goes_before_the_instruction(tmp_path):
    """A stored date stays, a symbol is not written twice."""
    kind = "<w:r><w:fldChar w:fldCharType='{}'/></w:r>".format
    for instruction, result in (("DATE", "May 1, 2024"), (r"SYMBOL 254 \f Wingdings", "☑")):
        body = (
            f"<w:p>{kind('begin')}<w:r><w:instrText>{instruction}</w:instrText></w:r>{kind('separate')}"
            f"<w:r><w:t>{result}</w:t></w:r>{kind('end')}</w:p>"
        )
        assert text_of(tmp_path / result, docx(body)) == f"{result}\n"


STORED = {
    "XLSX": (xlsx({"S": '<row><c t="str"><f>TEXT(TODAY(),"yyyy")</f><v>2019</v></c></row>'}), "2019"),
    "XLSX, a number": (xlsx({"S": "<row><c><f>YEAR(NOW())-1970</f><v>54</v></c></row>"}), "54"),
    "ODS": (
        odf(
            '<table:table table:name="S"><table:table-row><table:table-cell table:formula="of:=TODAY()" '
            'office:value-type="date" office:date-value="2019-05-01"><text:p>2019-05-01</text:p>'
            "</table:table-cell></table:table-row></table:table>",
            "spreadsheet",
        ),
        "2019-05-01",
    ),
    "ODT": (odf('<text:p><text:date text:fixed="false">May 1, 2019</text:date></text:p>'), "May 1, 2019"),
    "RTF": (rb"{\rtf1{\field{\*\fldinst DATE}{\fldrslt May 1, 2019}}}", "May 1, 2019"),
}


@pytest.mark.parametrize(("data", "text"), STORED.values(), ids=STORED)
def test_dates_and_ages_are_as_they_were_stored(data, text, tmp_path):
    """The date of a visit must not become the date of today."""
    assert text_of(tmp_path, data).splitlines()[-1] == text
