"""PDFs made for tests: text, lines and fields at given places of a page."""

import io

import pikepdf

FONTS = {"F1": "Helvetica", "F2": "Helvetica-Bold", "F3": "Courier", "F4": "Times-Roman"}


def text(x, y, displayed, size=12, font="F1"):
    """The operators that write a line of text with its left end at a place."""
    escaped = displayed.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"BT /{font} {size} Tf {x} {y} Td ({escaped}) Tj ET"


def line(x, y, u, v, width=0.7):
    """A drawn line."""
    return f"{width} w {x} {y} m {u} {v} l S"


def rows(listed, columns, top=700, pitch=18, **more):
    """Cells, row by row, each at the left end of its column."""
    return [
        text(columns[at], top - number * pitch, cell, **more)
        for number, row in enumerate(listed)
        for at, cell in enumerate(row)
        if cell
    ]


def page_pdf(*pages, size=(612, 792), change=None):
    """A PDF whose pages have these operators."""
    document = pikepdf.new()
    fonts = {
        f"/{name}": document.make_indirect(
            pikepdf.Dictionary(
                Type=pikepdf.Name.Font,
                Subtype=pikepdf.Name.Type1,
                BaseFont=pikepdf.Name("/" + base),
                Encoding=pikepdf.Name.WinAnsiEncoding,
            )
        )
        for name, base in FONTS.items()
    }
    for operators in pages:
        page = document.add_blank_page(page_size=size)
        page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(fonts))
        page.Contents = document.make_stream("\n".join(operators).encode("cp1252"))
    if change is not None:
        change(document)
    out = io.BytesIO()
    document.save(out, static_id=True)
    return out.getvalue()
