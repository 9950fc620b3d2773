"""Runs as files: what can be saved of the selection, made only when it is asked for; taking in a run from elsewhere; the command."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from dashboard import compare, queries, selection, text
from sslcore import presets, report, tables, transfer
from sslcore.config import ConfigError
from sslcore.events import Run

IMPORT_MB = 200  # of an uploaded zip; the command line takes larger ones


def save_menu(chosen: Sequence[Run]) -> None:
    """A report of the selection as HTML; of one run also everything as a zip, and its metrics as CSV.

    A file is made when its button is pressed, not while the page is drawn.
    """
    ids = tuple(run.id for run in chosen)
    one = ids[0] if len(ids) == 1 else ""
    with st.popover("Save", icon=":material/download:", disabled=not ids, key="save_menu"):
        if not ids:
            return
        st.download_button(
            "Report (HTML)", functools.partial(_report, ids[: compare.MOST]), f"{one or f'{len(ids)}-runs'}.html", "text/html", key="save_report",
            on_click="ignore", icon=":material/description:", help=text.SAVE_REPORT_HELP % compare.MOST, width="stretch",
        )  # fmt: skip
        st.download_button(
            "Everything (zip)", functools.partial(_zip, one), f"{one}.zip", "application/zip", key="save_zip", on_click="ignore",
            icon=":material/folder_zip:", help=text.SAVE_ZIP_HELP, width="stretch", disabled=not one,
        )  # fmt: skip
        st.download_button(
            "Metrics (CSV)", functools.partial(_csv, one), f"{one}.csv", "text/csv", key="save_csv", on_click="ignore",
            icon=":material/csv:", help=text.SAVE_CSV_HELP, width="stretch", disabled=not one,
        )  # fmt: skip


def _report(run_ids: Sequence[str]) -> bytes:
    return report.html_report(queries.store(), run_ids).encode()


def _zip(run_id: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "run.zip"
        transfer.export_run(queries.store(), run_id, target)
        return target.read_bytes()


def _csv(run_id: str) -> bytes:
    return tables.metrics_csv(queries.store(), run_id).encode()


def import_menu() -> None:
    """Take in a zip that was saved here or on another machine; a bad one is one sentence and changes nothing."""
    with st.popover("Import", icon=":material/upload_file:", key="import_menu"):
        st.caption(text.IMPORT_TEXT % IMPORT_MB)
        count = st.session_state.get("imported", 0)  # a new key empties the field after each import
        file = st.file_uploader(
            "A run as a zip file", type="zip", max_upload_size=IMPORT_MB, key=f"import_file_{count}", label_visibility="collapsed"
        )  # fmt: skip
        if file is None:
            return
        refused, why = st.session_state.get("import_refused", ("", ""))
        if file.file_id != refused:
            try:
                with st.spinner("Checking the file"):
                    run_id = transfer.import_run(queries.store(), file)
                why = ""
            except ValueError as problem:  # TransferError, or a store that can't be used
                why = str(problem)
                st.session_state["import_refused"] = (file.file_id, why)  # not tried again whenever the page is drawn
        if why:
            st.error(text.escape(why), icon=":material/error:")
            return
    st.session_state["imported"] = count + 1
    selection.find(run_id)
    st.toast(f"Imported: {text.escape(run_id)}", icon=":material/check_circle:")
    st.rerun()


def command(run: Run) -> None:
    """The command that trains with a run's settings, and how far its numbers are the same."""
    st.markdown("**The command that reproduces this run**")
    try:
        st.code(presets.reproduce(run), language="bash", wrap_lines=True)
    except ConfigError as problem:
        st.caption(text.escape(str(problem)))
    else:
        st.caption(text.escape(presets.caveat(run)))
