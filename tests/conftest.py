"""Which tests stay together when they run in several processes (`-n 2 --dist loadgroup`): a file's, and all that drive a browser."""

from __future__ import annotations

import pytest

BROWSER = "tests/browser/"


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's shared runs are trained once; two browsers at a time would wait for each other."""
    for item in items:
        file = item.nodeid.split("::")[0]
        item.add_marker(pytest.mark.xdist_group("browser" if file.startswith(BROWSER) else file))
