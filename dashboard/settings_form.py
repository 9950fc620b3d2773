"""The sidebar's form for a new run. Every knob is drawn from its field in `sslcore/config.py`: range, unit, help, choices.

A widget's key is its name in the URL. Values that belong to a preset carry its name there (but for the default preset)
and the method's own carry the method's: so a change of preset or method brings its own defaults, and coming back
brings back what was typed. Only what differs from the preset is passed on.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import streamlit as st

from dashboard import text, widgets
from sslcore import config as cfg
from sslcore import presets, tensorboard
from sslcore.config import ConfigError, RunConfig

OWN_PLACE = {
    "data.source",
    "data.labels",
    "train.seed",
    "train.steps",
    "train.device",
    "method.name",
}  # not among the advanced ones
SECTIONS = {
    "method": "", "augment": "Strong augmentation", "optim": "Optimizer", "train": "Training", "data": "Data", "model": "Network"
}  # fmt: skip
HALF: Final = 10  # letters of a choice that has room beside another list
BIND: Final = "query-params"


@dataclass(frozen=True)
class Choice:
    """What the form says: a config, or one sentence about what is wrong with it. `refused`: what the address asked for and can't be."""

    preset: str
    config: RunConfig | None
    problem: str = ""
    refused: tuple[str, ...] = ()


def settings_form() -> Choice:
    """Draw the form where the caller stands and return what it says."""
    names = list(presets.PRESETS)
    titles = [presets.PRESETS[name].title for name in names]
    _look_label("preset", titles, "Preset", presets.PRESETS[presets.DEFAULT].title)
    _look_label("method", list(text.METHODS.values()), "Method", text.METHODS["flexmatch"])
    preset = st.selectbox(
        "Preset", names, index=names.index(presets.DEFAULT), format_func=lambda name: presets.PRESETS[name].title, key="preset", bind=BIND,
        on_change=_forget, args=("preset",),
        help="A starting point: data, network, schedule. Everything below can be changed.",
    )  # fmt: skip
    if preset not in presets.PRESETS:
        preset = presets.DEFAULT
    st.caption(presets.PRESETS[preset].note)
    method = st.segmented_control(
        "Method", list(text.METHODS), default="flexmatch", required=True, format_func=text.METHODS.__getitem__, key="method", bind=BIND,
        on_change=_forget, args=("method",), width="stretch", wrap=True, help=text.METHOD_HELP,
    )  # fmt: skip
    base = presets.build(preset, method if method in text.METHODS else "flexmatch")
    prefix = "" if preset == presets.DEFAULT else f"{preset}."

    wanted: dict[str, Any] = {"data.source": source(base, prefix)}
    left, right = st.columns(2)
    with left:
        wanted["data.labels"] = number(base, "data.labels", f"{prefix}labels", "Labels", step=10)
        wanted["train.steps"] = number(
            base, "train.steps", f"{prefix}steps", "Steps", step=text.step_of(int, base.train.steps)
        )
    with right:
        wanted["train.seed"] = number(base, "train.seed", "seed", "Seed", step=1)
        spec = cfg.find(base, "train.device")
        _look_label(
            "device",
            [text.DEVICES.get(name, name) for name in spec.metadata["choices"]],
            "Device",
            text.DEVICES["auto"],
        )
        wanted["train.device"] = st.selectbox(
            "Device", list(spec.metadata["choices"]), format_func=lambda name: text.DEVICES.get(name, name), key="device", bind=BIND,
            on_change=_forget, args=("device",), help=spec.metadata["help"],
        )  # fmt: skip
    # Thirty boxes are a third of what the browser builds at the start: they are drawn once they are opened, or once one of
    # them says something else than the preset.
    with st.expander(
        "Advanced settings", icon=":material/tune:", key="advanced", bind=BIND, on_change="rerun"
    ) as advanced:
        if advanced.open or _touched(base, prefix):
            wanted |= _advanced(base, prefix, wanted["data.source"])

    known = {path: value for path, _, value in cfg.walk(base)}
    try:
        check_folder(wanted["data.source"])
        changes = {path: value for path, value in wanted.items() if value != known[path]}
        config = presets.build(preset, base.method.name, changes)
        tensorboard.require(config)
        return Choice(preset, config, refused=_told())
    except ConfigError as problem:
        return Choice(preset, None, str(problem), refused=_told())


def check_folder(source: str) -> None:
    """ConfigError if a source names a folder that isn't typed yet, or isn't there."""
    path = source.removeprefix("folder:")
    if source.startswith("folder:") and not path:
        raise ConfigError("Type the path of your folder of images under Data.")
    if source.startswith("folder:") and not Path(path).expanduser().is_dir():
        raise ConfigError(f"There is no folder {text.shorten(path, 120)}.")


# Streamlit drops a value of the address that a widget can't hold without a word: so each is read before its widget is drawn.


def _look(key: str, spec: dataclasses.Field[Any], name: str, fallback: Any) -> None:
    """Remember what the address asks of a setting, if it can't be."""
    raw = st.query_params.get(key)
    if not raw:
        return
    kind, _ = cfg.field_type(spec)
    try:
        whole = kind is int and float(raw).is_integer()
    except ValueError:
        whole = False
    try:
        cfg.check(name, spec, cfg.parse(name, spec, str(int(float(raw))) if whole else raw))
    except ConfigError as problem:
        _refuse(key, str(problem), fallback)


def _look_label(key: str, labels: list[str], name: str, fallback: str) -> None:
    """The same for a list, whose words stand in the address."""
    raw = st.query_params.get(key)
    if raw and raw not in labels:
        _refuse(key, f"{name} must be one of {', '.join(labels)}, got {text.shorten(repr(raw))}", fallback)


