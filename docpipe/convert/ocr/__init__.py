"""Reading pictures of text: one of two engines, a layer of invisible text, and a limit of time.

OCRmyPDF drives tesseract well, but gives nothing of a document that it could not finish in time, and weighs
50 MB. So tesseract is asked directly here, page by page, as long as there is time, and needs nothing of pip;
the pip-only engine shares all but the recognition.
"""
