"""The real server, in processes of its own: starts, stops, kills."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from jobledger.ledger.postgres.embedded import running_url
from tests.auditor import audit
from tests.scripts.place import Place, children, eventually, is_running, make_certificate

pytestmark = pytest.mark.slow

JOB = {"type": "copy", "name": "nightly"}


def none_runs(pids: list[int]) -> bool:
    return not any(map(is_running, pids))


def audit_server(place: Place) -> None:
    """The auditor's look at what the embedded Postgres of a running server holds."""
    url = running_url(place.data)
    assert url is not None
    asyncio.run(audit(url))


def test_the_first_start_says_where_it_serves_and_where_the_password_lies(empty: Place) -> None:
    """The password in the file is the admin's, and nobody else can read it."""
    with empty.serving() as server:
        assert server.password_path == empty.data / "admin-password"
        assert stat.S_IMODE(server.password_path.stat().st_mode) == 0o600
        assert server.ask("GET", "/default/jobs") == (200, {"jobs": [], "next": None})
        assert server.ask("GET", "/default/jobs", headers=server.authorization("another"))[0] == 401
        audit_server(empty)


def test_a_given_password_is_in_no_file(empty: Place) -> None:
    """JOBLEDGER_ADMIN_PASSWORD is the admin's, and what it hashes to is all that is kept."""
    empty.environment["JOBLEDGER_ADMIN_PASSWORD"] = "correct horse battery staple"

    with empty.serving() as server:
        status, _ = server.ask("GET", "/default/jobs", headers=server.authorization("correct horse battery staple"))

    assert status == 200
    assert not (empty.data / "admin-password").exists()
    found = subprocess.run(["grep", "-r", "-l", "correct horse", empty.data], capture_output=True, text=True)
    assert found.stdout == ""


def test_a_password_written_before_a_crash_is_the_admins(empty: Place) -> None:
    """The file is written before the principal is made: whoever dies in between leaves a password that will work."""
    empty.data.mkdir(mode=0o700)
    (empty.data / "admin-password").write_text("left by a server that died\n")

    with empty.serving() as server:
        assert server.password == "left by a server that died"
        assert server.ask("GET", "/default/jobs")[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.alone
def test_the_second_start_is_quick_and_finds_everything(place: Place, number: signal.Signals) -> None:
    """It answers within 3 s, and a stop leaves no process behind."""
    with place.serving() as server:
        status, answer = server.ask("POST", "/default/jobs", [JOB])
        assert status == 201
        processes = children(server.process.pid)
        code = server.stop(number)

    with place.serving() as server:
        found = server.ask("GET", "/default/jobs")[1]
        took_s = server.first_answer_s
        audit_server(place)

    assert code == 0
    assert processes
    assert not any(map(is_running, processes))
    assert [job["id"] for job in found["jobs"]] == [job["id"] for job in answer["jobs"]]
    assert took_s < 3


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.alone
def test_a_stop_answers_what_is_in_flight_and_refuses_what_is_new(place: Place, workers: str) -> None:
    """A request whose head was read before the signal is answered, and what it was told is there after it."""
    body = json.dumps([JOB]).encode()
    with place.serving("--workers", workers) as server, closing(server.connect()) as connection:
        connection.putrequest("POST", "/ledger/v1/default/jobs")
        for name, value in {**server.authorization(), "Content-Length": str(len(body))}.items():
            connection.putheader(name, value)
        connection.putheader("Content-Type", "application/json")
        connection.endheaders(body[:5])
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: is_refused(server.port))
        connection.send(body[5:])
        answer = connection.getresponse()
        told = json.loads(answer.read())
        code = server.process.wait(20)

    with place.serving() as server:
        found = server.ask("GET", f"/default/jobs/{told['jobs'][0]['id']}")

    assert (answer.status, code) == (201, 0)
    assert found[0] == 200


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.alone
def test_a_second_signal_hurries(place: Place, workers: str) -> None:
    """A request that never ends holds a stop up for ten seconds, and no longer than that second signal."""
    with place.serving("--workers", workers) as server, closing(server.connect()) as connection:
        connection.putrequest("POST", "/ledger/v1/default/jobs")
        for name, value in {**server.authorization(), "Content-Length": "100"}.items():
            connection.putheader(name, value)
        connection.endheaders(b"{")
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: is_refused(server.port))
        began_at = time.monotonic()
        code = server.stop(signal.SIGTERM)
        took_s = time.monotonic() - began_at

    assert code == 0
    assert took_s < 5


def test_a_signal_during_the_start_ends_it(empty: Place) -> None:
    """Nothing stays behind that the next start could stumble over."""
    process = empty.spawn("serve", "--port", "0", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    eventually(lambda: (empty.data / "postgres").exists())
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=30)

    assert (process.returncode, output) == (0, "")
    assert "Traceback" not in errors
    with empty.serving() as server:
        assert server.ask("GET", "/default/jobs")[0] == 200


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_killed_server_loses_nothing_and_is_started_again(place: Place, workers: str) -> None:
    """What was acknowledged before kill -9 is there after the next start, which needs no help and no waiting."""
    acknowledged: list[int] = []
    for _ in range(3):
        with place.serving("--workers", workers) as server:
            for _ in range(20):
                status, answer = server.ask("POST", "/default/jobs", [JOB])
                assert status == 201
                acknowledged += [job["id"] for job in answer["jobs"]]
            others = children(server.process.pid)
            server.process.kill()
            server.process.wait()
        eventually(functools.partial(none_runs, others), 10)

    with place.serving() as server:
        found = {job["id"] for job in server.ask("GET", "/default/jobs?limit=1000")[1]["jobs"]}
        audit_server(place)

    assert found == set(acknowledged)
    assert len(acknowledged) == 60


