"""Orgs, principals and tokens from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from jobledger.scripts.command_line import main
from tests.scripts.place import Place


@pytest.fixture
def nasa(shared: Place) -> Place:
    """A place with the org nasa and its admin ann."""
    shared.succeed("org", "add", "nasa")
    shared.succeed("principal", "add", "ann", "--org", "nasa", "--role", "admin", "--password-stdin", stdin="secret\n")
    return shared


@pytest.mark.slow
def test_grants_are_changed_and_listed(nasa: Place) -> None:
    """Each change is an event by the ledger itself, from the command line."""
    of_bob = ("bob", "--org", "nasa")
    nasa.succeed("principal", "add", *of_bob, "--role", "client", "--capability", "PurgeJobs", "--no-password")
    said = nasa.succeed("principal", "set", *of_bob, "--role", "auditor", "--role", "client", "--domain", "Sales")
    nasa.succeed("principal", "set", *of_bob, "--no-capability", "--home-domain", "Sales")
    listed = nasa.succeed("principal", "list", "--org", "nasa").splitlines()

    assert said == "Principal bob@nasa is changed.\n"
    assert listed == [
        "1\tann\tadmin\tall domains (home Global)\tpassword\t0 tokens",
        "2\tbob\tauditor,client\tdomains Sales (home Sales)\tno password\t0 tokens",
    ]
    lines = [json.loads(it) for it in nasa.succeed("replay", "--org", "nasa", "--json").splitlines()]
    assert [(it["type"], it["by"], it["via"]) for it in lines[-2:]] == [
        ("principal.granted", "ledger", "command line")
    ] * 2
    assert lines[-1]["state"]["domains"] == ["Sales"]


@pytest.mark.slow
def test_tokens_are_listed_and_revoked(nasa: Place) -> None:
    nasa.succeed("token", "create", "--org", "nasa", "--principal", "ann", "--label", "nightly", "--expires-in", "12h")
    nasa.succeed("token", "create", "--org", "nasa", "--principal", "ann")
    first, second = [it.split("\t") for it in nasa.succeed("token", "list", "--org", "nasa").splitlines()]

    assert (first[1], first[4], second[3], second[4]) == ("ann", "nightly", "never", "-")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first[3])
    revoke = ("token", "revoke", "--org", "nasa")
    assert nasa.succeed(*revoke, first[0], "--reason", "lost") == f"Token {first[0]} is revoked.\n"
    assert "There is no token" in nasa.fail(*revoke, first[0])
    assert nasa.succeed(*revoke, "--principal", "ann") == "1 tokens of ann@nasa are revoked.\n"
    assert nasa.succeed("token", "list", "--org", "nasa", "--principal", "ann") == ""
    assert "There is no principal bob" in nasa.fail("token", "list", "--org", "nasa", "--principal", "bob")
    assert "There is no org" in nasa.fail("token", "list", "--org", "esa")


@pytest.mark.slow
def test_passwords_and_who_is_disabled(nasa: Place) -> None:
    """The last who can manage the org stays, whoever asks."""
    of_ann = ("ann", "--org", "nasa")
    said = nasa.succeed("principal", "password", *of_ann, "--password-stdin", stdin="another\n")
    assert said == "Principal ann@nasa has a new password.\n"
    for refused in (
        nasa.fail("principal", "password", *of_ann, "--no-password"),
        nasa.fail("principal", "disable", *of_ann, "--reason", "left"),
        nasa.fail("principal", "set", *of_ann, "--role", "client"),
    ):
        assert "Add another first" in refused
    nasa.succeed("principal", "add", "bob", "--org", "nasa", "--role", "admin", "--password-stdin", stdin="secret\n")
    assert nasa.succeed("principal", "disable", *of_ann) == "Principal ann@nasa is disabled.\n"
    assert nasa.succeed("principal", "list", "--org", "nasa").splitlines()[0].endswith("\tdisabled")
    assert nasa.succeed("principal", "enable", *of_ann) == "Principal ann@nasa is enabled.\n"
    assert nasa.succeed("principal", "password", *of_ann, "--no-password") == "Principal ann@nasa has no password.\n"


def test_orgs_are_listed(nasa: Place) -> None:
    nasa.succeed("org", "add", "esa")

    listed = [it.split("\t") for it in nasa.succeed("org", "list").splitlines()]

    assert [it[:2] for it in listed] == [["esa", "1"], ["nasa", "3"]]


@pytest.mark.parametrize(
    "arguments",
    [
        ("principal", "set", "ann", "--org", "nasa"),
        ("principal", "set", "ann", "--org", "nasa", "--domain", "a", "--all-domains"),
        ("principal", "set", "ann", "--org", "nasa", "--capability", "jobs.purge", "--no-capability"),
        ("principal", "password", "ann", "--org", "nasa"),
        ("principal", "password", "ann", "--org", "nasa", "--password-stdin", "--no-password"),
        ("principal", "list"),
        ("token", "revoke", "--org", "nasa"),
        ("token", "revoke", "--org", "nasa", "x", "--principal", "ann"),
        ("token", "revoke", "--org", "nasa", "jl_nasa_hidden"),
    ],
)
def test_what_cannot_be_understood_is_usage(
    arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, a sentence without what may be a secret, and nothing made."""
    monkeypatch.chdir(tmp_path)
    code: Any
    try:
        code = main(arguments)
    except SystemExit as end:
        code = end.code

    said = capsys.readouterr().err
    assert code == 2
    assert said
    assert "hidden" not in said
    assert not list(tmp_path.iterdir())
