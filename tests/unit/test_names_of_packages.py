"""Names that a package imports when they are used: a module of the same name would stand before them."""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

import pytest

import docpipe

PACKAGES = [result.name for result in iter_modules(docpipe.__path__, "docpipe.") if result.ispkg]


@pytest.mark.parametrize("name", PACKAGES)
def test_no_module_hides_a_name(name: str) -> None:
    """Whichever modules are imported by then, a name that the package offers is what it is in its module."""
    package = import_module(name)
    for result in iter_modules(package.__path__, f"{name}."):
        import_module(result.name)
    names = getattr(package, "_MODULES", ())
    assert [each for each in names if isinstance(getattr(package, each), ModuleType)] == []
