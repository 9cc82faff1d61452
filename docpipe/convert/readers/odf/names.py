"""Elements of OpenDocument that show no text where they stand."""

from typing import Final

SILENT: Final = frozenset(
    {
        "tracked-changes", "bookmark", "bookmark-start",
        "bookmark-end", "reference-mark-start", "reference-mark-end", "annotation-end", "note-citation",
        "soft-page-break", "sequence-decls", "variable-decls", "user-field-decls", "forms",
        "scripts", "event-listeners", "binary-data", "index-title-template", "table-of-content-source",
        "alphabetical-index-source", "illustration-index-source", "table-index-source", "object-index-source",
        "user-index-source", "bibliography-source", "shapes-decls", "glue-point", "list-header-mark",
        "table-columns", "table-column", "table-header-columns", "table-column-group", "calculation-settings",
        "dde-connection-decls", "hidden-paragraph", "number",
    }
)  # fmt: skip
