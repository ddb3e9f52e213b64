"""Where archives may be copied to."""

from __future__ import annotations

from ipaddress import ip_network
from uuid import UUID

import pytest

from jobledger.ledger.domain.destination import Destination
from jobledger.ledger.errors import InvalidCommandError
from jobledger.ledger.work.remote_host import HostNotAllowedError, RemoteHosts


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("192.0.2.7", "192.0.2.7", 22),
        ("192.0.2.7:2222", "192.0.2.7", 2222),
        ("Backup.Example.", "backup.example", 22),
        ("backup:65535", "backup", 65535),
        ("2001:db8::7", "2001:db8::7", 22),
        ("[2001:DB8::7]", "2001:db8::7", 22),
        ("[2001:db8::7]:2222", "2001:db8::7", 2222),
    ],
)
def test_a_host_is_an_address_or_a_name(text: str, host: str, port: int) -> None:
    destination = Destination.read(text, "/srv/", "archiver")

    assert (destination.host, destination.port, destination.path) == (host, port, "/srv")
    assert destination.told(UUID(int=1)) == {
        "host": host,
        "port": port,
        "path": "/srv",
        "user": "archiver",
        "secret": "00000000-0000-0000-0000-000000000001",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":22",
        "a b",
        "-oProxyCommand=x",
        "a\n",
        "host:0",
        "host:65536",
        "host:x",
        "[::1",
        "::1]",
        "[1.2.3.4]:22",
        "a@b",
        "a/b",
        "fe80::1%eth0",
        "[fe80::1%eth0]:22",
        "127.1",
        "2130706433",
        "256.0.0.1",
        "host:²²",
        "größe",
        "a..b",
        "x" * 254,
        "host:22:22",
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(InvalidCommandError) as error:
        Destination.read(text, "/srv", "archiver")

    assert error.value.facts["member"] == "ip"


@pytest.mark.parametrize(
    "path", ["", "srv", "~/srv", "/a\0b", "/a\nb", "/a\x7f", "/a\x85b", "/" + "x" * 4096, "/\ud800"]
)
def test_what_is_no_absolute_path_is_refused(path: str) -> None:
    with pytest.raises(InvalidCommandError) as error:
        Destination.read("192.0.2.7", path, "archiver")

    assert error.value.facts["member"] == "path"


@pytest.mark.parametrize("user", ["", "a\0b", "a\n", "x" * 257])
def test_what_is_no_user_is_refused(user: str) -> None:
    with pytest.raises(InvalidCommandError) as error:
        Destination.read("192.0.2.7", "/", user)

    assert error.value.facts["member"] == "user"


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.0.9", "0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1", "255.255.255.255"),
        *("::1", "::", "fe80::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1"),
    ],
)
async def test_usually_not_to_this_machine_nor_to_many(address: str) -> None:
    assert not RemoteHosts().permits(address)
    with pytest.raises(HostNotAllowedError):
        await RemoteHosts().addresses(address, 22)


@pytest.mark.parametrize("address", ["192.0.2.7", "10.0.0.1", "2001:db8::7", "fd00::1", "::ffff:192.0.2.7"])
async def test_usually_to_any_other(address: str) -> None:
    assert RemoteHosts().permits(address)
    assert await RemoteHosts().addresses(address, 22) == [address]


async def test_only_to_what_is_named_where_something_is() -> None:
    hosts = RemoteHosts([ip_network("127.0.0.0/8"), ip_network("2001:db8::/32")])

    assert [hosts.permits(it) for it in ("127.0.0.1", "::ffff:127.0.0.1", "192.0.2.7", "2001:db8::7", "::1")] == [
        *(True, True, False, True, False)
    ]
    assert await hosts.addresses("localhost", 22) == ["127.0.0.1"]
    assert not RemoteHosts([]).permits("192.0.2.7")


async def test_a_name_that_does_not_resolve_is_told_as_one_that_is_not_allowed() -> None:
    for host in ("none.invalid", "a" * 64 + ".invalid"):
        with pytest.raises(HostNotAllowedError, match=r"^Archives may not be copied to this host\.$"):
            await RemoteHosts().addresses(host, 22)
