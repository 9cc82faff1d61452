"""RTF, and RTF as Outlook compresses it."""
