"""What the exhibits cost: `python -m tests.browser.exhibits [knobs | keyframes]`; both without a word. Prints tables; nothing is asserted.

Two real runs are trained first, the digits lesson and the shapes lesson (32 x 32, colour), about a minute and a half.
`knobs`: server milliseconds from a knob to the last byte of the answer, training idle. A plain websocket client speaks
Streamlit's protocol as a tab does, and every value is a new one, so that no answer is a kept one. `keyframes`: bytes on
the disk, and the share of a run's time that goes into making and writing keyframes. Timings mean something on an idle
machine only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect

from sslcore import events as ev
from sslcore import keyframes, presets
from sslcore.probe import Probe
from sslcore.session import Stay
from sslcore.store import Store
from tests.browser.serving import UNWATCHED, Server, serving
from tests.browser.watchers import resident

SLIDER, NUMBER, CHOICE = "double_array_value", "double_value", "string_array_value"


class Tab:
    """A tab without a browser: it remembers the widgets that it was sent and asks for one page run at a time."""

    def __init__(self, server: Server, page: str, query: str) -> None:
        address = server.url.replace("http", "ws", 1) + "_stcore/stream"
        self.socket = connect(address, origin=server.url.rstrip("/"), subprotocols=["streamlit"], max_size=None)  # type: ignore[list-item,arg-type]
        self.page, self.query = page, query
        self.widgets: dict[str, tuple[str, str]] = {}  # key -> (id, fragment)
        self.kept: set[str] = set()  # hashes of the messages that a browser would have kept
        self.ask()

    def ask(self, fragment: str = "", widgets: Sequence[WidgetState] = ()) -> tuple[float, int]:
        """Run the page, or one fragment of it; return (seconds until it ended, bytes received)."""
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_name, state.fragment_id = self.query, self.page, fragment
        state.cached_message_hashes.extend(self.kept)
        state.widget_states.widgets.extend(widgets)
        began, received = time.perf_counter(), 0
        self.socket.send(message.SerializeToString())
        while True:
            data = self.socket.recv(timeout=120)
            assert isinstance(data, bytes)
            received += len(data)
            found = ForwardMsg()
            found.ParseFromString(data)
            if found.metadata.cacheable:
                self.kept.add(found.hash)
            if found.WhichOneof("type") == "script_finished":
                return time.perf_counter() - began, received
            if found.WhichOneof("type") == "delta" and found.delta.WhichOneof("type") == "new_element":
                self._remember(found.delta)

    def _remember(self, delta: Any) -> None:
        kind = delta.new_element.WhichOneof("type")
        assert kind != "exception", delta.new_element.exception.message
        name = str(getattr(getattr(delta.new_element, kind), "id", ""))
        if name.startswith("$$ID-"):
            self.widgets[name.split("-", 2)[2]] = (name, delta.fragment_id)

    def turn(self, key: str, kind: str, value: Any) -> tuple[float, int]:
        """Give the widget a value, as a hand would; return as `ask`. A key that ends with a point is the beginning of one."""
        name, fragment = next(
            found for full, found in self.widgets.items() if full == key or (key[-1] == "." and full.startswith(key))
        )
        if kind == "event":  # of a component: (name of the event, value)
            event, moved = value
            told = WidgetState(
                id=f"$$STREAMLIT_INTERNAL_KEY_{name}__events",
                json_trigger_value=json.dumps([{"event": event, "value": moved}]),
            )
            return self.ask(fragment, [WidgetState(id=name, json_value="{}"), told])
        widget = WidgetState(id=name)
        if kind == NUMBER:
            widget.double_value = value
        else:
            getattr(widget, kind).data.append(value)
        return self.ask(fragment, [widget])


def train(store: Store, preset: str, steps: int | None) -> tuple[str, float, int]:
    """Train a FlexMatch run; return (run, seconds spent on keyframes, keyframes written)."""
    run_id = store.create(presets.build(preset, "flexmatch", {"train.steps": steps} if steps else {}), preset=preset)
    store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED])
    spent: list[float] = []
    frame, write = Probe.frame, keyframes.write
    Probe.frame = _clocked(frame, spent)  # type: ignore[method-assign]
    keyframes.write = _clocked(write, spent)
    try:
        state = Stay(store, run_id).advance(threading.Event())
    finally:
        Probe.frame, keyframes.write = frame, write  # type: ignore[method-assign]
    store.move(run_id, state, only_from=ev.ACTIVE)
    return run_id, sum(spent), len(keyframes.steps(store.folder(run_id)))


def _clocked(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    def clocked(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent.append(time.perf_counter() - began)

    return clocked


def knobs(server: Server, store: Store, run_id: str, rounds: int) -> None:
    """Turn every exhibit's dearest knobs `rounds` times and print a line for each."""
    steps = keyframes.steps(store.folder(run_id))
    run = store.run(run_id)
    pool = run.summary["num_unlabeled"]
    shares = [0.31 + 0.04 * k for k in range(rounds)]
    numbers = [3 + 5 * k for k in range(rounds)]
    op, hand = "One+operation", "exhibit=Threshold+sandbox&gate.flexmatch=By+hand"
    exhibits: list[tuple[str, str, str, str, str, Sequence[Any]]] = [  # exhibit, page, query, key, kind, values
        ("augmentations, 6 + 6 views: range", "augment", "", "aug_strength", SLIDER, shares),
        ("augmentations, 16 + 16 views: draw", "augment", "aug_views=16", "aug_draw", NUMBER, numbers),
        ("augmentations, another picture", "augment", "", "aug_image", NUMBER, numbers),
        ("one operation: magnitude", "augment", f"aug_exhibit={op}", "aug_Rotate", SLIDER, numbers),
        ("MixUp: lambda", "augment", "aug_exhibit=MixUp", "aug_lam", SLIDER, shares),
        ("MixUp: alpha", "augment", "aug_exhibit=MixUp", "aug_alpha", SLIDER, [share + 0.5 for share in shares]),
        ("X-ray: tau", "pseudo", "", "tau.", SLIDER, shares),
        ("X-ray: temperature", "pseudo", "box.flexmatch=MixMatch", "temperature.", SLIDER, [0.05 * k for k in range(12, 12 + rounds)]),
        ("X-ray: another probe image", "pseudo", "", "image", NUMBER, numbers),
        ("X-ray: another keyframe", "pseudo", "", "step.", SLIDER, steps[1:]),
        ("X-ray: any image of the pool", "pseudo", "source=Whole+pool", f"pool.{pool}", NUMBER, [7 * k for k in numbers]),
        ("sandbox: tau", "pseudo", "exhibit=Threshold+sandbox", "tau.", SLIDER, shares),
        ("sandbox, test images: tau", "pseudo", "exhibit=Threshold+sandbox&of=" + _test_images(run), "tau.", SLIDER, shares),
        ("sandbox: one class", "pseudo", hand, "hand.3.", SLIDER, shares),
        ("time machine: slider", "time", "", "time_slider", "event", [("moved", step) for step in steps[1:]]),
    ]  # fmt: skip
    for name, page, query, key, kind, values in exhibits:
        tab = Tab(server, page, f"run={run_id}" + ("&" + query if query else ""))
        tab.turn(key, kind, values[-1])  # what a session needs only once is there now
        found = [tab.turn(key, kind, value) for value in values[: min(rounds, len(values) - 1)]]
        took, sizes = [1000 * each[0] for each in found], [each[1] / 1000 for each in found]
        print(
            f"{run.data:7} {name:38} {statistics.median(took):7.0f} {max(took):7.0f} {statistics.median(sizes):8.0f}",
            flush=True,
        )
        tab.socket.close()


