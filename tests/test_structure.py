"""The house rules that no linter knows."""

from __future__ import annotations

import ast
import gzip
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "server/offhook"
STATIC = ROOT / "static"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Modules without a test of their own, each with the reason.
UNTESTED = {
    "__main__.py": "its one call is what tests/test_cli.py starts",
    "protocol/permitted.py": "tables, which test_policy.py tries out",
    "protocol/prompt.py": "dataclasses",
    "protocol/session_fields.py": "the fields, which test_session_config.py tries out",
    "archive/migrations/env.py": "what test_database.py runs with each migration",
    "archive/migrations/versions/0001_calls.py": "likewise",
    "archive/tables.py": "the tables, which test_database.py compares with those made",
    "speech/responder.py": "an interface",
    "protocol/transport_events.py": "dataclasses",
    "transports/base.py": "an interface",
    "upstream/base.py": "a dataclass and an interface",
}

# Tests of more than one module.
OWN = (
    "test_docs",
    "test_seed",
    "test_structure",
    "test_wheel",
    "media/test_relayed",
    "speech/test_human",
)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_modules_stay_short() -> None:
    lines = {
        named(path): len(path.read_text("utf-8").splitlines())
        for path in (*MODULES, *STATIC.glob("*.js"))
    }
    assert len(lines) > 60
    assert {name: count for name, count in lines.items() if count > 400} == {}


def test_functions_stay_short() -> None:
    lines = {
        f"{named(path)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    }
    assert len(lines) > 300
    assert {name: count for name, count in lines.items() if count > 50} == {}


def test_tests_mirror_modules() -> None:
    modules = {path.relative_to(PACKAGE).as_posix() for path in MODULES}
    inner = {module for module in modules if not module.endswith("/__init__.py")}
    untested = {module for module in inner if not mirror(module).is_file()}
    assert untested == UNTESTED.keys()
    packages = {Path(module).parent for module in modules}
    tests = {path for folder in packages for path in existing(folder)}
    own = {ROOT / f"tests/{name}.py" for name in OWN}
    assert tests - {mirror(module) for module in inner} == own


def test_other_folders_of_tests_are_about_no_one_package() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    tests = {path.parent.name for path in (ROOT / "tests").glob("*/__init__.py")}
    # How fast it is; in a browser; with the official clients; what is not Python; what
    # the official SDK does at the same events.
    others = {"benchmarks", "browser", "clients", "static", "traces"}
    assert tests - packages == others


def mirror(module: str) -> Path:
    path = Path(module)
    name = path.stem.strip("_")
    return ROOT / "tests" / path.parent / f"test_{name}.py"


def existing(package: Path) -> set[Path]:
    return set((ROOT / "tests" / package).glob("test_*.py"))


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*/__init__.py")), ids=named)
def test_every_public_name_of_a_package_is_there(path: Path) -> None:
    # That the names are sorted is ruff's rule RUF022.
    package = import_module(f"offhook.{path.parent.name}")
    names = getattr(package, "__all__", [])
    assert bool(names) == ("import " in path.read_text("utf-8"))
    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(package, name)] == []


def test_nothing_is_left_for_later() -> None:
    later = re.compile(r"\b(?:TODO|FIXME|XXX|raise NotImplementedError)\b")
    files = [*MODULES, *STATIC.iterdir(), *(ROOT / "templates").iterdir()]
    found = [
        f"{named(path)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if later.search(line)
    ]
    assert found == []


def test_the_widget_stays_small() -> None:
    loaded = modules_of("offhook-call-define.js")
    scripts = {path.name for path in STATIC.glob("offhook*.js")}
    # The one that few calls need is loaded by those.
    assert loaded == scripts - {"offhook-tee.js"}
    sizes = {name: len(gzip.compress((STATIC / name).read_bytes())) for name in loaded}
    assert sum(sizes.values()) <= 25 * 1024, sizes


def modules_of(name: str) -> set[str]:
    """All that a script imports, itself included."""
    pending, loaded = {name}, set[str]()
    statement = re.compile(r'^(?:import|export)\b[^"(]*"\./([\w-]+\.js)";$', re.M)
    while pending:
        name = pending.pop()
        loaded.add(name)
        source = (STATIC / name).read_text("utf-8")
        pending |= set(statement.findall(source)) - loaded
    return loaded