def _refuse(key: str, problem: str, fallback: Any) -> None:
    used = "nothing" if fallback is None else text.escape(str(fallback))
    st.session_state.setdefault("refused", {})[key] = text.REFUSED.format(text.escape(problem), used)


def _forget(key: str) -> None:
    st.session_state.setdefault("refused", {}).pop(key, None)


def _told() -> tuple[str, ...]:
    return tuple(st.session_state.get("refused", {}).values())


def source(base: RunConfig, prefix: str) -> str:
    """Draw the choice of the data and return it; of a folder also the field for its path."""
    options = list(text.DATA)
    preset = base.data.source.partition(":")[0]
    _look_label(f"{prefix}data", list(text.DATA.values()), "Data", text.DATA[preset])
    picked = st.selectbox(
        "Data", options, index=options.index(preset), format_func=text.DATA.__getitem__, key=f"{prefix}data", bind=BIND,
        on_change=_forget, args=(f"{prefix}data",), help="\n\n".join(f"**{text.DATA[name]}**: {about}" for name, about in text.DATA_HELP.items()),
    )  # fmt: skip
    fits = presets.lesson_for(str(picked))
    if base.model.net == "lesson" and fits != presets.lesson_for(preset):
        st.caption(text.TUNED.format(text.DATA[preset], presets.PRESETS[fits].title))
    if picked != "folder":
        return str(picked)
    path = st.text_input(
        "Path of the folder", key="folder", bind=BIND, placeholder="/home/me/leaves", help=text.DATA_HELP["folder"]
    )
    return "folder:" + path.strip()


def _touched(base: RunConfig, prefix: str) -> bool:
    """Whether the address, or a box that was drawn before, has something to say about an advanced setting."""
    known = {_key(base, path, prefix): value for path, _, value in cfg.walk(base) if path not in OWN_PLACE}
    return any(
        key in st.query_params or st.session_state.get(key, value) != value for key, value in known.items()
    )  # fmt: skip


def _key(base: RunConfig, path: str, prefix: str) -> str:
    """Name of an advanced setting in the address."""
    section, name = path.split(".", 1)
    owner = base.method.name + "." if section in ("method", "optim") else ""
    return prefix + owner + (name if section == "method" else path)


def _advanced(base: RunConfig, prefix: str, source: str) -> dict[str, Any]:
    """Draw every other setting, section by section, two a row; return {dotted name: value}."""
    wanted: dict[str, Any] = {}
    rows = list(cfg.walk(base))
    for section, title in SECTIONS.items():
        mine = [(path, spec) for path, spec, _ in rows if path.startswith(section + ".") and path not in OWN_PLACE]
        shown = [
            (path, spec)
            for path, spec in mine
            if spec.metadata["low"] is None or spec.metadata["low"] != spec.metadata["high"]
        ]
        if not shown:
            continue
        st.markdown(f"**{title or text.METHODS[base.method.name]}**")
        columns, place = st.columns(2), 0
        for path, spec in shown:
            if not _matters(path, wanted, base, source):
                continue
            longest = max(map(len, spec.metadata["choices"] or ("",)))
            if cfg.field_type(spec)[0] is bool or longest > HALF:  # its label, or its choices, need the whole width
                wanted[path] = _widget(base, path, spec, prefix)
                continue
            with columns[place % 2]:
                wanted[path] = _widget(base, path, spec, prefix)
            place += 1
    return wanted


def _matters(path: str, wanted: dict[str, Any], base: RunConfig, source: str) -> bool:
    """Whether a setting has any effect beside the network and the data chosen so far."""
    net = wanted.get("model.net", base.model.net)
    if path == "data.hand":
        return bool(wanted.get("data.pick") == "by-hand")
    only = {"model.depth": "wrn", "model.widen_factor": "wrn", "model.width": "lesson"}
    return only.get(path, net) == net and (
        path not in ("data.image_size", "data.test_share") or source.startswith("folder:")
    )


def _widget(base: RunConfig, path: str, spec: dataclasses.Field[Any], prefix: str) -> Any:
    """One knob: a toggle, a list or a number box, from the field's type and metadata."""
    section, name = path.split(".", 1)
    key = _key(base, path, prefix)
    kind, _ = cfg.field_type(spec)
    default, about = getattr(getattr(base, section), name), cfg.about(spec)
    label = text.setting_name(path)
    _look(key, spec, path, default)
    kept: dict[str, Any] = {"key": key, "bind": BIND, "help": about, "on_change": _forget, "args": (key,)}
    if kind is bool:
        return st.toggle(label, value=default, **kept)
    if kind is str and not spec.metadata["choices"]:
        return st.text_input(label, default, placeholder=text.HAND_EMPTY, **kept).strip()
    if spec.metadata["choices"]:
        options = list(spec.metadata["choices"])
        index = None if default is None else options.index(default)
        return st.selectbox(label, options, index=index, placeholder="the preset's", **kept)
    return number(base, path, key, label, step=text.step_of(kind, default), about=about)


def number(base: RunConfig, path: str, key: str, label: str, *, step: float, about: str = "") -> Any:
    """Draw a number box from a setting's range, default and help, and return its value."""
    spec = cfg.find(base, path)
    kind, _ = cfg.field_type(spec)
    section, name = path.split(".", 1)
    default, low, high = getattr(getattr(base, section), name), spec.metadata["low"], spec.metadata["high"]
    _look(key, spec, path, default)
    return st.number_input(
        label, min_value=None if low is None else kind(low), max_value=None if high is None else kind(high), value=default, step=kind(step),
        format="%d" if kind is int else "%g", key=key, bind=widgets.bind(key), placeholder="the preset's",
        on_change=_forget, args=(key,),
        help=about or cfg.about(spec),
    )  # fmt: skip
