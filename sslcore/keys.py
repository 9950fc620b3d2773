"""What two configs share: the key of all that decides a run's numbers, and of what decides its speed. No torch here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sslcore import config as cfg


def content_key(raw: Mapping[str, Any]) -> str:
    """Return a short hash of a config's dict: everything that decides a run's numbers; equal configs, equal keys.

    A setting that the dict lacks, because it came after the run, counts as its default.
    """
    return _content_key(json.dumps(raw, sort_keys=True))


@lru_cache(maxsize=4096)  # a page looks for a sweep's runs among hundreds every second
def _content_key(text: str) -> str:
    raw = json.loads(text)
    name = raw.get("method", {}).get("name", "flexmatch")
    defaults = cfg.to_dict(cfg.with_method(cfg.RunConfig(), name)) if name in cfg.METHOD_CONFIGS else {}
    whole = {section: {**defaults.get(section, {}), **raw.get(section, {})} for section in {*defaults, *raw}}
    for path, spec, _ in cfg.walk(cfg.RunConfig()):
        if not spec.metadata["numbers"]:
            section, setting_name = path.split(".", 1)
            whole.get(section, {}).pop(setting_name, None)
    text = json.dumps(whole, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def kind(raw: Mapping[str, Any]) -> str:
    """Return what decides the seconds of a step, from a config's dict: everything but labels and seed."""
    slim = {section: dict(values) for section, values in raw.items()}
    slim.get("data", {}).pop("labels", None)
    slim.get("train", {}).pop("seed", None)
    return json.dumps(slim, sort_keys=True)
