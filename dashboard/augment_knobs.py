"""The sidebar of the Augmentations page: the knobs of the views and the model that is asked. All of it stands in the URL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from dashboard import augmenting, queries, text, widgets
from dashboard import text_augment as words
from dashboard.picture_picker import Picked
from sslcore.config import AugmentConfig
from sslcore.events import Run

if TYPE_CHECKING:
    from sslcore.predictor import Predictor

BIND: Final = "query-params"
DEFAULTS = AugmentConfig()
FILLS, FLIPS = ("preset's", "grey", "black"), ("auto", "on", "off")


@dataclass(frozen=True)
class Knobs:
    """How many views are drawn of each kind, and how. `flip`: whether the weak view may mirror."""

    config: AugmentConfig
    flip: bool
    count: int


def knobs(picked: Picked, exhibit: str) -> Knobs:
    """Draw the knobs of the views and return what they say; those that don't matter to the exhibit rest."""
    preset = st.pills(
        "Preset",
        words.PRESETS,
        default=DEFAULTS.preset,
        required=True,
        key="aug_preset",
        bind=BIND,
        help=words.PRESET_HELP,
    )
    st.caption(words.PRESET_NOTES[preset])
    off = preset == "off"
    idle, alone = exhibit == "mixup", exhibit != "views"
    num_ops, op_prob = augmenting.preset_defaults(preset)
    n_key, p_key = _keys(preset)
    count = st.slider(
        words.KNOBS["num_ops"][0],
        0,
        8,
        num_ops,
        key=n_key,
        bind=BIND,
        help=words.KNOBS["num_ops"][1],
        disabled=off or alone,
    )
    chance = st.slider(
        words.KNOBS["op_prob"][0],
        0.0,
        1.0,
        op_prob,
        0.05,
        key=p_key,
        bind=BIND,
        help=words.KNOBS["op_prob"][1],
        disabled=off or alone,
    )
    strength = st.slider(
        words.KNOBS["strength"][0], 0.0, 2.0, DEFAULTS.strength, 0.05, key="aug_strength", bind=BIND, help=words.KNOBS["strength"][1], disabled=off or idle
    )  # fmt: skip
    cutout = st.slider(
        words.KNOBS["cutout"][0], 0.0, 1.0, DEFAULTS.cutout, 0.05, key="aug_cutout", bind=BIND, help=words.KNOBS["cutout"][1], disabled=off or idle
    )  # fmt: skip
    left, right = st.columns(2)
    fill = left.selectbox(
        words.KNOBS["fill"][0], FILLS, key="aug_fill", bind=BIND, help=words.KNOBS["fill"][1], disabled=off or idle
    )
    flip = right.selectbox(
        words.KNOBS["flip"][0], FLIPS, key="aug_flip", bind=BIND, help=words.KNOBS["flip"][1], disabled=alone
    )
    config = AugmentConfig(
        preset=preset,
        num_ops=None if count == num_ops else count,
        op_prob=None if chance == op_prob else chance,
        strength=strength,
        cutout=cutout,
        fill=None if fill == FILLS[0] else fill,
    )
    views = int(st.slider(words.COUNT[0], 2, 16, 6, key="aug_views", bind=BIND, help=words.COUNT[1], disabled=alone))
    return Knobs(config, picked.images.flip if flip == "auto" else flip == "on", views)


def _keys(preset: str) -> tuple[str, str]:
    """Keys of N and p: they carry the preset, which has its own defaults; the paper's are the plain ones."""
    after = "" if preset == DEFAULTS.preset else f"_{preset}"
    return f"aug_n{after}", f"aug_p{after}"


@dataclass(frozen=True, eq=False)
class Asked:
    """The model that is asked, or none."""

    model: Predictor | None = None
    run: Run | None = None
    checkpoint: str = ""


def ask(picked: Picked, found: Sequence[Run]) -> Asked:
    """Draw the choice of a run and its checkpoint; return its model. What stands in the way is said in one sentence."""
    root = queries.store().root
    fitting = augmenting.askable(found, root, tuple(picked.images.train_images.shape[1:]), picked.source)
    wanted = st.query_params.get("run", "")
    if any(run.id == wanted for run in found) and all(run.id != wanted for run in fitting):
        st.caption(words.OTHER_SHAPE if augmenting.checkpoints(root / wanted) else words.NO_CHECKPOINT)
    if not fitting:
        st.caption(words.NONE_FITS.format(data=text.escape(text.data_name(picked.source))))
        return Asked()
    ids = [run.id for run in fitting]
    by_id = {run.id: run for run in fitting}
    default = ids[0] if by_id[ids[0]].data == picked.source else ""
    start = "" if wanted == "none" else wanted if wanted in by_id else default
    options = ["", *ids]
    chosen = st.selectbox(
        words.MODEL[0], options, index=options.index(start), format_func=lambda run_id: _label(by_id[run_id]) if run_id else words.NO_MODEL,
        key=f"aug_model {hash(tuple(ids))}", help=words.MODEL[1], on_change=_remember, args=(f"aug_model {hash(tuple(ids))}",),
    )  # fmt: skip
    if not chosen:
        return Asked()
    names = augmenting.checkpoints(root / chosen)
    name = st.selectbox(
        words.CHECKPOINT[0], names, format_func=_checkpoint_label, key="aug_checkpoint", bind=BIND, help=words.CHECKPOINT[1]
    )  # fmt: skip
    run = by_id[chosen]
    st.button(
        words.USE_RUN,
        icon=":material/tune:",
        key="aug_use",
        help=words.USE_RUN_HELP,
        on_click=_use,
        args=(run.config.get("augment", {}),),
    )
    try:
        with st.spinner("Loading the model"):
            return Asked(augmenting.predictor(root / chosen / (name if name in names else names[0])), run, name)
    except (ValueError, OSError) as problem:  # CheckpointError, DataError and ConfigError are ValueErrors
        st.error(text.escape(str(problem)), icon=":material/error:")
        return Asked()


def _label(run: Run) -> str:
    return f"{widgets.title(run)}, seed {run.seed}, step {text.number(run.step)}, {run.state}"


def _checkpoint_label(name: str) -> str:
    if name.startswith("step-"):
        return f"step {int(name.removeprefix('step-').removesuffix('.pt'))}"
    return {"last.pt": "last", "best.pt": "best on validation"}.get(name, name)


def _remember(key: str) -> None:
    st.query_params["run"] = st.session_state[key] or "none"


def _use(settings: dict[str, Any]) -> None:
    """Set the knobs to the settings of a run."""
    preset = settings.get("preset", DEFAULTS.preset)
    num_ops, op_prob = augmenting.preset_defaults(preset)
    n_key, p_key = _keys(preset)
    given = {name: settings.get(name) for name in ("num_ops", "op_prob", "strength", "cutout", "fill")}
    st.session_state["aug_preset"] = preset
    st.session_state[n_key] = num_ops if given["num_ops"] is None else given["num_ops"]
    st.session_state[p_key] = op_prob if given["op_prob"] is None else given["op_prob"]
    st.session_state["aug_strength"] = DEFAULTS.strength if given["strength"] is None else given["strength"]
    st.session_state["aug_cutout"] = DEFAULTS.cutout if given["cutout"] is None else given["cutout"]
    st.session_state["aug_fill"] = given["fill"] or FILLS[0]
