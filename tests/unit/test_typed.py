from importlib.resources import files


def test_the_package_ships_its_types():
    """Type checkers read the annotations of a package only beside this file."""
    assert files("docpipe").joinpath("py.typed").is_file()
