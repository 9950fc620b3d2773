"""A run's slow writing in a thread of its own: training goes on while a checkpoint is on its way to the disk."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable

Work = Callable[[], None]
MOST = 4  # works that wait; whoever asks for more waits: a slow disk must not fill the memory with states


class Writer:
    """Does works one after the other, in the order in which they were put. After one that raises the others are left out."""

    def __init__(self) -> None:
        self._works: queue.Queue[Work | None] = queue.Queue(MOST)
        self._problem: BaseException | None = None
        # What a work holds is freed by the thread that put it: pinned memory must not be by another while a step is captured.
        self._held: deque[Work] = deque()
        # A thread of its own, not a pool's: those take no work any more once the process is ending, when a run saves itself.
        self._thread = threading.Thread(target=self._loop, daemon=True, name="ssl-writer")

    def start(self) -> None:
        """Begin. Where no thread can be started, as while the process is ending, works are done by whoever asks for them."""
        with contextlib.suppress(RuntimeError):
            self._thread.start()

    @property
    def busy(self) -> bool:
        return self._works.unfinished_tasks > 0

    def put(self, work: Work) -> None:
        """Have `work` done, here and now if there is no thread. Raises what an earlier one raised."""
        self.check()
        if self._thread.is_alive():
            self._works.put(work)
            self._held.append(work)
        else:
            self._do(work)
            self.check()

    def check(self) -> None:
        """Raise what a work raised, if one did; let go of those that are done."""
        while len(self._held) > self._works.unfinished_tasks:
            self._held.popleft()
        if self._problem is not None:
            raise self._problem

    def wait(self) -> None:
        """Return when all is done; raise what a work raised."""
        self._works.join()
        self.check()

    def close(self) -> None:
        """End the thread once all is done; raises nothing."""
        if self._thread.is_alive():
            self._works.put(None)
            self._thread.join()

    def _loop(self) -> None:
        while (work := self._works.get()) is not None:
            self._do(work)
            del work
            self._works.task_done()
        self._works.task_done()

    def _do(self, work: Work) -> None:
        if self._problem is not None:
            return
        try:
            work()
        except BaseException as problem:  # whatever it is, the run must say so
            self._problem = problem
