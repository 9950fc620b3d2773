"""The command line: `python -m sslcore COMMAND`. torch is imported by the commands that need it, not by --help.

Exit status: 0 done, 1 a run failed or diverged, 2 bad usage (at most two lines), 130 stopped or interrupted.
With --json, stdout holds one JSON value and nothing else.
"""

from __future__ import annotations

import argparse
import io
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from sslcore import cli_machine, cli_model, cli_runs, cli_train, console
from sslcore.options import parser

COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "train": cli_train.train,
    "resume": cli_train.resume,
    "fork": cli_train.fork,
    "sweep": cli_train.sweep,
    "evaluate": cli_model.evaluate,
    "show": cli_runs.show,
    "runs": cli_runs.runs,
    "export": cli_runs.export,
    "import": cli_runs.take_in,
    "predict": cli_model.predict,
    "pseudo-labels": cli_model.pseudo_labels,
    "to-label": cli_model.to_label,
    "delete": cli_runs.delete,
    "pause": cli_runs.ask,
    "stop": cli_runs.ask,
    "set": cli_runs.change,
    "bench": cli_machine.bench,
    "data": cli_machine.data,
}


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    args.typed = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a class name that the terminal can't write must not end a command
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)  # also where a shell started us in the background, with Ctrl-C ignored
    try:
        return COMMANDS[args.command](args)
    except ValueError as error:  # ConfigError, StoreError, DataError, ...: told apart without importing torch
        if not type(error).__module__.startswith("sslcore."):
            raise
        return console.bad_usage(str(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


def _interrupt(signum: int, frame: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
