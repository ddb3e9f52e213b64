"""What a server listens with."""

from __future__ import annotations

import resource
import ssl
from pathlib import Path

import pytest

from jobledger.scripts.failure import FailedError
from jobledger.scripts.listening import load_certificate, tls_context
from jobledger.scripts.serving import _allow_connections
from tests.scripts.place import make_certificate

INFINITE = resource.RLIM_INFINITY


def test_tls_is_1_2_or_later(tmp_path: Path) -> None:
    make_certificate(tmp_path, "localhost")

    context = tls_context(tmp_path / "cert", tmp_path / "key")

    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("broken", ["cert", "key"])
def test_a_pair_that_cannot_be_used_is_refused_whole(tmp_path: Path, broken: str) -> None:
    """With a sentence that names the files; what was shown before is still a pair that fits."""
    make_certificate(tmp_path, "localhost")
    context = tls_context(tmp_path / "cert", tmp_path / "key")
    other = tmp_path / "other"
    other.mkdir()
    make_certificate(other, "another")
    (tmp_path / broken).write_text((other / broken).read_text())

    with pytest.raises(FailedError, match="cannot be used"):
        load_certificate(context, tmp_path / "cert", tmp_path / "key")


@pytest.mark.parametrize(
    ("limits", "connections", "wanted"),
    [
        ((INFINITE, INFINITE), 4096, None),
        ((1_000_000, 1_000_000), 4096, None),
        ((1024, 1_000_000), 4096, 4224),
        ((1024, INFINITE), 4096, 4224),
        ((1024, 2048), 1920, 2048),
        ((1024, 1024), 896, 1024),
        ((100, 150), 64, 150),
    ],
)
def test_as_many_clients_as_files_can_be_open(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], connections: int, wanted: int | None
) -> None:
    """Less those needed otherwise: rather is a client told to come again than the database not reached."""
    changed: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, given: changed.append(given))

    assert _allow_connections() == connections
    assert changed == ([] if wanted is None else [(wanted, limits[1])])
