"""Start the real server and a real Chromium, for the browser tests and the pictures of the README."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

UNWATCHED = ("--server.fileWatcherType", "none")


def chromium() -> str | None:
    """Path of an installed Chromium or Chrome."""
    return next((found for name in CHROMIUMS if (found := shutil.which(name))), None)


@dataclass
class Server:
    """A running `streamlit run dashboard/app.py`."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def end(self, sign: int = signal.SIGINT, seconds: float = 15.0) -> float:
        """Send a signal and return the seconds until the process has ended; killed and failed if it takes too long."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(sign)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not end within {seconds} s:\n{self.log.read_text()}") from None
        return time.monotonic() - began


def start_server(
    root: Path, log: Path, *, tree: Path = ROOT, options: Sequence[str] = (), variables: Mapping[str, str] | None = None
) -> Server:
    """Run the dashboard of `tree` on a free port with its runs below `root`, and wait until it answers.

    The tree comes first on the path, but not through PYTHONPATH: Streamlit watches the modules that are found there.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = f"import sys; sys.path[0] = {str(tree)!r}; from streamlit.web.cli import main; main()"
    arguments = ["run", "dashboard/app.py", "--server.headless", "true", "--server.port", str(port), *options]
    environment = {**os.environ, "SSLLAB_ROOT": str(root), **(variables or {})}
    with open(log, "ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", launch, *arguments], cwd=tree, env=environment, stdout=out, stderr=out
        )
    _wait_for(f"http://127.0.0.1:{port}/_stcore/health", process, log)
    return Server(process, f"http://127.0.0.1:{port}/", log)


@contextlib.contextmanager
def serving(
    root: Path,
    log: Path,
    *,
    tree: Path = ROOT,
    options: Sequence[str] = UNWATCHED,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A server that is ended with the block; `variables` are those of its environment beside this process's own."""
    server = start_server(root, log, tree=tree, options=options, variables=variables)
    try:
        yield server
    finally:
        server.end()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{log.read_text()}") from None
            time.sleep(0.1)
