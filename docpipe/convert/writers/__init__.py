"""What is made of `Content`: Markdown, a typeset PDF, a thumbnail. Imports `convert.core` only."""
