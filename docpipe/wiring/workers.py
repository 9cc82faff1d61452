"""The workers that convert documents, as the configuration describes them."""

import time
from pathlib import Path
from typing import Final

from docpipe.config.config import Config
from docpipe.convert.core.job import Options
from docpipe.model import Clock
from docpipe.workers.confinement import contained
from docpipe.workers.handle import RECYCLE_JOBS
from docpipe.workers.inline import InlineWorkers
from docpipe.workers.machine import default_workers
from docpipe.workers.pool import Workers

CONVERTER: Final = "docpipe.convert.document:convert"
PRELOAD: Final = "docpipe.convert.preload"


def conversion(config: Config, *, inline: bool = False) -> Options:
    """The members of every conversion job that do not depend on the document.

    LibreOffice reads documents of strangers with a great deal of old code: only where a worker is confined.
    """
    languages = config.convert.languages if config.convert.ocr else ()
    libreoffice = config.convert.libreoffice and not inline and contained()
    return {"seconds": config.convert.timeout, "languages": languages, "libreoffice": libreoffice}


def make_workers(
    config: Config,
    clock: Clock = time.time,
    converter: str = CONVERTER,
    *,
    inline: bool = False,
    rooms: Path | None = None,
    size: int | None = None,
    preload: str = PRELOAD,
) -> Workers | InlineWorkers:
    """The workers that the configuration asks for; not yet entered.

    Args:
        config: the configuration.
        clock: what tickets are stamped with.
        converter: what they run.
        inline: whether it runs inside this process.
        rooms: as of `Workers`.
        size: how many; None for as many as the configuration says.
        preload: the module that is imported once for all of them.
    """
    convert = config.convert
    if inline:
        return InlineWorkers(converter, clock=clock)
    return Workers(
        converter,
        preload=preload,
        size=size or convert.workers or default_workers(convert.memory),
        memory=convert.memory,
        timeout=convert.timeout,
        clock=clock,
        rooms=rooms,
        budget=convert.budget,
        file=convert.file_size,
        jobs=1 if convert.isolation == "document" else RECYCLE_JOBS,
    )
