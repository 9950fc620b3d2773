"""Which tests stay together when they run in several processes (`-n 2`, with pytest-xdist): a file's, and all that drive a browser."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's shared runs are trained once; two browsers at a time would wait for each other."""
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return "tests/browser" if file.startswith("tests/browser/") else file

    return Files(config, log)
