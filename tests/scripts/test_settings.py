"""What the environment says."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from jobledger.scripts.failure import UsageError
from jobledger.scripts.settings import Settings, read_duration


def test_without_an_environment_everything_is_in_the_data_folder() -> None:
    """The defaults, which an empty variable has too."""
    settings = Settings.read({"JOBLEDGER_DATABASE_URL": "", "JOBLEDGER_DATA": ""})

    assert settings == Settings(data=Path("jobledger-data"), start_timeout=timedelta(days=2))


def test_the_command_line_goes_over_the_environment() -> None:
    """``--data`` wins."""
    environment = {"JOBLEDGER_DATA": "/from/environment", "JOBLEDGER_START_TIMEOUT": "90m"}

    assert Settings.read(environment).data == Path("/from/environment")
    assert Settings.read(environment, Path("given")).data == Path("given")
    assert Settings.read(environment).start_timeout == timedelta(minutes=90)
    assert Settings.read({"JOBLEDGER_LARGEST_ATTACHMENT": "1000"}).largest_attachment_bytes == 1000


def test_secrets_are_in_no_representation() -> None:
    """Settings may come into a log or an error."""
    settings = Settings.read(
        {
            "JOBLEDGER_DATABASE_URL": "postgresql://me:hidden@db/ledger",
            "JOBLEDGER_ADMIN_PASSWORD": "hidden",
            "JOBLEDGER_SECRET_KEY": "ab" * 32,
        }
    )

    assert settings.secret_key == b"\xab" * 32
    assert "hidden" not in repr(settings)
    assert "xab" not in repr(settings)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1s", 1), ("15m", 900), ("12h", 43200), ("2d", 172800)])
def test_a_duration_has_a_unit_or_is_in_seconds(text: str, seconds: int) -> None:
    assert read_duration(text, "it").total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5h", "1w", "h", "1 h", "٣h", "9" * 30])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="it is a number of seconds"):
        read_duration(text, "it")


def test_how_the_server_is_reached() -> None:
    """Addresses are networks of one; a slash at the end of the URL is none of it."""
    settings = Settings.read(
        {
            "JOBLEDGER_PUBLIC_URL": "https://jobs.example:8443/",
            "JOBLEDGER_TRUSTED_PROXIES": "192.0.2.9, 10.0.0.0/8,2001:db8::/32",
            "JOBLEDGER_LOG": "off",
        }
    )

    assert settings.public_url == "https://jobs.example:8443"
    assert settings.trusted_proxies == ("192.0.2.9/32", "10.0.0.0/8", "2001:db8::/32")
    assert not settings.logs_requests
    assert Settings.read({"JOBLEDGER_LOG": "json"}).logs_requests


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLIC_URL", "jobs.example"),
        ("PUBLIC_URL", "ftp://jobs.example"),
        ("PUBLIC_URL", "https://jobs.example/ledger"),
        ("PUBLIC_URL", "https://user:password@jobs.example"),
        ("PUBLIC_URL", "https://jobs.example?a"),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://a.example\n"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "10.0.0.0/8;10.1.1.1"),
        ("SCP_ALLOW", "backup.example"),
        ("SCP_ALLOW", "10.0.0.1/8"),
        ("SCP_TRUST", "yes"),
        ("LOG", "xml"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"JOBLEDGER_{name} is "):
        Settings.read({f"JOBLEDGER_{name}": value})


def test_where_archives_may_be_copied_to() -> None:
    settings = Settings.read(
        {
            "JOBLEDGER_SCP_ALLOW": "192.0.2.0/24, 2001:db8::7",
            "JOBLEDGER_SCP_KNOWN_HOSTS": "/etc/ssh/ssh_known_hosts",
            "JOBLEDGER_SCP_TRUST": "first-use",
        }
    )

    assert (settings.scp_allow, settings.scp_trusts_first) == (("192.0.2.0/24", "2001:db8::7/128"), True)
    assert settings.scp_known_hosts == Path("/etc/ssh/ssh_known_hosts")
    usual = Settings.read({})
    assert (usual.scp_allow, usual.scp_known_hosts, usual.scp_trusts_first) == (None, None, False)
