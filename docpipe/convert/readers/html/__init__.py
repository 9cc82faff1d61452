"""Web pages, and drawings in SVG."""
