"""The storage: documents and reports of patients, each whole or not there at all.

Imports `gates` and below.
"""

from docpipe.storage.folder import FolderStorage
from docpipe.storage.interface import Storage
from docpipe.storage.names import CHUNK, METADATA, RUNS, TEMPORARY, Content, folder_name, hashed_names
from docpipe.storage.tree import FolderTree, Listing, Tree
from docpipe.storage.urls import Bucket, folder_or_bucket

__all__ = [
    "CHUNK",
    "METADATA",
    "RUNS",
    "TEMPORARY",
    "Bucket",
    "Content",
    "FolderStorage",
    "FolderTree",
    "Listing",
    "Storage",
    "Tree",
    "folder_name",
    "folder_or_bucket",
    "hashed_names",
]
