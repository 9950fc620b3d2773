"""Whatever stands in the address of a page, it draws. A few made-up addresses here; `SSLLAB_FUZZ=500` in front of pytest for more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("hypothesis", reason="comes with the dev extra")
from hypothesis import given
from hypothesis import strategies as st
from streamlit import config
from streamlit.testing.v1 import AppTest

from dashboard import guide, queries
from sslcore import events as ev
from sslcore.lab import Lab
from sslcore.store import Store
from tests.fill_store import fill
from tests.test_fuzz import PATHS, cases

APP = Path(__file__).resolve().parent.parent / "dashboard" / "app.py"
VIEWS = ("train", "augment", "pseudo", "time", "curves", "images", "runs", "guide")
NAMES = [
    "run", "step", "image", "select", "sort", "tour", "hide", "preset", "method", "data", "labels", "steps", "seed", "device", "folder", "all_settings",
    "smooth", "log", "over", "classes", "exhibit", "search", "states", "methods", "sets", "n", "metric", "list", "guess", "truth", "taken", "told",
    "show", "source", "draw", "images", "reveal", "part", "sharpened", "aug_data", "aug_folder", "aug_draw", "aug_views", "aug_strength", "aug_cutout",
    "aug_alpha", "aug_lam", "aug_op", "aug_size", "aug_exhibit", "aug_from", "aug_checkpoint",
    "sweep", "with", "sweep.counts", "seeds", "sweep.budget", "sweep.data", "more", "view", "read", "at", "against", "goal", "beside", "race",
    "race_labels", "race_seed", "images_from", "images_folder", "images_size", "images_page", "hand", "ask", "sure", "next_count", *PATHS,
]  # fmt: skip
VALUES = st.sampled_from([
    "", "0", "-1", "3", "1e309", "-inf", "nan", "9" * 5000, "true", "none", "RUN", "RUN,RUN,x", "flexmatch", "shapes", "smoke", "folder:/nowhere", "/nowhere",
    "<b>x</b>", "\u202ex", "../x", "-step", "accuracy", ",", "\0", "[1]", "\u0663",
]) | st.text(max_size=8)  # fmt: skip
ADDRESSES = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=6), VALUES, max_size=6)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A finished run that the pages read; nothing trains."""
    monkeypatch.setenv("SSLLAB_ROOT", str(tmp_path))
    monkeypatch.setattr(Lab, "_work", lambda self: None)
    monkeypatch.setattr(Lab, "warm_up", lambda self, then: None)
    config.set_option("server.enableStaticServing", True)
    fill(queries.store(), ev.FINISHED)
    yield queries.store()


@cases(10)
@given(view=st.sampled_from(VIEWS), address=ADDRESSES)
def test_any_address_is_a_page(view: str, address: dict[str, str], store: Store) -> None:
    run_id = store.runs()[0].id
    at = AppTest.from_file(str(APP), default_timeout=120)
    for name, value in address.items():
        at.query_params[name] = value.replace("RUN", run_id)
    at.switch_page(f"views/{view}.py").run()
    assert not at.exception, at.exception


@pytest.mark.parametrize(
    ("view", "name"),
    [
        ("train", "steps"), ("curves", "sweep.budget"), ("images", "images_size"), ("augment", "aug_draw"), ("augment", "aug_image"),
        ("pseudo", "image"), ("pseudo", "draw"), ("train", "n"),
    ],
)  # fmt: skip
def test_a_whole_number_is_never_infinite(view: str, name: str, store: Store) -> None:
    at = AppTest.from_file(str(APP), default_timeout=120)
    at.query_params[name] = "1e309"
    at.switch_page(f"views/{view}.py").run()
    assert not at.exception, at.exception
    if name == "steps":
        assert any("must be a whole number" in str(told.value) for told in (*at.info, *at.warning))
    assert not at.run().exception


@cases(300)
@given(st.text() | VALUES | st.none() | st.integers())
def test_any_word_of_the_tour_is_a_step_or_none(word: object) -> None:
    number = guide.step_number(word)
    assert number is None or number > 0
    assert guide.hidden(word) <= set(guide.HIDEABLE)
