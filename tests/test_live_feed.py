"""The feed of the live charts: a message holds what changed, and a browser that applies it has what the server has."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

from dashboard import charts, live_feed
from dashboard.live_chart import encode, split
from dashboard.live_feed import Parts, Sent, changes, common, message
from dashboard.windows import Thinned


def apply(before: dict[str, list[str]], sent: bytes) -> dict[str, list[str]]:
    """What `static/live_feed.js` does with a message."""
    said = json.loads(sent)
    found = dict(before) if said["since"] else {}
    for name, parts in said["charts"].items():
        old = found.get(name, [])
        found[name] = [(old[i][:keep] if keep else "") + rest for i, (keep, rest) in enumerate(parts)]
    return found


def told(charts_now: dict[str, Parts], known: Sent | None, name: str = "b") -> bytes:
    return message(charts_now, known, name=name, view="run", frame=None)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [("", "", 0), ("", "a", 0), ("abc", "abc", 3), ("abc", "abd", 2), ("abc", "abcd", 3), ("abcd", "abc", 3), ("x", "y", 0), ("aXb", "aYb", 1)],
)  # fmt: skip
def test_the_common_beginning_is_found(old: str, new: str, same: int) -> None:
    assert common(old, new) == same


def test_any_change_is_undone_by_the_browser() -> None:
    rng = random.Random(0)
    old: dict[str, Parts] = {}
    browser: dict[str, list[str]] = {}
    known: Sent | None = None
    for turn in range(200):
        new = dict(old)
        for name in ("loss", "mask", "tiles"):
            if rng.random() < 0.5:
                texts = [
                    t[: rng.randint(0, len(t))] + "ab"[rng.randint(0, 1)] * rng.randint(0, 9)
                    for t in new.get(name, ("", ""))
                ]
                new[name] = tuple(texts[: rng.randint(1, 2)] + ["z"] * rng.randint(0, 1))  # fmt: skip
        browser = apply(browser, told(new, known))
        assert {name: tuple(parts) for name, parts in browser.items()} == new, turn
        old, known = new, Sent("b", "run", new)


def test_a_message_names_the_one_before_and_only_a_first_one_holds_everything() -> None:
    first = {"loss": ("shell", "12345678"), "mask": ("other",)}
    whole = json.loads(told(first, None, "one"))
    assert (whole["since"], set(whole["charts"])) == ("", {"loss", "mask"})
    after = json.loads(told({**first, "loss": ("shell", "1234567890")}, Sent("one", "run", first), "two"))
    assert (after["since"], after["charts"]) == ("one", {"loss": [[5, ""], [8, "90"]]})


def test_a_growing_curve_costs_its_end_alone() -> None:
    """At any length: 20 points more are sent in less than a tenth of the whole chart, also where points are passed over."""
    rng = np.random.default_rng(0)
    window = Thinned()

    def grow(first: int, many: int) -> Parts:
        window.add(
            [
                (i + 1, 0.05 * i, {"train/loss": rng.random(), "train/loss_x": rng.random()})
                for i in range(first, first + many)
            ]
        )
        now = window.window()
        return split(charts.losses(now.columns, 10**6, smooth=True, band=(now.low, now.high)))  # fmt: skip

    for first in (300, 5_000, 100_000):
        grow(window.count, first - window.count)
        before = grow(window.count, 1)
        after = grow(window.count, 20)
        patch = json.dumps(changes(before, after))
        assert len(patch) < 0.1 * sum(map(len, after)), (first, len(patch))


def test_a_split_figure_and_an_encoded_one_are_the_same() -> None:
    figure = charts.losses({"step": np.arange(3), "train/loss": np.ones(3), "train/loss_x": np.arange(3.0)}, 10)
    shell, *arrays = split(figure)
    whole = json.loads(encode(figure))
    assert whole == json.loads(shell) | {"arrays": arrays} and len(arrays) == len(set(arrays)) > 0


def test_a_session_is_told_only_what_it_has_not_got(monkeypatch: pytest.MonkeyPatch) -> None:
    state: dict[str, Any] = {}
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(live_feed.st, "session_state", state)
    monkeypatch.setattr(live_feed, "_feed", lambda *, data, **_: sent.append(json.loads(data)))
    for loss, view in (("1", "run"), ("12", "run"), ("12", "run"), ("12", "other run")):
        live_feed.feed({"loss": (loss,)}, view=view, frame=7)
    assert [bool(said["since"]) for said in sent] == [False, True, True, False]
    assert [said["charts"] for said in sent] == [{"loss": [[0, "1"]]}, {"loss": [[1, "2"]]}, {}, {"loss": [[0, "12"]]}]
    assert sent[1]["since"] == sent[0]["name"] and sent[2]["since"] == sent[1]["name"] and sent[0]["frame"] == 7
    live_feed.afresh()  # the page is drawn anew, or the browser said that it missed one
    live_feed.feed({"loss": ("12",)}, view="other run", frame=7)
    assert sent[-1]["since"] == "" and sent[-1]["charts"] == {"loss": [[0, "12"]]}
