"""Who may import whom: read from the source, so that nothing has to be installed or run."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ENGINE = sorted((ROOT / "sslcore").rglob("*.py"))
PAGES = sorted((ROOT / "dashboard").rglob("*.py"))
TORCH_FREE = (
    "config",
    "settings",
    "presets",
    "tensorboard",
    "events",
    "store",
    "store_messages",
    "store_points",
    "database",
    "files",
    "schema",
    "process",
    "keyframes",
    "lab",
    "naming",
    "files",
    "fork",
    "archive",
    "incoming",
    "incoming_keyframes",
    "outgoing",
    "transfer",
    "tables",
    "palette",
    "curve",
    "per_class",
    "published",
    "recordings",
    "report_sweep",
    "svg_curve",
    "sweep",
    "sweep_files",
    "sweep_plans",
    "sweep_run",
    "options",
    "svg",
    "report",
    "report_charts",
    "report_parts",
    "report_style",
    "cli_machine",
    "cli_model",
    "cli_runs",
    "cli_train",
    "console",
    "__main__",
    "__init__",
)
HEAVY = {"torch", "torchvision", "sklearn", "streamlit", "plotly", "pandas"}


def imports(path: Path, inside_functions: bool) -> set[str]:
    """Full names of what a file imports; without `inside_functions` only what runs when it is imported."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) and not inside_functions:
                continue
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING" and not inside_functions:
                continue  # read by the type checker alone
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                found.add(child.module)
                found.update(f"{child.module}.{alias.name}" for alias in child.names)
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def top(names: set[str]) -> set[str]:
    return {found.split(".")[0] for found in names}


@pytest.mark.parametrize("path", ENGINE, ids=name)
def test_the_engine_knows_no_page(path: Path) -> None:
    assert not top(imports(path, inside_functions=True)) & {"streamlit", "plotly", "pandas", "dashboard"}


@pytest.mark.parametrize("module", TORCH_FREE)
def test_runs_can_be_read_without_torch(module: str) -> None:
    """Also through whatever these files import of ours."""
    seen: set[str] = set()
    queue = [module]
    while queue:
        current = queue.pop()
        if current in seen:
            continue
        seen.add(current)
        path = ROOT / "sslcore" / f"{current}.py"
        names = imports(path, inside_functions=False)
        assert not top(names) & HEAVY, f"{current} imports {top(names) & HEAVY}"
        for found in names:
            parts = found.split(".")
            if parts[0] == "sslcore" and len(parts) > 1:
                assert (ROOT / "sslcore" / f"{parts[1]}.py").exists(), (
                    f"{current} imports the package sslcore.{parts[1]}"
                )
                queue.append(parts[1])


@pytest.mark.parametrize("path", sorted((ROOT / "sslcore" / "methods").glob("*.py")), ids=name)
def test_a_method_knows_no_data_trainer_store_or_other_method(path: Path) -> None:
    if path.name == "__init__.py":
        return
    ours = {found for found in imports(path, inside_functions=True) if found.startswith("sslcore.")}
    for found in ours:
        parts = found.split(".")
        assert parts[1] in ("config", "clock", "methods", "models", "augment"), found
        if parts[1] == "methods":
            builds_on = {"flexmatch.py": ("fixmatch",), "faults.py": ("flexmatch",)}
            allowed = ("base", *builds_on.get(path.name, ()))
            assert parts[2] in allowed, found


def test_only_the_trainer_composes() -> None:
    """backward, optimizer.step and ema.update stand once."""
    for call in (".backward()", "optimizer.step()", "ema.update("):
        places = [name(path) for path in ENGINE if call in path.read_text(encoding="utf-8")]
        assert places == ["sslcore/trainer.py"], (call, places)


def test_scikit_learn_stays_in_the_digits_loader() -> None:
    users = [name(path) for path in ENGINE if "sklearn" in top(imports(path, inside_functions=True))]
    assert users == ["sslcore/data/digits.py"]
    assert "sklearn" not in top(imports(ROOT / "sslcore/data/digits.py", inside_functions=False))


@pytest.mark.parametrize(
    "module",
    [
        "biography",
        "branch",
        "curve_charts",
        "text_curves",
        "charts",
        "time_charts",
        "charts_classes",
        "figures",
        "images",
        "windows",
        "sandbox",
        "sandbox_charts",
        "xray",
        "formulas",
        "inspection",
        "guide",
        "story",
        "text_guide",
    ],
)
def test_charts_and_images_are_free_of_streamlit(module: str) -> None:
    assert "streamlit" not in top(imports(ROOT / "dashboard" / f"{module}.py", inside_functions=True))


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_pages_start_without_torch(path: Path) -> None:
    names = imports(path, inside_functions=False)
    assert "torch" not in top(names)
    for found in names:
        parts = found.split(".")
        if parts[0] == "sslcore" and len(parts) > 1:
            assert parts[1] in TORCH_FREE, f"{found} would import torch before the page has painted"


@pytest.mark.parametrize("path", ENGINE + PAGES, ids=name)
def test_a_file_is_one_idea(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, "a file over budget is split along a noun"
