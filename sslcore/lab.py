"""The Lab: a queue of runs, the background thread that trains them, and the commands that anybody may give.

One Lab a process and folder, kept here, not by a page: a page that is edited or a cache that is cleared must never
start a second one. Importing this is cheap; the engine (torch) is imported in the background thread.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sslcore import config as cfg
from sslcore import events as ev
from sslcore import fork
from sslcore.config import ConfigError, RunConfig
from sslcore.naming import checked_name
from sslcore.process import HOST, alive, owner
from sslcore.store import Store, StoreError, default_root

if TYPE_CHECKING:
    from sslcore.session import Stay

EXIT_WAIT = 3.0  # seconds for the step in hand when the process ends
TURN = 4  # steps that a run of a race takes before the next one has its turn
IDLE = 0.0005  # seconds between two looks whether the GPU has room for a step of any run
NICENESS = 5  # of the trainer's threads under a page: the server must answer while they use every core


class Lab:
    """Runs of one folder, trained in a daemon thread of this process: one after the other, or `at_once` that share a GPU."""

    def __init__(self, store: Store, polite: bool = False, at_once: int = 1) -> None:
        self.store, self.polite, self.at_once = store, polite, at_once
        self._wake, self._leave_now = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self.trouble = ""  # one sentence while the store can't be written and so can't tell it itself
        self._lock, self._warm = threading.Lock(), False
        store.reconcile()
        atexit.register(self.close)

    # -- what a person asks; each is idempotent ------------------------------------------------------------------------

    def start(self, config: RunConfig, preset: str = "", name: str = "") -> str:
        """Queue a new run and return its id at once; StoreError if the name is too long."""
        run_id = self.store.create(config, preset=preset, name=checked_name(name))
        self._work()
        return run_id

    def race(self, configs: Sequence[RunConfig], preset: str = "") -> list[str]:
        """Queue new runs that are trained side by side, a few steps of each in turn; return their ids.

        Each one's numbers are those that it would have alone. Any of them can be paused, stopped or resumed by itself.
        """
        race = secrets.token_hex(6)
        made = [self.store.create(config, preset=preset, race=race) for config in configs]
        self._work()
        return made

    def resume(self, run_id: str) -> None:
        """Queue a run that rests, or that a dead process left queued, in this process; running and finished ones are left alone.

        ConfigError for one that was imported without its weights.
        """
        self._queue(run_id)

    def _queue(self, run_id: str, until: int | None = None) -> bool:
        """Resume a run, to pause at the step `until`; return whether it was this call that queued it."""
        run = self.store.run(run_id)
        if run.weightless:
            raise ConfigError(
                f"run {run.id} was imported without its weights, so it can't go on; start a new run with its settings"
            )
        orphan = run.state == ev.QUEUED and not (run.host == HOST and alive(run.pid, run.process))
        if run.state in ev.RESUMABLE or orphan:
            values = {"until": until, "queued": time.time(), "error": "", "ended": None, **owner()}
            # Of two who ask at once, the second is told no.
            of = {"host": run.host, "pid": run.pid, "process": run.process}
            done = self.store.move(run.id, ev.QUEUED, only_from=[run.state], only_of=of, **values)
            self._work()
            return done
        return False

    def step(self, run_id: str, steps: int = 1) -> None:
        """Run a resting run for a few steps and pause again; a running one is paused. Steps that two people ask for add up."""
        run, going = self.store.run(run_id), (ev.RUNNING, ev.QUEUED)
        if run.state not in going:
            done = self._queue(run.id, until=run.step + steps)
        elif run.until is None:
            return self.pause(run.id)
        else:  # it is being stepped, or about to be
            done = self.store.move(run.id, run.state, only_from=[run.state], until=run.until + steps)
        if not done and self.store.run(run.id).state in going:  # another was quicker
            self.step(run.id, steps)

    def pause(self, run_id: str) -> None:
        """Ask a run to save a checkpoint and free its thread."""
        run = self.store.run(run_id)
        if not self.store.move(run.id, ev.PAUSED, only_from=[ev.QUEUED]):
            self.store.move(run.id, ev.PAUSING, only_from=[ev.RUNNING], command="pause")

    def stop(self, run_id: str) -> None:
        """Ask a run to save a checkpoint and end; it can be resumed later all the same."""
        run = self.store.run(run_id)
        resting = [ev.QUEUED, ev.PAUSED, ev.INTERRUPTED]
        if not self.store.move(run.id, ev.STOPPED, only_from=resting, ended=time.time()):
            self.store.move(run.id, ev.STOPPING, only_from=[ev.RUNNING, ev.PAUSING], command="stop")

    def settings(self, run_id: str) -> RunConfig:
        """Return a run's settings with the changes that wait to be carried out; ConfigError for a run of another version."""
        waiting = self.store.waiting_commands(run_id)  # first: what is taken before the run is read stands in both
        config = cfg.from_dict(self.store.run(run_id).config)
        for command in waiting:
            config = cfg.replace(config, command.value)
        return config

    def set(self, run_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change live settings from the next step on, or from the resume on; ConfigError names what is wrong.

        Return what changes. A value that the run has already changes nothing, and does not mark the run as changed.
        """
        run = self.store.run(run_id)
        if run.state == ev.FINISHED:
            raise ConfigError(f"run {run.id} is finished; its settings can't change any more")
        config = self.settings(run.id)
        for path in changes:
            if not cfg.find(config, path).metadata["live"]:
                live = ", ".join(name for name, spec, _ in cfg.walk(config) if spec.metadata["live"])
                raise ConfigError(f"{path} can't change during a run; these can: {live}")
        changed = cfg.replace(config, changes)
        before = {name: value for name, _, value in cfg.walk(config)}
        values = {name: value for name, _, value in cfg.walk(changed) if value != before[name]}
        if values:
            self.store.post(run.id, "set", values)
        return values

    def fork(self, run_id: str, step: int | None = None, changes: Mapping[str, Any] | None = None) -> str:
        """Queue a new run that goes on from a checkpoint of another one with changed settings; return its id.

        `step`: one that has a checkpoint; None: the last that leaves steps to go, of which `train.steps` may give more.
        ConfigError names what can't change and which checkpoints there are.
        """
        made = fork.create(self.store, run_id, step, changes or {})
        self._work()
        return made

    # -- the thread ----------------------------------------------------------------------------------------------------

    def warm_up(self, then: Callable[[], object]) -> None:
        """Import the engine in a background thread, so that the first start is quick, and then do what else is slow at first.

        Once a process, however often it is asked for: on a CPU each time would be taken from the run that trains.
        """

        def work() -> None:
            _import_engine()
            then()

        with self._lock:
            if self._warm:
                return
            self._warm = True
        threading.Thread(target=work, daemon=True, name="ssl-warm-up").start()

    def _work(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._loop, daemon=True, name="ssl-lab")
                self._thread.start()
        self._wake.set()

    def _loop(self) -> None:
        if self.polite:
            with contextlib.suppress(OSError, AttributeError):  # lower priority where the system allows it
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while not self._leave_now.is_set():
            try:
                waiting = self.store.waiting()
                if waiting:
                    self._train(waiting[0])
                    continue
                self.trouble = ""
            except StoreError as problem:  # a full disk, a damaged file: the thread must outlive it
                self.trouble = str(problem)
            self._wake.wait(1.0)
            self._wake.clear()

    def _train(self, run_id: str) -> None:
        """Train a run until it rests; in turn with the others of its race, or with as many as share the GPU, whenever those are queued."""
        if not self._take(run_id):
            return
        race = ""
        with contextlib.suppress(StoreError):  # if it is there to stay, the run itself meets it, and says so
            race = self.store.run(run_id).summary.get("race", "")
        going: dict[str, Stay | None] = {run_id: None}  # None: has yet to be loaded
        idle = False
        while going:
            free = 0 if idle else self.at_once - len(going)  # nobody is asked for while the GPU has no room
            with contextlib.suppress(StoreError):  # a full disk: those that are going must not be lost for it
                for each in self.store.waiting(race) if race else self.store.waiting()[:free] if free > 0 else []:
                    if self._take(each):
                        going[each] = None
            idle = True
            for each in list(going):
                stay = going[each]
                # In a race all take as many steps; else each as many as the GPU has room for, so that short ones end soon.
                room = stay.room() if stay and not race and len(going) > 1 else None
                if room == 0:
                    continue
                idle = False
                turn = (room or TURN) if race or self.at_once > 1 else None
                going[each], state, error = self._turn(each, stay, turn)
                del stay  # or the memory of a run that has left would stay
                if state is not None:
                    del going[each]
                    self._rest(each, state, error)
            if idle:
                time.sleep(IDLE)
        _free_memory()

    def _take(self, run_id: str) -> bool:
        now = time.time()
        return self.store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED], only_of=owner(), started=now, heartbeat=now)

    def _rest(self, run_id: str, state: str, error: str) -> None:
        """Write down how a run ended, unless it was deleted or taken over; where the disk is full, as soon as it no longer is."""
        while True:
            try:
                # One that was taken for dead from elsewhere, and that nobody has resumed, is still ours.
                ours = (*ev.ACTIVE, ev.INTERRUPTED)
                ended: dict[str, Any] = {"ended": time.time(), "error": error, "until": None}
                self.store.move(run_id, state, only_from=ours, only_of=owner(), **ended)
                self.trouble = ""
                return
            except StoreError as problem:
                self.trouble = f"run {run_id} is {state}, but that can't be written down: {problem}"
                if self._leave_now.wait(1.0):
                    return  # it will be found interrupted

    def _turn(self, run_id: str, stay: Stay | None, steps: int | None) -> tuple[Stay | None, str | None, str]:
        """Give a run its steps; return it with the state in which it is left, None to go on, and why if it is a bad one."""
        try:
            from sslcore.session import Stay

            stay = stay or Stay(self.store, run_id)
            return stay, stay.advance(self._leave_now, steps), ""
        except ev.Diverged as problem:
            return None, ev.DIVERGED, str(problem)
        except Exception as problem:  # whatever it is, the run must say so and the next one must start
            told = isinstance(problem, ValueError) and type(problem).__module__.startswith("sslcore.")
            return None, ev.FAILED, str(problem) if told else traceback.format_exc()

    def close(self) -> None:
        """End the thread: the step in hand is given a moment to end with a checkpoint."""
        self._leave_now.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(EXIT_WAIT)
        atexit.unregister(self.close)


def _import_engine() -> None:
    """Import the engine and take one small step: torch loads a third of itself at the first optimizer and backward."""
    import torch

    from sslcore import data, presets, session  # noqa: F401
    from sslcore.trainer import Trainer

    config = presets.build()
    Trainer(config, data.load(config.data, None), torch.device("cpu")).train_step()


def _free_memory() -> None:
    """Give a GPU's memory back once a run has left."""
    import gc

    import torch

    from sslcore.graph import capturing

    gc.collect()
    if torch.cuda.is_available():
        with capturing:  # a page times a sweep's steps in a thread of its own
            torch.cuda.empty_cache()


_labs: dict[Path, Lab] = {}
_labs_lock = threading.Lock()


def lab(root: Path | str | None = None) -> Lab:
    """Return this process's Lab of a folder (default: `default_root()`), made at the first call; for pages, so polite."""
    path = _resolved(Path(root or default_root()).expanduser().absolute())
    with _labs_lock:
        if path not in _labs:
            _labs[path] = Lab(Store(path), polite=True)
        return _labs[path]


@cache
def _resolved(path: Path) -> Path:
    """A page asks a dozen times a second, and the disk each time."""
    return path.resolve()
