"""`export` and `import` on the command line: one file, never over another unasked, one sentence for what can't be."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from sslcore import events as ev
from sslcore.__main__ import main
from sslcore.store import Store
from tests.fill_store import fill


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    try:
        status = main(words)
    except SystemExit as exit:
        status = int(exit.code or 0)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def run_id(tmp_path: Path) -> str:
    store = Store(tmp_path / "here")
    made = fill(store, ev.FINISHED, "fixmatch", frames=False)
    store.update(made, summary=store.run(made).summary | {"num_train": 1437})
    return made


def test_there_and_back(tmp_path: Path, run_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    here, there, file = str(tmp_path / "here"), str(tmp_path / "there"), str(tmp_path / "run.zip")
    status, out, err = call(capsys, "export", run_id[:-2], "--out", file, "--root", here, "--json")
    assert status == 0, err
    assert json.loads(out) == {"run_id": run_id, "run_ids": [run_id], "out": file, "bytes": Path(file).stat().st_size}
    assert zipfile.ZipFile(file).testzip() is None
    status, out, err = call(capsys, "import", file, "--root", there, "--json")
    assert status == 0, err
    imported = json.loads(out)
    status, out, _ = call(capsys, "show", run_id, "--root", there, "--json")
    assert imported == json.loads(out) and imported["run_id"] == run_id and imported["status"] == "finished"
    status, out, _ = call(capsys, "import", file, "--root", there)
    assert status == 0 and "finished" in out and len(Store(Path(there)).runs()) == 2


def test_a_report_of_one_or_several(tmp_path: Path, run_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    other = fill(Store(tmp_path / "here"), ev.FINISHED, "flexmatch")
    out = str(tmp_path / "Report.HTML")
    assert call(capsys, "export", run_id, "--out", out, "--root", str(tmp_path / "here"))[0] == 0
    assert run_id in Path(out).read_text() and other not in Path(out).read_text()
    assert call(capsys, "export", run_id, other, "--out", out, "--force", "--root", str(tmp_path / "here"))[0] == 0
    assert "2 runs compared" in Path(out).read_text()


def test_a_file_that_is_there_stays(tmp_path: Path, run_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.zip"
    file.write_text("dear")
    status, _, err = call(capsys, "export", run_id, "--out", str(file), "--root", str(tmp_path / "here"))
    assert status == 2 and "--force" in err and file.read_text() == "dear"
    status, _, err = call(capsys, "export", run_id, "--out", str(file), "--force", "--root", str(tmp_path / "here"))
    assert status == 0 and zipfile.is_zipfile(file)


def test_bad_usage(tmp_path: Path, run_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    here = ["--root", str(tmp_path / "here")]
    bad = tmp_path / "bad.zip"
    bad.write_bytes(b"no zip")
    for words, told in (
        (["export", run_id, "--out", str(tmp_path / "run.tar")], [".zip", ".html"]),
        (["export", run_id, run_id, "--out", str(tmp_path / "run.zip")], ["one run", "2"]),
        (["export", run_id], ["--out"]),
        (["export", "nobody", "--out", str(tmp_path / "x.zip")], ["nobody"]),
        (["export", run_id, "--out", str(tmp_path / "no" / "x.zip")], ["can't be written"]),
        (["export", run_id, "--out", str(tmp_path / "no" / "x.html")], ["can't be written"]),
        (["import", str(bad)], ["zip"]),
        (["import", str(tmp_path / "nothing.zip")], ["not a file"]),
    ):
        status, out, err = call(capsys, *words, *here)
        assert status == 2 and out == "" and len(err.strip().splitlines()) <= 2, err
        for word in told:
            assert word in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.zip", "here"]
    assert len(Store(tmp_path / "here").runs()) == 1
