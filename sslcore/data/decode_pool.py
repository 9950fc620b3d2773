"""Many image files -> one uint8 array, on all cores.

Worker processes, not threads: on 32 x 32 JPEGs Pillow holds the interpreter's lock most of the time, and two threads
are slower than one (measured: 12.5 s against 9.2 s for 60,000; two processes 5.4 s). The workers are plain
subprocesses running decode.py: `multiprocessing` would import the main module again, which under Streamlit is a page.
"""

from __future__ import annotations

import io
import json
import os
import queue
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sslcore.data.decode import decode_many
from sslcore.data.image_set import DataError, Progress

CHUNK = 16  # files a request: photos of 50 ms each still move the progress bar
FILES_A_WORKER = 64  # starting one costs about as much as decoding these
MAX_WORKERS = 16

Worker = subprocess.Popen[bytes]


def decode_files(
    paths: Sequence[str], size: int, progress: Progress | None = None, workers: int | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Decode files into ((K, size, size, 3) uint8, positions of the K readable ones in `paths`, ascending).

    An exception raised by `progress`, such as a cancelled start, ends the workers and comes through.
    """
    if workers is None:
        workers = min(_cores(), MAX_WORKERS, len(paths) // FILES_A_WORKER) if sys.executable else 0
    try:
        images = np.empty((len(paths), size, size, 3), np.uint8)
    except MemoryError:
        need = len(paths) * size * size * 3 / 2**30
        raise DataError(
            f"{len(paths):,} images need {need:.0f} GiB of memory at data.image_size {size}; choose a smaller one"
        ) from None
    readable = np.ones(len(paths), bool)
    chunks = [(start, min(start + CHUNK, len(paths))) for start in range(0, len(paths), CHUNK)]
    many = workers > 1
    answers = _parallel(paths, chunks, images, workers) if many else _serial(paths, size, chunks, images)
    done = 0
    with closing(answers):  # now, not when the traceback of an exception is let go
        for start, stop, failed in answers:
            readable[[start + position for position in failed]] = False
            done += stop - start
            if progress is not None:
                progress("Decoding images", done, len(paths))
    kept = np.flatnonzero(readable)
    return images if readable.all() else images[kept], kept


# (start, stop, positions within the chunk that could not be read)
Answers = Generator[tuple[int, int, list[int]], None, None]


def _serial(paths: Sequence[str], size: int, chunks: list[tuple[int, int]], images: NDArray[np.uint8]) -> Answers:
    for start, stop in chunks:
        images[start:stop], failed = decode_many(list(paths[start:stop]), size)
        yield start, stop, failed


def _parallel(paths: Sequence[str], chunks: list[tuple[int, int]], images: NDArray[np.uint8], workers: int) -> Answers:
    with _started(workers) as (idle, pool):

        def ask(start: int, stop: int) -> tuple[int, int, list[int]]:
            worker = idle.get()
            try:
                return start, stop, _ask(worker, list(paths[start:stop]), images[start:stop])
            finally:
                idle.put(worker)

        for answer in as_completed([pool.submit(ask, *chunk) for chunk in chunks]):
            yield answer.result()


def _ask(worker: Worker, paths: list[str], out: NDArray[np.uint8]) -> list[int]:
    """Let `worker` decode `paths` into `out`; this thread only waits on pipes, without the interpreter's lock."""
    assert worker.stdin is not None and worker.stdout is not None
    try:
        worker.stdin.write(json.dumps([out.shape[1], paths]).encode() + b"\n")
        worker.stdin.flush()
        reader = cast(io.BufferedReader, worker.stdout)
        head = reader.readline()
        if head and reader.readinto(out.reshape(-1).data) == out.nbytes:
            failed: list[int] = json.loads(head)
            return failed
    except OSError:
        pass  # a broken pipe says the same as an answer cut short
    raise DataError(
        f"the image decoder stopped unexpectedly between {paths[0]} and {paths[-1]}; one of them may be harmful"
    )


@contextmanager
def _started(workers: int) -> Iterator[tuple[queue.SimpleQueue[Worker], ThreadPoolExecutor]]:
    """Start worker processes and the threads that talk to them; end both, also in the middle of the work."""
    # -P: this file's neighbours (digits, cache, ...) must not shadow modules that Pillow or NumPy import.
    command = [sys.executable, "-P", "-W", "ignore", str(Path(__file__).with_name("decode.py"))]
    started: list[Worker] = []
    idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        for _ in range(workers):
            started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            idle.put(started[-1])
        yield idle, pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in started:
            worker.kill()  # idle by now, or its work is no longer wanted
        pool.shutdown(wait=True)  # the threads have seen their pipes end
        for worker in started:
            worker.communicate()


def _cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
