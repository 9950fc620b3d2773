"""What the tests of pages share: an empty store that the pages read, and a page opened through Streamlit's test driver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit import config
from streamlit.testing.v1 import AppTest

from dashboard import queries
from sslcore.lab import Lab
from sslcore.store import Store

APP = Path(__file__).resolve().parent.parent / "dashboard" / "app.py"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty store that the pages read; nothing trains and torch is not imported."""
    monkeypatch.setenv("SSLLAB_ROOT", str(tmp_path))
    monkeypatch.setattr(Lab, "_work", lambda self: None)
    monkeypatch.setattr(Lab, "warm_up", lambda self, then: None)
    config.set_option("server.enableStaticServing", True)  # whatever folder the tests are started in
    yield queries.store()


def opened(file: str, /, **params: Any) -> AppTest:
    """Return a page, such as "views/runs.py", as its address asks for it; no exception may stand on it."""
    at = AppTest.from_file(str(APP), default_timeout=60).run()
    for name, value in params.items():
        at.query_params[name] = value
    at.switch_page(file).run()
    assert not at.exception, at.exception
    return at
