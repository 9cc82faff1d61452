"""A patient's documents as one PDF or one ZIP; imports workers, storage, reports and below."""

from docpipe.chart.contents import Contents, NoReportError, contents_of
from docpipe.chart.package import names_of, package
from docpipe.chart.pdf import PRELOAD, TARGET, Chart, write_chart

__all__ = [
    "PRELOAD",
    "TARGET",
    "Chart",
    "Contents",
    "NoReportError",
    "contents_of",
    "names_of",
    "package",
    "write_chart",
]
