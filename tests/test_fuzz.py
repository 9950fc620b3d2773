"""Whatever a person, a link or a file says: what was asked for, or one clear sentence. Never a traceback.

A few hundred made-up inputs of each kind here; `SSLLAB_FUZZ=10000 pytest tests/test_fuzz.py -m "slow or not slow"` for more.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="comes with the dev extra")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sslcore import __main__ as command_line
from sslcore import config as cfg
from sslcore import console, keys, presets, sweep, sweep_run
from sslcore.config import ConfigError, RunConfig
from sslcore.data.decode import decode_many
from sslcore.data.upload import UploadError, picture
from sslcore.lab import Lab
from sslcore.store import Store
from tests.forge import train

MANY = int(os.environ.get("SSLLAB_FUZZ", "0"))


def cases(few: int) -> Callable[[Any], Any]:
    """How many inputs: the same `few` every time, or by hand as many new ones as asked for."""
    return settings(
        max_examples=MANY or few,
        derandomize=not MANY,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def is_sentence(problem: Exception | str) -> None:
    text = str(problem)
    assert text.strip() and "\n" not in text and len(text) < 1000, text


# -- settings --------------------------------------------------------------------------------------------------------------

PATHS = sorted({path for name in cfg.METHOD_NAMES for path, _, _ in cfg.walk(cfg.with_method(RunConfig(), name))})
SPECS = {path: spec for name in cfg.METHOD_NAMES for path, spec, _ in cfg.walk(cfg.with_method(RunConfig(), name))}
WORDS = st.sampled_from(
    [
        "",
        "auto",
        "none",
        "yes",
        "0",
        "-1",
        "1e9",
        "1e400",
        "nan",
        "\u0663",
        "0x10",
        "1_000",
        "folder:",
        "folder:~",
        "9" * 400,
        "\0",
        "\ud800",
    ]
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.integers(-(10**400), 10**400) | st.floats(allow_subnormal=False) | WORDS | st.text(max_size=20)
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def fitting(path: str) -> st.SearchStrategy[Any]:
    """Values of which most are allowed, the ends of the range among them."""
    meta, kind = SPECS[path].metadata, cfg.field_type(SPECS[path])[0]
    if meta["choices"]:
        return st.sampled_from(meta["choices"])
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(meta["low"], meta["high"]) | st.sampled_from([meta["low"], meta["high"]])
    if kind is float:
        return st.floats(meta["low"], meta["high"], allow_subnormal=False) | st.sampled_from(
            [meta["low"], meta["high"]]
        )
    return st.sampled_from(["digits", "shapes", "folder:/a b"])


def section(name: str) -> st.SearchStrategy[Any]:
    known = [path for path in PATHS if path.startswith(f"{name}.")]
    right = st.fixed_dictionaries({}, optional={path.split(".")[1]: fitting(path) for path in known})
    wrong = st.dictionaries(
        st.sampled_from([path.split(".")[1] for path in known]) | st.text(max_size=8), ANYTHING, max_size=2
    )
    return st.builds(lambda a, b: {**a, **b}, right, wrong | st.just({})) | right | ANYTHING


RAW = st.fixed_dictionaries({}, optional={name: section(name) for name in cfg.SECTIONS}) | ANYTHING
CHANGES = st.dictionaries(st.sampled_from(PATHS), SCALARS, max_size=4) | st.dictionaries(
    st.sampled_from([*PATHS, "data", "train.", "method.name.name", ""]) | st.text(max_size=10), ANYTHING, max_size=3
)


def survives(config: RunConfig) -> None:
    raw = json.loads(json.dumps(cfg.to_dict(config), allow_nan=False))
    assert cfg.from_dict(raw) == config and keys.content_key(raw) == keys.content_key(cfg.to_dict(config))


@cases(300)
@given(RAW)
def test_any_json_is_a_config_or_one_sentence(raw: Any) -> None:
    try:
        config = cfg.from_dict(raw)
    except ConfigError as problem:
        is_sentence(problem)
    else:
        survives(config)


@cases(60)
@given(
    st.sampled_from([*presets.PRESETS, "", "x", "SMOKE"]), st.sampled_from([*cfg.METHOD_NAMES, "", "fixmach"]), CHANGES
)
def test_any_change_of_any_preset_is_a_config_or_one_sentence(
    preset: str, method: str, changes: dict[str, Any]
) -> None:
    for make in (lambda: presets.build(preset, method, changes), lambda: cfg.replace(RunConfig(), changes)):
        try:
            survives(make())
        except ConfigError as problem:
            is_sentence(problem)


PLANS = st.fixed_dictionaries(
    {"preset": st.sampled_from(["smoke", "digits-lesson", "x"]) | ANYTHING},
    optional={
        "methods": st.lists(st.sampled_from([*cfg.METHOD_NAMES, "x"]), max_size=3) | ANYTHING,
        "labels": st.lists(st.integers(-5, 400) | st.floats(allow_subnormal=False), max_size=3) | ANYTHING,
        "seeds": st.lists(st.integers(0, 9), max_size=2) | ANYTHING,
        "settings": CHANGES | ANYTHING,
    },
)


@cases(80)
@given(
    PLANS | ANYTHING,
    st.text(max_size=12) | st.sampled_from(["0-9", "9-0", "1,,2", "9" * 5000, "\u0663-\u0665", "0-" + "9" * 5000]),
)
def test_any_plan_of_a_sweep_is_a_grid_or_one_sentence(raw: Any, typed: str) -> None:
    try:
        grid = sweep.cells(sweep.from_json(json.dumps(raw)))
        assert len({cell.key for cell in grid}) == len(grid) <= sweep.MOST_CELLS
    except ConfigError as problem:
        is_sentence(problem)
    try:
        assert all(isinstance(number, int) for number in sweep.counts("labels", typed))
    except ConfigError as problem:
        is_sentence(problem)


# -- the command line ------------------------------------------------------------------------------------------------------

TYPED = (
    st.sampled_from([
        "digits", "folder:/nowhere", "folder:", "imagenet", "smoke", "supervised", "mixmatch", "x", "-1", "0", "3", "40", "1e9", "nan",
        "9" * 5000, "10,20", "0-3", "9-1", "optim.lr=0.05", "optim.lr=x", "=", "a=b=c", "method.threshold=2", "train.steps=\ud800", "..", "",
        "auto", "cpu", "tpu", "run.zip", "run.html", "run.txt", "none/run.zip", "picture.png", "RUN", "é\udcff", "-", "\0",
    ]) | st.text(st.characters(exclude_characters="/\\~$", exclude_categories=()), max_size=6)
)  # fmt: skip
OPTIONS = st.sampled_from([
    "--json", "--preset", "--method", "--methods", "--data", "--labels", "--seed", "--seeds", "--steps", "--device", "--name", "--set", "--at",
    "--out", "--force", "--parallel", "--again", "--help", "--net", "--seconds", "--threads", "-h", "--", "--nonsense", "--js", "-", "--tensorboard",
])  # fmt: skip
LINES = st.builds(
    lambda name, rest: [name, *(word for words in rest for word in words)],
    st.sampled_from([*(name for name in command_line.COMMANDS if name != "bench"), "nonsense", ""]),
    st.lists(st.tuples(OPTIONS, TYPED) | st.tuples(OPTIONS) | st.tuples(TYPED), max_size=5),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("trained")
    store = Store(root)
    run_id = train(store, "flexmatch")
    store._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return root, run_id


@pytest.fixture
def folder(trained: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """A folder with one run in it, where commands do everything but train."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SSLLAB_ROOT", str(tmp_path / "runs"))
    monkeypatch.setattr(Lab, "_work", lambda self: None)
    monkeypatch.setattr(Lab, "__init__", _quiet(Lab.__init__))
    monkeypatch.setattr(console, "follow", lambda lab, run_id, quiet: lab.store.run(run_id))
    monkeypatch.setattr(sweep_run, "carry_out", lambda *_: True)
    monkeypatch.setattr(command_line.signal, "signal", lambda *_: None)
    Image.new("RGB", (20, 20)).save(tmp_path / "picture.png")
    return tmp_path / "runs", trained[1]


