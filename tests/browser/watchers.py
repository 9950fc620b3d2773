"""What watching costs: `python -m tests.browser.watchers refresh | slowdown | memory`. Prints tables; nothing is asserted.

Watchers are plain websocket clients that speak Streamlit's protocol as the page in a browser does: they open the page, follow
the timers of its fragments and report which messages they have kept. So the server does its whole work, and no browser
shares the cores with it. Timings mean something on an idle machine only.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

from sslcore import events as ev
from sslcore import presets
from sslcore.process import owner
from sslcore.store import Store
from tests.browser.serving import UNWATCHED, Server, serving
from tests.fill_store import fill

POINTS = 100_000
LONG = "preset=Smoke+test&device=CPU&smoke.steps=1000000"


@dataclass
class Watcher:
    """One open tab without a browser."""

    socket: websockets.ClientConnection
    query: str
    haste: float = 1.0  # how many times quicker than a browser its timers go
    kept: set[str] = field(default_factory=set)  # hashes of the messages that a browser would have kept
    timers: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    buttons: dict[str, str] = field(default_factory=dict)
    asked: float = 0.0
    refreshes: list[tuple[float, int]] = field(default_factory=list)  # seconds until the script ended, bytes received
    received: int = 0
    busy: bool = False
    whole: bool = True  # the last request was for the whole page

    async def rerun(self, fragment: str = "", press: str = "") -> None:
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.fragment_id, state.is_auto_rerun = self.query, fragment, bool(fragment)
        state.cached_message_hashes.extend(self.kept)
        if press:
            state.widget_states.widgets.append(WidgetState(id=self.buttons[press], trigger_value=True))
        self.whole = not fragment
        if not self.busy:
            self.asked, self.received, self.busy = time.perf_counter(), 0, True
        await self.socket.send(message.SerializeToString())

    async def listen(self) -> None:
        async for data in self.socket:
            assert isinstance(data, bytes)
            self.received += len(data)
            message = ForwardMsg()
            message.ParseFromString(data)
            kind = message.WhichOneof("type")
            if message.metadata.cacheable:
                self.kept.add(message.hash)
            if kind == "auto_rerun":
                self._follow(message.auto_rerun.fragment_id, message.auto_rerun.interval)
            elif kind == "new_session" and self.whole:
                self._forget()  # the page is drawn anew and says again what it wants refreshed
            elif kind == "delta" and message.delta.new_element.WhichOneof("type") == "button":
                self.buttons[message.delta.new_element.button.label] = message.delta.new_element.button.id
            elif kind == "script_finished" and self.busy:
                self.refreshes.append((time.perf_counter() - self.asked, self.received))
                self.busy = False

    def _follow(self, fragment: str, interval: float) -> None:
        async def tick() -> None:
            while True:
                await asyncio.sleep(interval / self.haste)
                await self.rerun(fragment)

        if fragment in self.timers:
            self.timers.pop(fragment).cancel()
        self.timers[fragment] = asyncio.create_task(tick())

    def _forget(self) -> None:
        for timer in self.timers.values():
            timer.cancel()
        self.timers.clear()


@contextlib.asynccontextmanager
async def watching(server: Server, count: int, query: str, haste: float = 1.0) -> AsyncIterator[list[Watcher]]:
    """Open `count` tabs and close them with the block; they have drawn the page once when it begins."""
    address = server.url.replace("http", "ws", 1) + "_stcore/stream"
    async with contextlib.AsyncExitStack() as stack:
        watchers, tasks = [], []
        for _ in range(count):
            socket = await stack.enter_async_context(
                websockets.connect(address, origin=server.url.rstrip("/"), subprotocols=["streamlit"], max_size=None)  # type: ignore[list-item,arg-type]
            )
            watcher = Watcher(socket, query, haste)
            watchers.append(watcher)
            tasks.append(asyncio.create_task(watcher.listen()))
            await watcher.rerun()
        while not all(watcher.refreshes for watcher in watchers):
            await asyncio.sleep(0.05)
            for task in tasks:
                if task.done():
                    task.result()  # raises what went wrong
        yield watchers
        for watcher in watchers:
            watcher._forget()
        for task in tasks:
            task.cancel()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Memory in MB that the process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def calm(pid: int, seconds: float = 60.0) -> None:
    """Wait until the server has imported its engine and rests: at most a twentieth of a core over a second."""
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        before = cpu_seconds(pid)
        time.sleep(1)
        if cpu_seconds(pid) - before <= 0.05:
            return
    print(f"the server was still busy after {seconds:.0f} s", flush=True)


def long_run(store: Store, points: int = POINTS) -> str:
    """A running run of this process with so many logged points, written in large transactions."""
    config = presets.build("smoke", "flexmatch", {"train.steps": 10 * points})
    run_id = fill(store, ev.RUNNING, config=config, points=0)
    store.update(run_id, **owner())
    rng = np.random.default_rng(0)
    for first in range(0, points, 5000):
        many = range(first, min(first + 5000, points))
        store.log(
            run_id,
            [_point(step, points, rng) for step in many],
            [_array(many[-1], rng)],
            step=many[-1] + 1,
            seconds=0.05 * many[-1],
        )
    return run_id


def _point(step: int, points: int, rng: np.random.Generator) -> ev.MetricPoint:
    share = step / points
    values = {
        "train/loss": 2 - share + 0.1 * rng.normal(), "train/loss_x": 1 - share + 0.1 * rng.normal(), "train/loss_u": 1 + 0.1 * rng.normal(),
        "train/mask_rate": share, "train/purity": 0.9 + 0.05 * rng.random(), "train/confidence": 0.8, "optim/lr": 0.03, "perf/images_per_s": 1e4,
    }  # fmt: skip
    return ev.MetricPoint(ev.TRAIN, step + 1, 0.05 * step, values)


def _array(step: int, rng: np.random.Generator) -> ev.ArrayPoint:
    return ev.ArrayPoint("flex/threshold", step, 0.05 * step, rng.random(10).astype(np.float32))


@contextlib.contextmanager
def growing(store: Store, run_id: str) -> Iterator[None]:
    """Log 20 points a second meanwhile, as a run at work does."""
    done, rng = threading.Event(), np.random.default_rng(1)

    def grow() -> None:
        step = store.run(run_id).step
        while not done.wait(0.05):
            step += 1
            store.log(
                run_id, [_point(step, 10 * POINTS, rng)], [_array(step, rng)] if step % 20 == 0 else [], step=step
            )

    thread = threading.Thread(target=grow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


async def refresh(seconds: float, counts: tuple[int, ...]) -> None:
    """Server milliseconds and bytes of one refresh with 1, 5, 20 watchers on a run of 100,000 logged points."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "runs")
        run_id = long_run(store)
        with serving(store.root, Path(folder) / "log", options=UNWATCHED) as server, growing(store, run_id):
            async with watching(server, 1, f"run={run_id}"):
                pass  # the first page imports the engine
            calm(server.process.pid)
            print("watchers  refreshes  CPU ms each  answer ms (median, 95 %)  bytes each (median)  resident MB")
            for count in counts:
                async with watching(server, count, f"run={run_id}") as watchers:
                    await asyncio.sleep(5)
                    for watcher in watchers:
                        watcher.refreshes.clear()
                    before = cpu_seconds(server.process.pid)
                    await asyncio.sleep(seconds)
                    spent = cpu_seconds(server.process.pid) - before
                    found = [each for watcher in watchers for each in watcher.refreshes]
                took = np.array([each[0] for each in found]) * 1000
                sizes = np.array([each[1] for each in found])
                print(
                    f"{count:8}  {len(found):9}  {1000 * spent / max(len(found), 1):11.1f}  {np.median(took):10.1f} {np.percentile(took, 95):10.1f}"
                    f"  {np.median(sizes):18,.0f}  {resident(server.process.pid):11.0f}", flush=True,
                )  # fmt: skip


