"""HEIC pictures, which Pillow reads with a plugin: the extra `docpipe[heic]`; without it they are stored."""

import importlib

from docpipe.convert.core.base import Content, MissingExtraError, Source
from docpipe.convert.readers.image import from_image


def read(source: Source) -> Content:
    """As any picture.

    Raises: UnreadableError; MissingExtraError where the plugin is not installed.
    """
    try:
        plugin = importlib.import_module("pi_heif")
    except ImportError as error:
        raise MissingExtraError("a HEIC picture", "heic") from error
    plugin.register_heif_opener()
    return from_image.read(source)
