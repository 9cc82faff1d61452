"""Excel workbooks, and what they share with the spreadsheets of OpenDocument."""
