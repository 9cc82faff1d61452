"""The storage: documents and reports of patients, each whole or not there at all."""

from docpipe.storage.folder import FolderStorage
from docpipe.storage.interface import Storage
from docpipe.storage.names import CHUNK, METADATA, RUNS, TEMPORARY, folder_name

__all__ = ["CHUNK", "METADATA", "RUNS", "TEMPORARY", "FolderStorage", "Storage", "folder_name"]