def test_a_killed_worker_is_replaced(place: Place) -> None:
    """The others go on meanwhile, and a stop ends all of them."""
    with place.serving("--workers", "2") as server:
        before = workers_of(server.process.pid)
        os.kill(before[0], signal.SIGKILL)
        statuses = [server.ask("POST", "/default/jobs", [JOB])[0] for _ in range(20)]
        after = eventually(
            lambda: [it for it in [workers_of(server.process.pid)] if len(it) == 2 and before[0] not in it]
        )
        code = server.stop()

    assert len(before) == 2
    assert statuses == [201] * 20
    assert code == 0
    assert not any(map(is_running, after[0]))


def workers_of(pid: int) -> list[int]:
    return [it for it in children(pid) if b"jobledger.scripts.worker" in Path(f"/proc/{it}/cmdline").read_bytes()]


def test_two_servers_start_on_one_database_at_once(shared: Place) -> None:
    """Both make the first org and admin, one of them succeeds, and the one password works at both."""
    with ThreadPoolExecutor(2) as threads:
        servers = list(threads.map(lambda _: shared.start(), range(2)))
    try:
        statuses = [server.ask("POST", "/default/jobs", [JOB])[0] for server in servers]
        listed = [server.ask("GET", "/default/jobs")[1] for server in servers]
    finally:
        codes = [server.stop() for server in servers]
        for server in servers:
            assert server.process.stdout is not None
            server.process.stdout.close()

    assert statuses == [201, 201]
    assert listed[0] == listed[1]
    assert len(listed[0]["jobs"]) == 2
    assert codes == [0, 0]


def test_a_second_server_on_a_data_folder_is_refused(place: Place) -> None:
    """It says who holds the folder."""
    with place.serving() as server:
        said = place.fail("serve", "--port", "0")

    assert f"in use by process {server.process.pid}" in said


def test_a_port_in_use_is_said(place: Place) -> None:
    """Before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = place.fail("serve", "--port", str(taken.getsockname()[1]))

    assert "cannot be listened on: Address already in use" in said


def test_a_server_refuses_an_empty_database(unmigrated: Place) -> None:
    """A database that was named is not migrated by itself."""
    said = unmigrated.fail("serve", "--port", "0")

    assert "jobledger db migrate" in said


def test_two_migrations_at_once_migrate_once(unmigrated: Place) -> None:
    """Each migration is applied by one of them, and both succeed."""
    with ThreadPoolExecutor(2) as threads:
        said = list(threads.map(lambda _: unmigrated.succeed("db", "migrate"), range(2)))

    assert sorted(line.split()[0] for line in said) == ["Applied", "The"]
    assert unmigrated.succeed("db", "migrate") == "The database is up to date.\n"


def test_two_migrations_of_an_embedded_database_at_once(empty: Place) -> None:
    """One starts the Postgres, the other uses it, or starts it after that."""
    with ThreadPoolExecutor(2) as threads:
        said = list(threads.map(lambda _: empty.succeed("db", "migrate"), range(2)))

    assert any(line.startswith("Applied 0001_ledger") for line in said)


def test_a_data_folder_of_another_installation_is_refused(shared: Place, place: Place) -> None:
    """A folder's keys and passwords are not those of another database."""
    said = Place(place.data, shared.environment).fail("serve", "--port", "0")

    assert f"The data folder {place.data} belongs to installation" in said


def test_another_secret_key_is_refused(shared: Place) -> None:
    """All servers of a data folder have the same, whether it comes from the environment or from its file."""
    with shared.serving():
        pass
    shared.environment["JOBLEDGER_SECRET_KEY"] = "ab" * 32
    said = shared.fail("serve", "--port", "0")
    shared.environment["JOBLEDGER_SECRET_KEY"] = (shared.data / "secret-key").read_text().strip()

    assert "The secret key is not the one" in said
    assert "ab" * 32 not in said
    with shared.serving():
        pass


def test_a_data_folder_with_another_secret_key_is_refused(shared: Place, parent: Path) -> None:
    """Of the same database: what one server encrypts, the others must read. What was changed on purpose is taken everywhere."""
    with shared.serving():
        pass
    other = Place(parent / "other", dict(shared.environment))

    said = [other.fail("serve", "--port", "0") for _ in range(2)]
    other.environment["JOBLEDGER_SECRET_KEY"] = (shared.data / "secret-key").read_text().strip()
    with other.serving():
        pass
    other.environment["JOBLEDGER_SECRET_KEY"] = "ab" * 32
    (other.data / "secret-key-mark").unlink()
    with other.serving():
        pass

    assert all("The secret key is not the one that the other servers of this database have" in it for it in said)
    assert "The secret key is not the one" in shared.fail("serve", "--port", "0")


def test_a_data_path_too_long_for_a_socket_is_refused(parent: Path) -> None:
    """With the limit."""
    said = Place(parent / ("d" * 120)).fail("serve", "--port", "0")

    assert said.startswith("jobledger: The path of the data folder may be 77 bytes long")


def test_a_server_on_tls(place: Place, parent: Path) -> None:
    """With a certificate any host may be served."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate")
    make_certificate(parent, "localhost")
    place.environment |= {"JOBLEDGER_TLS_CERT": str(parent / "cert"), "JOBLEDGER_TLS_KEY": str(parent / "key")}

    process = place.spawn(
        "serve", "--host", "0.0.0.0", "--port", "0", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    url = process.stdout.readline().split()[-1]
    answer = subprocess.run(
        ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", f"{url}/ledger/v1/default/jobs"], capture_output=True
    )
    process.terminate()
    process.communicate(timeout=30)

    assert url.startswith("https://0.0.0.0:")
    assert answer.stdout == b"401"
