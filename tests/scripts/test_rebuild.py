"""``jobledger rebuild``."""

from __future__ import annotations

import re

import pytest

from tests.scripts.place import SAMPLE, Place


@pytest.mark.slow
def test_all_is_rebuilt_and_told(shared: Place) -> None:
    """Of an org, or of all; a word that names nothing is usage."""
    shared.succeed("org", "add", "rebuilt")
    shared.succeed("load", "swf", SAMPLE, "--org", "rebuilt")

    said = shared.succeed("rebuild", "--org", "rebuilt")
    alone = shared.succeed("rebuild", "--org", "rebuilt", "--projection", "rollups")

    assert re.match(
        r"rebuilt: rebuilt up to position \d+: \d+ events in [\d.]+ s, \d+ events/s; in the last step", said
    )
    for name in ("jobs", "job_copies", "policy", "holds", "copies", "access", "diagrams", "templates", "rollups"):
        assert f"  {name}: generation 2, as the live rows were\n" in said
    assert re.search(r"    job: [1-9]\d+ rows, hash [0-9a-f]{16}\n", said)
    assert "  rollups: generation 3, as the live rows were\n" in alone
    assert "jobs" not in alone
    assert "There is no projection nothing" in shared.run("rebuild", "--projection", "nothing").stderr
    assert shared.run("rebuild", "--projection", "nothing").returncode == 2
    assert "There is no org esa" in shared.fail("rebuild", "--org", "esa")
