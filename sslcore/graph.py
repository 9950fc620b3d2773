"""A step of training as one CUDA graph: captured once, then replayed with a single call, with nothing in Python between.

The step stands in `trainer.py` and nowhere else. The first ones of a stay are taken as they stand there, which is all
the preparation that a capture needs: they choose kernels, make the optimizer's state and the augmentation's constants.
Every later one replays what the capture saw. Between two steps anything may be read or written: pause, live settings,
evaluation, checkpoints.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from sslcore.config import ConfigError
from sslcore.methods.base import StepOutput
from sslcore.rng import Generators

EAGER = 4  # steps before the capture
LEAD = 16  # steps that the host may be ahead of the device: enough to never let it wait, few enough to obey soon
DRAWN = ("augment", "mixup")  # the generators that a step draws from
Taken = tuple[StepOutput, torch.Tensor]
Result = TypeVar("Result")

# No one may wait for the whole device, as compiling does, or give memory back, while another thread captures a step.
capturing = threading.Lock()


class GpuSteps:
    """Takes the steps of one run on a GPU, on a stream of its own, so that several runs share the GPU.

    It doesn't hold the run, which holds it: a cycle would keep the memory of one that has left.
    """

    def __init__(self, generators: Generators, graph: str, device: torch.device, compiles: bool = False) -> None:
        self.generators, self.wanted = generators, graph
        self.compiles = compiles  # in the first step
        self.stream = torch.cuda.Stream(device)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.taken: Taken | None = None  # where the graph leaves its results
        self.told = "" if graph != "off" else "train.graph is off"  # why there is no graph
        self.places = [torch.cuda.Event(blocking=True) for _ in range(LEAD)]
        self.count = 0
        self.forget()

    def forget(self) -> None:
        """Capture the step anew: something changed that a captured step can't see."""
        self.graph, self.taken, self.eager = None, None, EAGER

    @contextlib.contextmanager
    def at_work(self, join: bool) -> Iterator[None]:
        """Put the block's work on the run's stream; see `Trainer.at_work`."""
        caller = torch.cuda.current_stream()
        if caller == self.stream:
            yield
            return
        if join or not self.count:  # the first time: after all that made the run ready
            self.stream.wait_stream(caller)
        with torch.cuda.stream(self.stream):
            yield
        if join:
            caller.wait_stream(self.stream)

    def take(self, step: Callable[[], Taken]) -> Taken:
        """Take a step, always the same one; the tensors that are returned hold until the next one."""
        if self.graph is None and not self.eager and not self.told:
            self._capture(step)
        if self.graph is None:
            self.eager = max(0, self.eager - 1)
            with capturing if self.compiles else contextlib.nullcontext():
                taken = step()
            self.compiles = False
        else:
            assert self.taken is not None
            self.graph.replay()
            taken = self.taken
        place = self.places[self.count % LEAD]
        place.synchronize()  # the step that was taken LEAD steps ago
        place.record()
        self.count += 1
        return taken

    def room(self) -> int:
        """Return how many steps can be taken without waiting for one that was taken before."""
        places = (self.places[(self.count + k) % LEAD] for k in range(LEAD))
        return sum(1 for _ in itertools.takewhile(lambda place: place.query(), places))

    def wait(self) -> None:
        """Wait for the run's work and no other's; needed before its memory, which others' streams may get, is let go."""
        self.stream.synchronize()

    def capture(self, graph: torch.cuda.CUDAGraph, work: Callable[[], Result]) -> Result:
        """Capture work on the run's stream; what it returns is where each replay leaves its results."""
        with capturing, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer versions of torch need no telling of generators, and say so
            for name in DRAWN:
                graph.register_generator_state(self.generators[name])
            pool = torch.cuda.graph_pool_handle()
            try:
                with torch.cuda.graph(graph, pool, self.stream, "thread_local"):
                    return work()
            except Exception:
                # After a capture that CUDA refused torch before 2.13 goes on as if it were still under way: no memory that
                # was freed would be given back or found for another stream, for as long as the process lives.
                with contextlib.suppress(RuntimeError, AttributeError):  # others have done it, or no longer need it
                    torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), pool)  # type: ignore[attr-defined,unused-ignore]
                raise

    def _capture(self, step: Callable[[], Taken]) -> None:
        before = {name: self.generators[name].get_state() for name in DRAWN}
        graph = torch.cuda.CUDAGraph()
        try:
            self.taken = self.capture(graph, step)
            self.graph = graph
        except Exception as problem:
            if self.wanted == "on":
                raise ConfigError(f"train.graph can't be on here: {_first_line(problem)}") from problem
            self.taken, self.told = None, f"the step could not be captured: {_first_line(problem)}"
            for name, state in before.items():  # what was drawn from in a capture that failed draws no more
                self.generators.renew(name, state)


def _first_line(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}".splitlines()[0][:200]
