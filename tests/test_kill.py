"""A handful of the kills of `python -m tests.kill_runs`, and that the script would see what it looks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from sslcore import checkpoint, keyframes
from sslcore import events as ev
from sslcore.store import Store
from tests import kill_runs
from tests.forge import train


@pytest.mark.parametrize(("kills", "methods"), [
    (3, ("flexmatch",)),
    pytest.param(24, ("supervised", "mixmatch", "fixmatch", "flexmatch"), marks=pytest.mark.slow),
])  # fmt: skip
def test_killed_at_random_moments_nothing_is_lost(tmp_path: Path, kills: int, methods: tuple[str, ...]) -> None:
    table = kill_runs.kill(kills, 3, seed=1, root=tmp_path, methods=methods)
    assert (table.kills, table.lost, table.unequal) == (kills, [], []), table


def test_the_script_sees_what_is_lost_and_what_differs(tmp_path: Path) -> None:
    store = Store(tmp_path)
    one, two = (train(store, "flexmatch") for _ in range(2))
    assert [text for text in kill_runs.differences(store, one, two) if not text.startswith("train")] == []
    other = train(store, "flexmatch", **{"train.seed": "1"})
    found = kill_runs.differences(store, one, other)
    assert any("weights_sha256" in text for text in found) and any("keyframe" in text for text in found)
    (store.folder(one) / ".last.pt.1.2.tmp").write_bytes(b"half")
    assert kill_runs.differences(store, one, two)[-1] == "files: ['.last.pt.1.2.tmp']"

    last = kill_runs._last(store, one)
    assert kill_runs.losses(tmp_path, one, last + 1)[0] == f"last.pt is of step {last}, it was of {last + 1}"
    with store._transaction() as db:
        db.execute("DELETE FROM points WHERE run = ? AND step < 20", (one,))
    assert "are missing" in kill_runs.losses(tmp_path, one, last)[-1]
    store.move(one, ev.PAUSED, only_from=[ev.FINISHED])
    assert "the run is paused" in kill_runs.losses(tmp_path, one, last)
    for path, problem in (
        (store.folder(two) / checkpoint.LAST, checkpoint.CheckpointError),
        (store.folder(two) / keyframes.FOLDER / "000000010.npz", keyframes.KeyframeError),
    ):
        whole = path.read_bytes()
        path.write_bytes(whole[:-100])
        with pytest.raises(problem):
            kill_runs.losses(tmp_path, two, 0)
        path.write_bytes(whole)
