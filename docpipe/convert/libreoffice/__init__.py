"""LibreOffice, an optional program: it opens formats that docpipe has no reader for, and draws pages."""
