"""Conditional formatting by formulas, by whole areas, and with icons: what a sheet flags bears the word."""

import io
import zipfile

import pytest

from docpipe.convert.core.opc import SALVAGED
from docpipe.convert.readers.sheets.areas import ICONS, is_top, threshold
from docpipe.convert.readers.sheets.conditions import RULED
from docpipe.convert.readers.sheets.formulas import (
    FormulaError,
    UnknownFormulaError,
    compiled,
    is_true,
)
from tests.unit.convert.documents import run
from tests.unit.convert.offices import SHEET, odf, xlsx

ROWS = [
    ("Potassium", 6.9, 5.1),
    ("Sodium", 140, 145),
    ("Chloride", 90, 100),
    ("Calcium", 2, 3),
    ("T4", 3, 4),
]
STYLES = (
    f'<styleSheet xmlns="{SHEET}"><cellXfs><xf/></cellXfs><dxfs><dxf><fill><patternFill>'
    '<bgColor rgb="FFFF0000"/></patternFill></fill></dxf></dxfs></styleSheet>'
)


def sheet(rule, area="B1:B5"):
    """A sheet of names, values and upper limits with a rule."""
    cells = "".join(
        f'<row r="{at}"><c r="A{at}" t="str"><v>{name}</v></c><c r="B{at}"><v>{value}</v></c>'
        f'<c r="C{at}"><v>{limit}</v></c></row>'
        for at, (name, value, limit) in enumerate(ROWS, 1)
    )
    written = f'<conditionalFormatting sqref="{area}">{rule}</conditionalFormatting>'
    return xlsx({"S": f"<sheetData>{cells}</sheetData>{written}"}, more={"xl/styles.xml": STYLES})


def rule(kind, more="", *formulas):
    inner = "".join(f"<formula>{each}</formula>" for each in formulas)
    return f'<cfRule type="{kind}" dxfId="0" priority="1" {more}>{inner}</cfRule>'


FLAGGED = {
    "the cell beside": (rule("expression", "", "B1&gt;C1"), {"Potassium"}),
    "a comparison with the cell beside": (rule("cellIs", 'operator="greaterThan"', "C1"), {"Potassium"}),
    "a cell that stays": (rule("cellIs", 'operator="greaterThan"', "$C$3"), {"Sodium"}),
    "the row above": (rule("expression", "", "AND(ROW()&gt;1,B1&gt;90)"), {"Sodium"}),
    "both": (rule("expression", "", "AND(B1&gt;5,B1&lt;50)"), {"Potassium"}),
    "one of them": (rule("expression", "", 'OR($A1="Sodium",B1&lt;3)'), {"Sodium", "Calcium"}),
    "a part of a name": (rule("expression", "", 'ISNUMBER(SEARCH("CHLOR",$A1))'), {"Chloride"}),
    "a part of a range": (rule("expression", "", "B1=MAX($B$1:$B$5)"), {"Sodium"}),
    "a share": (rule("expression", "", "B1/C1&gt;1.2"), {"Potassium"}),
    "every third row": (rule("expression", "", "MOD(ROW(),3)=0"), {"Chloride"}),
    "the highest": (rule("top10", 'rank="1"'), {"Sodium"}),
    "the lowest": (rule("top10", 'rank="1" bottom="1"'), {"Calcium"}),
    "above the mean": (rule("aboveAverage"), {"Sodium", "Chloride"}),
    "nothing that is blank": (rule("containsBlanks", "", "LEN(TRIM(B1))=0"), set()),
    "no double": (rule("duplicateValues"), set()),
}


@pytest.mark.parametrize(("written", "names"), FLAGGED.values(), ids=FLAGGED.keys())
def test_rules_are_judged(written, names, tmp_path):
    """The values of those rows are red, no others are, and no warning says that colours are missing."""
    done, outputs = run(tmp_path, sheet(written))
    lines = outputs["text.md"].decode().splitlines()
    assert {line.split(" | ")[0][2:] for line in lines if "[red]" in line} == names
    assert done["warnings"] == []


