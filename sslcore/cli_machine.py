"""The commands about this machine: how fast it trains, which images it has. torch is imported where it is needed."""

from __future__ import annotations

import argparse
from pathlib import Path

from sslcore import config as cfg
from sslcore import console
from sslcore.config import ConfigError, RunConfig
from sslcore.options import number


def bench(args: argparse.Namespace) -> int:
    if args.gpu:
        return _bench_gpu(args)
    for option in ("only", "data"):
        if getattr(args, option) is not None:
            raise ConfigError(f"--{option} is for bench --gpu, got it without --gpu")
    steps = int(number("--steps", args.steps, 1, 1_000_000, whole=True))
    seconds = number("--seconds", args.seconds, 0, 86_400)
    threads = int(number("--threads", args.threads, 0, 1024, whole=True))
    from sslcore.bench import run, table

    found = run(args.device, args.net, args.method, steps, seconds, threads, console.progress(args.json))
    console.put(found, args, table(found))
    return 0


def _bench_gpu(args: argparse.Namespace) -> int:
    from sslcore import bench_gpu, bench_gpu_told

    found = bench_gpu.asked(args.data, args.only, console.progress(args.json))
    bench_gpu_told.saved(bench_gpu_told.best_at_once(found), found["device_name"])
    console.put(found, args, bench_gpu_told.table(found))
    return 1 if found["errors"] else 0


def data(args: argparse.Namespace) -> int:
    if args.source is None:
        console.put(list(cfg.DATA_SOURCES), args, console.sources())
        return 0
    from sslcore.data import health, load

    zipped = args.source.lower().endswith(".zip")
    source, notes = _unpacked(Path(args.source)) if zipped else (args.source, ())
    config = cfg.replace(RunConfig(), {"data.source": source}).data
    images = load(config, console.progress(args.json))
    found = {"source": source} | console.describe_images(images)
    found["notes"] = [*notes, *found["notes"]]
    found["warnings"] = list(health.examine(images).warnings())
    console.put(found, args, "\n".join(f"{name}: {value}" for name, value in found.items()))
    return 0


def _unpacked(path: Path) -> tuple[str, tuple[str, ...]]:
    """Unpack a zip of images into the data cache; return the data source that it is now, and what was left out."""
    from sslcore.data.zips import unpack_images

    try:
        with open(path, "rb") as file:
            done = unpack_images(file, path.name)
    except OSError as error:
        raise ConfigError(f"{str(path)[:200]} can't be opened: {error.strerror or error}") from None
    return f"folder:{done.folder}", done.notes
