"""A checkpoint database for the tests of the core."""

import time

import pytest

from docpipe.checkpoints import open_database


@pytest.fixture
async def checkpoints(tmp_path):
    async with open_database(tmp_path, time.time) as database:
        yield database
