"""Who may know whom: imports go one way, functions stay short, no error is swallowed; see CONTRIBUTING.md."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "mtlbench"
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 50

VOCABULARY = {
    *("bounded", "claims", "errors", "failures", "files", "identity", "owner", "progress", "stops", "tasks", "values")
}
"""Knows nothing of the project but itself; everybody may import it."""

MAY_IMPORT = {
    "bounded": set(),
    "errors": set(),
    "failures": set(),
    "files": set(),
    "identity": set(),
    "legacy": set(),
    "owner": set(),
    "claims": set(),
    "progress": set(),
    "stops": set(),
    "tasks": set(),
    "values": set(),
    "losses": set(),
    "metrics": set(),
    "data": set(),
    "models": set(),
    "attacks": set(),
    "precision": {"models"},
    "training": {"data", "losses", "models", "precision"},
    "evaluate": {"attacks", "data", "losses", "metrics", "models"},
    "store": {"legacy"},
    "scores": {"metrics"},
    "results": {"metrics", "scores", "store"},
    "alarms": {"results", "scores", "store"},
    "studies": {"alarms", "results", "scores", "store"},
    "report": {"alarms", "results", "scores", "store", "studies"},
}
"""Unit -> the other units that it may import, beside the vocabulary. Units that are not here wire the others."""

MUST_NOT_IMPORT = {
    "cli": {"torch", "hydra", "omegaconf", "numpy", "pandas", "rich"},
    "tasks": {"torch"},
    "store": {"torch"},
    "scores": {"torch"},
    "results": {"torch"},
    "studies": {"torch"},
    "report": {"torch"},
    "models/sharing": {"torch"},
    "attacks/objectives": {"mtlbench.attacks.steps", "mtlbench.tasks", "mtlbench.engine.losses"},
    "attacks/steps": {"mtlbench.tasks", "mtlbench.engine.losses"},
    "evaluate": {"mtlbench.storage.files"},
}
"""Unit or module -> what must not appear in its import statements."""

WITHOUT_TORCH = [
    "cli",
    "supervisor",
    "tasks",
    "metrics",
    "models.sharing",
    "store",
    "scores",
    "results",
    "studies",
    "report",
    "report.datasets",
]


def name_of(file: Path) -> str:
    return "/".join(file.relative_to(PACKAGE).with_suffix("").parts)


def unit_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(file: Path) -> Iterator[str]:
    """Modules that a file imports when it runs, wherever the statement stands; those for type checkers are not."""
    tree = ast.parse(file.read_text())
    hidden = {id(inner) for node in ast.walk(tree) if _for_types_only(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            assert node.module
            whole = node.module == "mtlbench"
            yield from (f"mtlbench.{alias.name}" for alias in node.names) if whole else (node.module,)


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@pytest.mark.parametrize("file", [file for file in FILES if name_of(file).split("/")[0] in MAY_IMPORT], ids=name_of)
def test_imports_go_one_way(file: Path) -> None:
    unit = name_of(file).split("/")[0]
    allowed = MAY_IMPORT[unit] | VOCABULARY | {unit}
    found = {unit_of(module) for module in imports(file) if module.startswith("mtlbench.")}
    assert found - allowed == set()


@pytest.mark.parametrize("part", MUST_NOT_IMPORT)
def test_what_a_part_must_not_know(part: str) -> None:
    files = [file for file in FILES if name_of(file) == part or name_of(file).startswith(f"{part}/")]
    assert files
    wrong = [
        f"{name_of(file)} imports {module}"
        for file in files
        for module in imports(file)
        for banned in MUST_NOT_IMPORT[part]
        if module == banned or module.startswith(f"{banned}.")
    ]
    assert wrong == []


def test_every_rule_is_about_something_that_exists() -> None:
    units = {name_of(file).split("/")[0] for file in FILES}
    assert MAY_IMPORT.keys() <= units
    assert set().union(*MAY_IMPORT.values()) <= units
    assert units >= VOCABULARY


def test_only_the_app_knows_hydra() -> None:
    knowing = {
        name_of(file) for file in FILES for module in imports(file) if module.startswith(("hydra", "omegaconf"))
    }
    assert knowing == {"app"}


def test_nothing_below_the_command_line_knows_it() -> None:
    top = {"mtlbench.app", "mtlbench.cli", "mtlbench.commands"}
    knowing = {name_of(file) for file in FILES for module in imports(file) if module in top}
    assert knowing <= {"__main__", "app", "cli"}


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_no_torch_behind_its_back(module: str) -> None:
    code = f"import sys, mtlbench.{module}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, check=False, timeout=60)
    assert done.returncode == 0


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_function_fits_one_screen(file: Path) -> None:
    """Its docstring not counted."""
    functions = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)]
    long = {node.name: length for node in functions if (length := _length(node)) > MOST_LINES}
    assert long == {}


def _length(function: ast.FunctionDef) -> int:
    first = function.body[0]
    assert function.end_lineno is not None and first.end_lineno is not None
    return function.end_lineno - (first.end_lineno if ast.get_docstring(function) else function.lineno)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_error_is_swallowed(file: Path) -> None:
    swallowing = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ExceptHandler):
            caught = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)} if node.type else {"bare"}
            if caught & {"bare", "Exception", "BaseException"} and not _raises(node):
                swallowing.append(f"{file}:{node.lineno}")
    assert swallowing == []


def _raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) for node in ast.walk(handler))
