"""Who may know whom: imports go one way, functions stay short, no error is swallowed; see CONTRIBUTING.md."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mtlbench"
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 50

VOCABULARY = {"constants", "errors", "options", "identity", "space", "tasks", "extras"}
"""Everybody may import it; it knows nothing of the project but itself."""

MAY_IMPORT: dict[str, set[str]] = {
    "constants": set(),
    "errors": set(),
    "options": set(),
    "identity": set(),
    "space": set(),
    "tasks": set(),
    "extras": set(),
    "storage": set(),
    "metrics": set(),
    "attacks": set(),
    "reference": {"attacks"},
    "data": {"storage"},
    "models": {"storage"},
    "process": {"storage"},
    "engine": {"attacks", "data", "metrics", "models", "process", "storage"},
    "probing": {"data", "engine", "models"},
    "scores": {"metrics", "storage"},
    "studies": {"scores", "storage"},
    "config": {"attacks", "data", "engine", "metrics", "models", "process", "storage", "studies"},
    "experiment": {
        *("attacks", "config", "data", "engine", "metrics", "models", "probing", "process", "scores", "storage"),
    },
    "report": {"process", "scores", "storage", "studies"},
    "cli": {
        *("attacks", "config", "data", "engine", "experiment", "metrics", "models", "process", "reference", "report"),
        "storage",
    },
    "api": {
        *("attacks", "data", "engine", "experiment", "metrics", "models", "probing", "process"),
        *("report", "scores", "storage"),
    },
    "__main__": {"cli"},
    "__init__": set(),
}
"""Unit -> the other units that it imports, beside the vocabulary; from the bottom up, as CONTRIBUTING.md draws it."""

NARROWER: dict[tuple[str, str], set[str]] = {
    ("data", "storage"): {"files", "bounded", "claims"},
    ("models", "storage"): {"files"},
    ("process", "storage"): {"owner", "failures"},
    ("engine", "storage"): {"files"},
    ("engine", "process"): {"progress", "signals"},
    ("config", "process"): {"progress"},
    ("config", "studies"): {"STUDIES"},
    ("config", "storage"): {"outputs"},
    ("report", "process"): {"progress"},
    ("studies", "storage"): {"store"},
    ("scores", "storage"): {"derived", "store"},
}
"""Of some units only these modules are known."""

MUST_NOT_IMPORT = {
    "cli/entry": {"torch", "hydra", "omegaconf", "numpy", "pandas", "rich"},
    "tasks": {"torch"},
    "storage": {"torch"},
    "scores": {"torch"},
    "studies": {"torch"},
    "report": {"torch"},
    "models/sharing": {"torch"},
    "probing/finding": {"torch"},
    "attacks/objectives": {"mtlbench.attacks.steps", "mtlbench.tasks", "mtlbench.engine"},
    "attacks/steps": {"mtlbench.tasks", "mtlbench.engine"},
    "engine/evaluate": {"mtlbench.storage"},
    "engine/losses": {"mtlbench.storage"},
}
"""Unit or module -> what must not appear in its import statements."""

WITHOUT_TORCH = [
    "cli.entry",
    "cli.app",
    "tasks",
    "metrics",
    "models.sharing",
    "storage.store",
    "storage.checkpoints",
    "process.supervisor",
    "scores.frame",
    "scores.alarms",
    "studies",
    "report",
    "report.datasets",
    "report.panels",
]


def name_of(file: Path) -> str:
    return "/".join(file.relative_to(PACKAGE).with_suffix("").parts)


def unit_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def imports(file: Path) -> Iterator[str]:
    """Modules that a file imports when it runs, wherever the statement stands; those for type checkers are not."""
    tree = parsed(file)
    hidden = {id(inner) for node in ast.walk(tree) if _for_types_only(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            assert node.module
            whole = node.module.startswith("mtlbench") and node.module.count(".") < 2  # the names may be modules
            yield from (f"{node.module}.{alias.name}" for alias in node.names) if whole else (node.module,)


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def units() -> set[str]:
    return {name_of(file).split("/")[0] for file in FILES}


def forbidden(unit: str, modules: Iterator[str]) -> set[str]:
    """Those of the imported modules that a unit may not know."""
    found = set()
    for module in modules:
        other = unit_of(module)
        if not module.startswith("mtlbench.") or other in VOCABULARY | {unit, "__version__"}:
            continue
        known = NARROWER.get((unit, other))
        leaf = module.split(".")[2] if module.count(".") > 1 else ""
        if other not in MAY_IMPORT[unit] or (known is not None and leaf and leaf not in known):
            found.add(module)
    return found


def test_every_unit_has_a_row() -> None:
    assert units() == MAY_IMPORT.keys()


def test_arrows_go_one_way() -> None:
    """A unit imports only what stands above it in the table, so there is no circle."""
    before: set[str] = set()
    for unit, others in MAY_IMPORT.items():
        assert others <= before
        before.add(unit)


@pytest.mark.parametrize("unit", MAY_IMPORT)
def test_an_upward_import_would_be_found(unit: str) -> None:
    for other in MAY_IMPORT.keys() - MAY_IMPORT[unit] - VOCABULARY - {unit, "__init__"}:
        assert forbidden(unit, iter([f"mtlbench.{other}.module"])) == {f"mtlbench.{other}.module"}


def test_imports_go_one_way() -> None:
    wrong = {name_of(file): forbidden(name_of(file).split("/")[0], imports(file)) for file in FILES}
    assert {name: modules for name, modules in wrong.items() if modules} == {}


def test_every_arrow_exists() -> None:
    arrows = {(name_of(file).split("/")[0], unit_of(module)) for file in FILES for module in imports(file)}
    assert {(unit, other) for unit, others in MAY_IMPORT.items() for other in others} <= arrows


def test_contributing_draws_what_is_checked() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    drawn = dict(re.findall(r"^    (\w+) +<- ([\w, ]+?)(?:  .*)?$", text, flags=re.M))
    expected = {unit: others for unit, others in MAY_IMPORT.items() if others and not unit.startswith("__")}
    assert {unit: set(others.split(", ")) for unit, others in drawn.items()} == expected


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


def test_only_the_command_line_knows_hydra() -> None:
    knowing = {
        name_of(file) for file in FILES for module in imports(file) if module.startswith(("hydra", "omegaconf"))
    }
    assert knowing == {"cli/app", "cli/compose", "cli/sweep", "cli/hydra_errors"}


def test_no_torch_behind_their_back() -> None:
    """One after the other in one process: none of them has imported it in the end, so none does alone."""
    lines = (f"import mtlbench.{module}\nif 'torch' in sys.modules: sys.exit('{module}')" for module in WITHOUT_TORCH)
    code = "\n".join(("import sys", *lines))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_function_fits_one_screen() -> None:
    """Its docstring not counted."""
    functions = [
        (file, node) for file in FILES for node in ast.walk(parsed(file)) if isinstance(node, ast.FunctionDef)
    ]
    long = [f"{file}:{node.lineno}: {node.name}" for file, node in functions if _length(node) > MOST_LINES]
    assert long == []


def _length(function: ast.FunctionDef) -> int:
    first = function.body[0]
    assert function.end_lineno is not None and first.end_lineno is not None
    return function.end_lineno - (first.end_lineno if ast.get_docstring(function) else function.lineno)


def test_no_error_is_swallowed() -> None:
    swallowing = []
    for file, node in ((one, node) for one in FILES for node in ast.walk(parsed(one))):
        if isinstance(node, ast.ExceptHandler):
            caught = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)} if node.type else {"bare"}
            if caught & {"bare", "Exception", "BaseException"} and not _raises(node):
                swallowing.append(f"{file}:{node.lineno}")
    assert swallowing == []


def _raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) for node in ast.walk(handler))
