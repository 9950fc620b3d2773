"""The name and the note that a person gives a run: cleaned, and not longer than a page can show. No torch here."""

from __future__ import annotations

from sslcore.store import Store, StoreError

NAME_LENGTH, NOTE_LENGTH = 80, 2000  # characters


def describe(store: Store, run_id: str, name: str, note: str) -> None:
    """Give a run a name (empty: its id) and a note; StoreError with one sentence where one is too long.

    Signs that can't be seen, such as those that turn the writing direction, are left out.
    """
    note = _fitting("note", clean_note(note), NOTE_LENGTH)
    store.update(run_id, name=checked_name(name) or run_id, note=note)


def checked_name(name: str) -> str:
    """Return a name as it is kept; StoreError if it is too long."""
    return _fitting("name", clean_name(name), NAME_LENGTH)


def _fitting(what: str, typed: str, most: int) -> str:
    if len(typed) > most:
        raise StoreError(f"the {what} of a run may have up to {most:,} characters, got {len(typed):,}")
    return typed


def clean_name(name: str) -> str:
    """Return a name on one line, without invisible characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())


def clean_note(note: str) -> str:
    """Return a note without invisible characters, its lines kept."""
    return "".join(c for c in note if c.isprintable() or c == "\n").strip()
