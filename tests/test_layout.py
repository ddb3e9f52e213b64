"""How the folders divide: what is imported as what, and which way imports point."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("ledger", "projections", "http", "scripts")
# What each folder may import of the others.
MAY_IMPORT = {
    "ledger": {"ledger"},
    "projections": {"ledger", "projections"},
    "http": {"ledger", "projections", "http"},
    "scripts": {"ledger", "projections", "http", "scripts"},
}
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def imported_modules(path: Path) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            modules.add(node.module or "")
    return modules


def test_http_hides_no_standard_module() -> None:
    """Without an ``__init__.py`` the standard library's ``http`` wins, also from the root."""
    code = "import http.client, urllib.request; print(http.client.__file__)"

    found = subprocess.run(
        [sys.executable, "-m", "timeit", "-n1", "-r1", code], cwd=ROOT, capture_output=True, text=True
    )

    assert not (ROOT / "http" / "__init__.py").exists()
    assert found.returncode == 0, found.stderr
    assert str(ROOT) not in found.stdout.splitlines()[0]


def test_every_folder_with_code_is_packaged() -> None:
    """A folder that is not in the mapping is missing from what is installed."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = set(settings["tool"]["setuptools"]["packages"])

    folders = {"jobledger." + ".".join(path.parent.relative_to(ROOT).parts) for path in SOURCES}

    assert folders == packages


def test_imports_point_downwards() -> None:
    """``scripts`` → ``http`` → ``projections`` → ``ledger``, each by its full name: another name is another copy."""
    for path in SOURCES:
        folder = path.relative_to(ROOT).parts[0]
        modules = imported_modules(path)
        ours = {name.split(".")[1] for name in modules if name.startswith("jobledger.")}
        bare = {name for name in modules if name.split(".")[0] in {"ledger", "projections", "scripts"}}
        assert ours <= MAY_IMPORT[folder], path
        assert not bare, path


def test_the_domain_knows_no_database_no_loop_and_no_clock() -> None:
    """What is decided can be decided again: times and ids come in."""
    forbidden = {"asyncio", "asyncpg", "time", "random", "secrets", "uuid4"}

    for path in sorted((ROOT / "ledger" / "domain").rglob("*.py")):
        modules = imported_modules(path)
        tree = ast.parse(path.read_text("utf-8"))
        clocks = {ast.unparse(it.func) for it in ast.walk(tree) if isinstance(it, ast.Call)} & {
            "datetime.now",
            "datetime.utcnow",
        }
        assert not modules & forbidden, path
        assert not clocks, path
        assert not any(name.startswith("jobledger.ledger.store") for name in modules), path


def test_files_are_named_by_a_noun() -> None:
    """No drawer for what found no place."""
    for path in [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))]:
        assert path.stem not in {"utils", "util", "helpers", "common", "base", "manager", "service", "types", "misc"}, (
            path
        )


def test_http_modules_are_not_named_like_standard_ones() -> None:
    """The folder is a namespace: a module of a standard name would be taken for it."""
    names = {path.stem for path in (ROOT / "http").glob("*.py")}

    assert not names & {"client", "server", "cookies", "cookiejar", "json", "xml"}