def _test_images(run: ev.Run) -> str:
    return f"Test+images+%28{run.summary['num_test']:,}%29"


def sizes(store: Store, run_id: str, spent: float) -> None:
    """Print what the keyframes of a run cost on the disk and in time."""
    run, folder = store.run(run_id), store.folder(run_id) / keyframes.FOLDER
    frames = [(folder / f"{step:09d}.npz").stat().st_size for step in keyframes.steps(store.folder(run_id))]
    probe = (folder / keyframes.PROBE).stat().st_size
    print(
        f"{run.data:7} {len(frames):9} {statistics.median(frames):12,.0f} {probe:12,} {sum(frames) + probe:12,} {run.seconds:9.1f} "
        f"{1000 * spent / len(frames):12.1f} {100 * spent / run.seconds:7.2f} %"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("knobs", "keyframes", "both"), default="both")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each knob")
    parser.add_argument("--steps", type=int, help="of the two runs (default: the lessons' own)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "runs")
        trained = [train(store, preset, args.steps) for preset in ("digits-lesson", "shapes-lesson")]
        if args.what != "knobs":
            print("data    keyframes  bytes each  probe once   together  run in s  ms a keyframe  of the run")
            for run_id, spent, _ in trained:
                sizes(store, run_id, spent)
        if args.what != "keyframes":
            with serving(store.root, Path(folder) / "log", options=UNWATCHED) as server:
                print("data    exhibit and knob                        median     max  kB sent   (server ms)")
                for run_id, _, _ in trained:
                    knobs(server, store, run_id, args.rounds)
                print(f"resident: {resident(server.process.pid):.0f} MB")


if __name__ == "__main__":
    main()