async def slowdown(seconds: float, pairs: int, counts: tuple[int, ...]) -> None:
    """How much slower a training in the server gets with watchers: each round with n stands between two without."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "runs")
        with serving(store.root, Path(folder) / "log", options=UNWATCHED) as server:
            async with watching(server, 1, LONG) as watchers:
                await watchers[0].rerun(press="Start")
                while not (store.runs() and store.runs()[0].step > 50):
                    await asyncio.sleep(0.1)
            run_id = store.runs()[0].id

            async def speed() -> float:
                await asyncio.sleep(1)
                first, began = store.run(run_id).step, time.perf_counter()
                await asyncio.sleep(seconds)
                return (store.run(run_id).step - first) / (time.perf_counter() - began)

            losses: dict[int, list[float]] = {count: [] for count in counts}
            alone: list[float] = []
            alone.append(await speed())
            for _ in range(pairs):
                for count in counts:
                    async with watching(server, count, f"run={run_id}"):
                        watched = await speed()
                    alone.append(await speed())
                    losses[count].append(1 - watched / statistics.mean(alone[-2:]))
            print(f"steps a second alone: median {statistics.median(alone):.1f}, {min(alone):.1f} to {max(alone):.1f}")
            for count, found in losses.items():
                print(
                    f"{count} watchers: slower by {100 * statistics.median(found):.1f} % (median of {pairs} pairs, "
                    f"spread {100 * (statistics.stdev(found) if pairs > 1 else 0):.1f}; {100 * min(found):.1f} to {100 * max(found):.1f} %)"
                )


async def memory(hours: float) -> None:
    """Memory of the server while five tabs tick as often as one does in `hours`, as fast as it can; every 20 s they are opened anew."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "runs")
        run_id = long_run(store, 20_000)
        with serving(store.root, Path(folder) / "log", options=UNWATCHED) as server, growing(store, run_id):
            began, ticks, course = time.perf_counter(), 0, []
            while ticks < 3600 * hours:
                async with watching(server, 5, f"run={run_id}", haste=12.0) as watchers:
                    await asyncio.sleep(20)
                ticks += sum(len(watcher.refreshes) for watcher in watchers)
                course.append(resident(server.process.pid))
                print(f"{time.perf_counter() - began:5.0f} s  {ticks:6} refreshes  {course[-1]:5.0f} MB", flush=True)
    third = max(1, len(course) // 3)
    parts = [statistics.mean(course[first : first + third]) for first in (0, third, 2 * third) if course[first:]]
    print("mean of each third: " + ", ".join(f"{part:.0f} MB" for part in parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("refresh", "slowdown", "memory"))
    parser.add_argument("--seconds", type=float, default=20.0, help="of each round")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--hours", type=float, default=1.0, help="of one tab's ticks, for `memory`")
    parser.add_argument("--watchers", type=int, nargs="*", help="how many, one number a round")
    args = parser.parse_args()
    if args.what == "refresh":
        asyncio.run(refresh(args.seconds, tuple(args.watchers or (1, 5, 20))))
    elif args.what == "slowdown":
        asyncio.run(slowdown(args.seconds, args.pairs, tuple(args.watchers or (1, 5))))
    else:
        asyncio.run(memory(args.hours))


if __name__ == "__main__":
    main()
