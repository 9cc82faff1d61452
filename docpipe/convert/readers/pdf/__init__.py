"""PDF, and the layout of scanned pages."""
