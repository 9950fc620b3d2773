"""What a person asks of a run while it trains, carried out between two steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sslcore import config as cfg
from sslcore import events as ev
from sslcore.store import Store
from sslcore.trainer import Trainer


class Commands:
    """The commands to one run: those that wait in the store, and those that a killed process had carried out in vain."""

    def __init__(self, store: Store, run_id: str, trainer: Trainer) -> None:
        self.store, self.run_id, self.trainer = store, run_id, trainer
        self.again = _set_since(store.events(run_id), trainer.step)

    def obey(self) -> str | None:
        """Carry out what is due; return the state in which the run is to be left, if any."""
        leave, step = None, self.trainer.step
        for event in [event for event in self.again if event.step == step]:
            self._set(event.data)
        for command in self.store.take(self.run_id, step):
            if command.name == "set":
                self._set(command.value)
                self.again = [event for event in self.again if not event.data.keys() & command.value.keys()]
            else:
                leave = {"pause": ev.PAUSED, "stop": ev.STOPPED}[command.name]
        return leave

    def _set(self, changes: dict[str, Any]) -> None:
        self.trainer.change(changes)
        self.store.update(self.run_id, config=cfg.to_dict(self.trainer.config), changed=True)


def _set_since(events: Sequence[ev.Event], step: int) -> list[ev.Event]:
    """Return what was set after the checkpoint of `step` was written and before the process died: it must act again, at its steps.

    What a fork took over from its parent lies before the fork and in its checkpoint. A process that died twice leaves
    two pasts: what was set later in time at no later step has replaced the earlier one.
    """
    own = max((number for number, event in enumerate(events) if event.kind == "fork"), default=-1)
    sets = [event for event in events[own + 1 :] if event.kind == "set"]
    return [
        event
        for number, event in enumerate(sets)
        if event.step >= step and not any(_replaces(later, event) for later in sets[number + 1 :])
    ]


def _replaces(later: ev.Event, event: ev.Event) -> bool:
    return later.step <= event.step and bool(later.data.keys() & event.data.keys())