def _quiet(init: Any) -> Any:
    def made(lab: Lab, *args: Any, **options: Any) -> None:
        import atexit

        init(lab, *args, **options)
        atexit.unregister(lab.close)  # hundreds of them would end with the tests

    return made


def call(words: list[str]) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = command_line.main(words)
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else 1
    return status, out.getvalue(), err.getvalue()


@cases(150)
@given(words=LINES)
def test_any_command_line_does_it_or_says_why_not(
    words: list[str], trained: tuple[Path, str], folder: tuple[Path, str]
) -> None:
    root, run_id = folder
    if not (root / run_id).exists():  # the last one deleted it
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(trained[0], root)
    words = [run_id[:-2] if word == "RUN" else word for word in words]
    status, out, err = call([*words, "--root", str(root)])
    assert status in (0, 1, 2, 130) and "Traceback" not in err
    if status == 2:
        assert err.strip() and (len(err.splitlines()) <= 2 or words[0] == "predict"), err  # one a picture there
        assert out == "" or words[0] == "predict"
    elif status == 0 and words[-1:] == ["--json"] and "--" not in words and "--help" not in words and "-h" not in words:
        json.loads(out)


# -- pictures --------------------------------------------------------------------------------------------------------------


def _pictures() -> list[bytes]:
    """One small picture of each format and of the kinds of pixel that are read in other ways."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 20, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    made: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (noise, "PNG", {}), (noise.convert("P"), "PNG", {"transparency": 3}), (noise.convert("LA"), "PNG", {}), (noise, "JPEG", {"exif": exif}),
        (noise.convert("CMYK"), "JPEG", {"progressive": True}), (noise, "GIF", {"save_all": True, "append_images": [noise.rotate(90)]}),
        (noise, "WEBP", {}), (noise, "WEBP", {"lossless": True}), (noise, "TIFF", {}), (noise, "TIFF", {"compression": "tiff_lzw"}),
        (noise.convert("I;16"), "TIFF", {}), (noise.convert("F"), "TIFF", {}), (noise, "BMP", {}), (noise.convert("P"), "BMP", {}),
    ]  # fmt: skip
    found = []
    for image, kind, options in made:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        found.append(buffer.getvalue())
    return found


PICTURES = _pictures()
INTERESTING = st.sampled_from(
    [
        b"\0",
        b"\xff",
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        b"\x80\0",
        b"\0\x01\0\0",
        b"IDAT",
        b"\xff\xd8",
        b"RIFF",
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A picture with bytes changed, put in, cut out or taken from another picture; the header more often than the rest."""
    content = bytearray(draw(st.sampled_from(PICTURES)))
    for _ in range(draw(st.integers(1, 5))):
        end = min(len(content), 64) if draw(st.booleans()) else len(content)
        place = draw(st.integers(0, max(end - 1, 0)))
        how = draw(st.sampled_from(["change", "insert", "cut", "end", "other", "again"]))
        some = draw(INTERESTING | st.binary(min_size=1, max_size=4))
        if how == "change":
            content[place : place + len(some)] = some
        elif how == "insert":
            content[place:place] = some
        elif how == "cut":
            del content[place : place + draw(st.integers(1, 40))]
        elif how == "end":
            del content[place:]
        elif how == "again":
            content[place:place] = content[place : place + 50] * draw(st.integers(1, 20))
        else:
            content[place:] = draw(st.sampled_from(PICTURES))[place:]
    return bytes(content)


@cases(250)
@given(content=mutated(), channels=st.sampled_from([1, 3]))
def test_any_picture_is_a_square_or_one_sentence(content: bytes, channels: int, tmp_path: Path) -> None:
    try:
        pixels = picture(content, 16, channels).pixels
        assert pixels.shape == (16, 16, channels) and pixels.dtype == np.uint8
    except UploadError as problem:
        is_sentence(problem)
    (tmp_path / "file").write_bytes(content)
    images, failed = decode_many([str(tmp_path / "file")], 16)
    assert images.shape == (1, 16, 16, 3) and images.dtype == np.uint8 and failed in ([], [0])


@pytest.fixture(scope="module", autouse=True)
def bounded() -> Iterator[None]:
    """No made-up picture may fill the memory of a small machine."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 1500, f"the peak of memory grew by {grown:,.0f} MB"
