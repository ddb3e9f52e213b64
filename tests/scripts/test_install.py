"""``scripts/install``, by which ``scripts/serve`` and ``scripts/test`` need nothing but Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TOOLS = ("bash", "cat", "cksum", "dirname", "env", "flock", "rm", "sh")
# An interpreter that is new enough, or not, and has ensurepip, or not.
STUB = """#!/bin/sh
case "$2" in
  *version_info*) exit {is_old} ;;
  *ensurepip*) exit {is_incomplete} ;;
  *) echo "$0 $*"; exit 9 ;;
esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files that an installation reads, and a PATH with tools but without Python."""
    folder = tmp_path / "clone"
    (folder / "scripts").mkdir(parents=True)
    for name in ("scripts/install", "requirements.lock", "requirements-test.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "tools").mkdir()
    for tool in TOOLS:
        (folder / "tools" / tool).symlink_to(str(shutil.which(tool)))
    return folder


def put(clone: Path, name: str, *, is_old: bool = False, is_incomplete: bool = False) -> None:
    path = clone / "tools" / name
    path.write_text(STUB.format(is_old=int(is_old), is_incomplete=int(is_incomplete)))
    path.chmod(0o755)


def install(clone: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clone / "scripts" / "install"], env={"PATH": str(clone / "tools")}, capture_output=True, text=True
    )


def test_no_python_is_said(clone: Path) -> None:
    """Also where there is one that is too old."""
    put(clone, "python3", is_old=True)

    ended = install(clone)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "Python 3.11 or later is needed, and none is on the PATH.\n"


def test_a_python_that_cannot_make_environments_is_said(clone: Path) -> None:
    """With what to install."""
    put(clone, "python3", is_incomplete=True)

    ended = install(clone)

    assert ended.returncode == 1
    assert ended.stderr.startswith("python3 cannot make virtual environments: install its venv module")


def test_the_first_python_that_will_do_is_taken(clone: Path) -> None:
    """One that is too old or incomplete is passed over."""
    put(clone, "python3", is_old=True)
    put(clone, "python3.13", is_incomplete=True)
    put(clone, "python3.12")
    put(clone, "python3.11")

    ended = install(clone)

    assert ended.returncode == 9
    assert ended.stdout == f"{clone}/tools/python3.12 -m venv .venv\n"


def test_every_pin_is_exact() -> None:
    """What was tried is what is installed."""
    lines = [
        line
        for name in ("requirements.lock", "requirements-test.lock")
        for line in (ROOT / name).read_text().splitlines()
        if not line.startswith(("#", "-r "))
    ]

    assert len(lines) > 40
    assert all("==" in line for line in lines)
    assert len({line.partition("==")[0].lower() for line in lines}) == len(lines)


def test_what_is_installed_is_not_installed_again() -> None:
    """The second run of a script takes no time and asks nobody."""
    if not (ROOT / ".venv" / "installed-requirements-test.lock").exists() or ROOT not in Path(sys.prefix).parents:
        pytest.skip("these tests run in another environment than scripts/test makes")
    environment = {**os.environ, "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_NO_INDEX": "1"}

    began_at = time.monotonic()
    ended = subprocess.run([ROOT / "scripts" / "install", "test"], env=environment, capture_output=True, text=True)
    took_s = time.monotonic() - began_at

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert took_s < 0.2
