"""The name and the note that a person gives a run: cleaned, and not longer than a page can show. No torch here."""

from __future__ import annotations

from sslcore.store import Store, StoreError

NAME_LENGTH, NOTE_LENGTH = 80, 2000  # characters


def describe(store: Store, run_id: str, name: str, note: str) -> None:
    """Give a run a name (empty: its id) and a note; StoreError with one sentence where one is too long.

    Signs that can't be seen, such as those that turn the writing direction, are left out.
    """
    name, note = clean_name(name), clean_note(note)
    for what, typed, most in (("name", name, NAME_LENGTH), ("note", note, NOTE_LENGTH)):
        if len(typed) > most:
            raise StoreError(f"the {what} of a run may have up to {most:,} characters, got {len(typed):,}")
    store.update(run_id, name=name or run_id, note=note)


def clean_name(name: str) -> str:
    """Return a name on one line, without signs that can't be seen."""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())


def clean_note(note: str) -> str:
    """Return a note without signs that can't be seen, its lines kept."""
    return "".join(c for c in note if c.isprintable() or c == "\n").strip()
