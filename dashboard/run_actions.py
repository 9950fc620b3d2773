"""What can be done with the selected runs: the toolbar, the questions before something is lost, and what went wrong in them.

A question stays open until it is answered or closed, also when the page is drawn anew because a run has moved on.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard import queries, run_files, selection, text, widgets
from sslcore import events as ev
from sslcore.events import Run
from sslcore.naming import NAME_LENGTH, NOTE_LENGTH, describe
from sslcore.store import StoreError

TOLD = 5  # runs whose trouble is told at once


def toolbar(chosen: Sequence[Run]) -> None:
    """Buttons for the selection; the place of each is always filled, so that nothing jumps."""
    can = [queries.possible(run) for run in chosen]
    any_can = frozenset().union(*can)
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center", key="run_actions"):
        st.button(
            "Open", icon=":material/open_in_new:", key="open_selected", disabled=len(chosen) != 1, on_click=_open, args=(chosen,),
            help="Show it on the Train page",
        )  # fmt: skip
        for name in ("resume" if "resume" in any_can and "pause" not in any_can else "pause", "step", "stop"):
            label, icon, about = text.BUTTONS[name]
            fits = [run for run, actions in zip(chosen, can, strict=True) if name in actions]
            st.button(
                label, icon=icon, key=f"{name}_selected", help=about, disabled=not fits, on_click=_command, args=(name, fits)
            )  # fmt: skip
        st.button(
            "Name and note", icon=":material/edit:", key="describe_selected", disabled=len(chosen) != 1, on_click=_ask,
            args=("describe", chosen),
        )  # fmt: skip
        run_files.save_menu(chosen)
        fits = [run for run, actions in zip(chosen, can, strict=True) if "delete" in actions]
        st.button(
            "Delete", icon=":material/delete:", key="delete_selected", disabled=not fits, on_click=_ask, args=("delete", fits),
            help="Asks first. Stop a run that is training before deleting it",
        )  # fmt: skip
        if chosen:
            st.button(
                "Clear", icon=":material/deselect:", type="tertiary", key="clear", on_click=selection.select, args=([],)
            )


def _open(chosen: Sequence[Run]) -> None:
    st.session_state["open_run"] = chosen[0].id


def _command(name: str, runs: Sequence[Run]) -> None:
    """Carry out Pause, Resume, Step or Stop on each; ask first before a run is stopped that may be somebody else's."""
    if name == "stop" and any(widgets.may_be_anothers(run) for run in runs):
        _ask("stop", runs)
        return
    if name != "step" or not widgets.again(f"step {[run.id for run in runs]}"):
        _do(name, runs)


def _do(name: str, runs: Sequence[Run]) -> None:
    engine = queries.engine()
    action = {"pause": engine.pause, "resume": engine.resume, "step": engine.step, "stop": engine.stop}[name]
    for run in runs:
        widgets.attempt(lambda run=run: action(run.id))  # type: ignore[misc]


# -- questions ---------------------------------------------------------------------------------------------------------


def _ask(what: str, runs: Sequence[Run]) -> None:
    st.session_state["asked"] = (what, [run.id for run in runs])


def _answered() -> None:
    st.session_state.pop("asked", None)


def questions() -> None:
    """Draw the open question, if there is one and its runs still exist."""
    what, ids = st.session_state.get("asked", ("", []))
    runs = queries.some(ids)
    if what and not runs:
        _answered()
    elif what:
        {"stop": _ask_stop, "delete": _ask_delete, "describe": _describe}[what](runs)


def _list(runs: Sequence[Run]) -> None:
    st.markdown("\n".join(f"- {text.escape(widgets.title(run))}, seed {run.seed}, {run.state}" for run in runs[:10]))
    if len(runs) > 10:
        st.caption(f"and {len(runs) - 10} more")


@st.dialog("Stop?", on_dismiss=_answered)
def _ask_stop(runs: Sequence[Run]) -> None:
    st.markdown(text.ASK_STOP if len(runs) == 1 else text.ASK_STOP_SOME)
    _list(runs)
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Leave running"):
            _answered()
            st.rerun()
        if st.button("Stop", type="primary", icon=":material/stop:"):
            _do("stop", runs)
            _answered()
            st.rerun()


@st.dialog("Delete?", on_dismiss=_answered)
def _ask_delete(runs: Sequence[Run]) -> None:
    st.markdown(f"{text.plural(len(runs), 'run')} with curves, checkpoints and pictures will be gone for ever:")
    _list(runs)
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep"):
            _answered()
            st.rerun()
        if st.button("Delete", type="primary", icon=":material/delete:"):
            with st.spinner(f"Deleting {text.plural(len(runs), 'run')}"):
                for run in runs:
                    widgets.attempt(lambda run=run: queries.store().delete(run.id))  # type: ignore[misc]
            _answered()
            st.rerun()


@st.dialog("Name and note", on_dismiss=_answered)
def _describe(runs: Sequence[Run]) -> None:
    run = runs[0]
    named = "" if run.name == run.id else run.name
    name = st.text_input("Name", named, placeholder=run.id, max_chars=NAME_LENGTH, key=f"name {run.id}")
    note = st.text_area(
        "Note", run.note, placeholder="What it was for, what came out", max_chars=NOTE_LENGTH, key=f"note {run.id}"
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel"):
            _answered()
            st.rerun()
        if st.button("Save", type="primary", icon=":material/save:"):
            try:
                describe(queries.store(), run.id, name or "", note or "")
            except StoreError as problem:
                st.error(text.escape(str(problem)), icon=":material/error:")
            else:
                _answered()
                st.rerun()


# -- what went wrong, and how to go on ---------------------------------------------------------------------------------


def trouble(chosen: Sequence[Run]) -> None:
    """Why a selected run failed, with its traceback, and how one that was cut off goes on."""
    found = [run for run in chosen if run.state in (ev.FAILED, ev.DIVERGED, ev.INTERRUPTED) or queries.orphaned(run)]
    for run in found[:TOLD]:
        title = f"**{text.escape(widgets.title(run))}, seed {run.seed}**  \n" if len(chosen) > 1 else ""
        line = widgets.state_line(run)
        if run.state in (ev.FAILED, ev.DIVERGED):
            lines = run.error.strip().splitlines() or ["No reason was recorded."]
            st.error(title + text.escape(lines[-1]), title=line, icon=":material/error:")
            if len(lines) > 1:
                with st.expander("Traceback", icon=":material/bug_report:"):
                    st.code(run.error, language=None)
        else:
            st.info(f"{title}{line} {text.RESUME_HOW % run.id}", icon=":material/info:")
    if len(found) > TOLD:
        st.caption(f"{text.plural(len(found) - TOLD, 'more selected run')} failed or were interrupted.")