def test_damaged_sheet_is_read_up_to_there(tmp_path):
    """Where its rules cannot be read, its cells still are."""
    whole = sheet("<!-- " + "".join(f"{at:x}" for at in range(20_000)) + " -->" + FLAGGED["both"][0])
    with zipfile.ZipFile(io.BytesIO(whole)) as package:
        part = package.getinfo("xl/worksheets/sheet1.xml")
    at = whole.index(part.filename.encode()) + len(part.filename) + part.compress_size // 2
    done, outputs = run(tmp_path, whole[:at] + bytes(64) + whole[at + 64 :])
    assert "| Potassium | 6.9 |" in outputs["text.md"].decode()
    assert SALVAGED in done["warnings"]


def icons(name, limits, more=""):
    places = "".join(f'<cfvo type="{kind}" val="{value}"/>' for kind, value in limits)
    return f'<cfRule type="iconSet" priority="1"><iconSet iconSet="{name}" {more}>{places}</iconSet></cfRule>'


WITH_ICONS = {
    "arrows by percent": (icons("3Arrows", [("percent", 0), ("percent", 33), ("percent", 67)]), "↓↑→↓↓"),
    "symbols by numbers": (icons("3Symbols", [("num", 0), ("num", 50), ("num", 100)]), "✗✓!✗✗"),
    "turned": (icons("3Symbols", [("num", 0), ("num", 50), ("num", 100)], 'reverse="1"'), "✓✗!✓✓"),
    "quarters": (icons("5Quarters", [("percent", at) for at in (0, 20, 40, 60, 80)]), "○●◕○○"),
}


@pytest.mark.parametrize(("written", "signs"), WITH_ICONS.values(), ids=WITH_ICONS.keys())
def test_icons_stand_behind_their_numbers(written, signs, tmp_path):
    """As the sheet shows them; their colours are words where the set has no other signs."""
    done, outputs = run(tmp_path, sheet(written))
    for (name, value, limit), sign in zip(ROWS, signs, strict=True):
        assert f"| {name} | {value} {sign} | {limit} |" in outputs["text.md"].decode()
    assert done["warnings"] == []


def test_each_set_has_as_many_signs_as_its_name_says():
    """Otherwise its limits would not fit."""
    assert all(len(signs) == int(name[0]) and len(set(signs)) == len(signs) for name, signs in ICONS.items())


CONDITIONS = {
    "the cell beside": ("formula-is([.B1]&gt;[.C1])", {"Potassium"}),
    "a cell that stays": ("&gt;[.$C$3]", {"Sodium"}),
    "out of bounds": ("not-between(3,100)", {"Sodium", "Calcium"}),
    "a part of a name": ("formula-is(ISNUMBER(SEARCH(&quot;CHLOR&quot;;[.$A1])))", {"Chloride"}),
    "the highest": ("top-elements(1)", {"Sodium"}),
    "below the mean": ("formula-is([.B1]&lt;AVERAGE([.B$1:.B$5])/10)", {"Calcium", "T4"}),
    "above the mean": ("above-average", {"Sodium", "Chloride"}),
    "no double": ("duplicate", set()),
}
CALC = 'xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"'
LOOKS = (
    '<style:style style:name="Red_5f_1" style:display-name="Red_1" style:family="table-cell">'
    '<style:table-cell-properties fo:background-color="#ff0000"/></style:style>'
)


def open_sheet(rules):
    """The same sheet as LibreOffice writes it."""
    kind = 'office:value-type="float" office:value'
    cell = f'<table:table-cell {kind}="{{0}}"><text:p>{{0}}</text:p></table:table-cell>'
    rows = "".join(
        f"<table:table-row><table:table-cell><text:p>{name}</text:p></table:table-cell>"
        f"{cell.format(value)}{cell.format(limit)}</table:table-row>"
        for name, value, limit in ROWS
    )
    area = 'calcext:target-range-address="S.B1:S.B5"'
    formats = (
        f"<calcext:conditional-formats {CALC}><calcext:conditional-format {area}>{rules}"
        "</calcext:conditional-format></calcext:conditional-formats>"
    )
    return odf(f'<table:table table:name="S">{rows}{formats}</table:table>', "spreadsheet", automatic=LOOKS)


