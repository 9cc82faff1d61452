"""Reading pictures of text: one of two engines, a layer of invisible text, and a limit of time.

OCRmyPDF returns nothing of a document that it could not finish in time, and weighs 50 MB. So tesseract is
called directly, page by page, as long as there is time, and needs no package; the engine that pip installs
shares everything but the recognition.
"""