@pytest.mark.parametrize(("condition", "names"), CONDITIONS.values(), ids=CONDITIONS.keys())
def test_rules_of_open_document(condition, names, tmp_path):
    """They are judged as those of other workbooks."""
    rule_ = f'<calcext:condition calcext:apply-style-name="Red_1" calcext:value="{condition}"/>'
    done, outputs = run(tmp_path, open_sheet(rule_))
    lines = outputs["text.md"].decode().splitlines()
    assert {line.split(" | ")[0][2:] for line in lines if "[red]" in line} == names
    assert done["warnings"] == []


def test_icons_of_open_document(tmp_path):
    """A set of icons stands behind its numbers."""
    entries = "".join(
        f'<calcext:formatting-entry calcext:value="{at}" calcext:type="percent"/>' for at in (0, 33, 67)
    )
    data = open_sheet(f'<calcext:icon-set calcext:icon-set-type="3Arrows">{entries}</calcext:icon-set>')
    done, outputs = run(tmp_path, data)
    assert "| Chloride | 90 → | 100 |" in outputs["text.md"].decode()
    assert done["warnings"] == []


@pytest.mark.parametrize(
    "rule_",
    [
        "<calcext:data-bar/>",
        '<calcext:date-is calcext:date="today"/>',
        '<calcext:condition calcext:apply-style-name="Red_1" calcext:value="&gt;[.C1]+TODAY()"/>',
        '<calcext:icon-set calcext:icon-set-type="3Arrows"/>',
    ],
)
def test_other_rules_of_open_document_are_warned_of(rule_, tmp_path):
    """Bars and what depends on the day are not judged."""
    assert run(tmp_path, open_sheet(rule_))[0]["warnings"] == [RULED]


def judged(formula, cells):
    return compiled(formula, (1, 0))(lambda row, column: cells.get((row, column)), (2, 0))


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("1+2*3-4/2", 5.0), ("(1+2)*3", 9.0), ('"a"&"b"&1', "ab1"), ("-A1", -4.0), ("$A$1", None),
        ("IF(A1>3,1,2)", 1.0), ('LEFT("HIGH",2)', "HI"), ('RIGHT("HIGH",0)', ""), ("ISBLANK(C1)", 1.0),
        ('C1=""', 1.0), ("C1=0", 1.0), ('"Yes"="YES"', 1.0), ('EXACT("a","A")', 0.0), ("ISERROR(1/0)", 1.0),
        ("SUM(A1:A2)", 4.0), ('COUNTIF($A$2:$A$3,">3")', 1.0), ("ISODD(3)", 1.0), ('A1>"x"', 0.0),
    ],
)  # fmt: skip
def test_formulas(formula, value):
    """As a sheet calculates them, at the second row: `A1` is `A2` there."""
    assert judged(formula, {(2, 0): 4.0}) == value


@pytest.mark.parametrize(
    "formula", ["NOW()", "Sheet2!A1", "name", "A1:B2:C3", "1+", "(1", "OFFSET(A1)", "{1}"]
)
def test_formulas_that_are_not_judged(formula):
    """Nothing is guessed."""
    with pytest.raises(UnknownFormulaError):
        compiled(formula, (1, 0))


@pytest.mark.parametrize("formula", ['"a"+1', "1/0", "SEARCH(1,2)", "A1:A9>1", "AVERAGE(C1)", "A1:ZZ9999=1"])
def test_errors_hold_for_no_cell(formula):
    """A rule whose formula yields an error does not apply."""
    with pytest.raises(FormulaError):
        is_true(judged(formula, {}))


def test_areas():
    """Places and shares as a sheet takes them."""
    assert [is_top([1.0, 2, 3, 4], at, 50, percent=True, bottom=True) for at in (1.0, 2.0, 3.0)] == [
        True,
        True,
        False,
    ]
    assert threshold("percentile", 50, [1.0, 2.0, 10.0]) == 2.0
    assert threshold("percent", 50, [0.0, 2.0, 10.0]) == 5.0
    assert threshold("formula", 1, [1.0]) is None
    assert threshold("percent", 1, []) is None
