"""Where a test runs the real command line: a data folder, an environment, servers of its own."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("jobledger")
SAMPLE = Path(__file__).parent.parent / "data" / "NASA-iPSC-1993-3.1-head.swf"
MADE = SAMPLE.with_name("made.swf")
PATIENCE_S = 60.0


def eventually(is_so: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """What *is_so* returns as soon as that is true."""
    deadline = time.monotonic() + patience_s
    while True:
        found = is_so()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not become so"
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    """The processes that this one has started and that still run."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def is_running(pid: int) -> bool:
    """Whether there is such a process, and not only what is left of it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


@dataclass
class Server:
    """A running ``jobledger serve``."""

    process: subprocess.Popen[str]
    port: int
    password_path: Path | None
    log: Path
    first_answer_s: float

    @property
    def password(self) -> str:
        """The admin's."""
        assert self.password_path is not None
        return self.password_path.read_text().strip()

    def connect(self) -> http.client.HTTPConnection:
        """A connection of the test's own."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)

    def authorization(self, password: str | None = None) -> dict[str, str]:
        """The header by which the admin logs in."""
        return {"Authorization": "Basic " + base64.b64encode(f"admin:{password or self.password}".encode()).decode()}

    def ask(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """The status and the decoded document of an answer to the admin, or to whom *headers* name."""
        connection = self.connect()
        try:
            content = None if body is None else json.dumps(body)
            shown = {"Content-Type": "application/json", **(headers or self.authorization())}
            connection.request(method, f"/ledger/v1{path}", content, shown)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        finally:
            connection.close()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code, after this signal."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


class ReadyProgram:
    """The program, imported once: what most of a short run takes. One run at a time."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self._files = [folder / name for name in ("in", "out", "error")]
        self._process = process

    def run(self, arguments: list[str], environment: dict[str, str], stdin: str) -> subprocess.CompletedProcess[str]:
        """As ``subprocess.run`` of the program."""
        for path, text in zip(self._files, (stdin, "", ""), strict=True):
            path.write_text(text)
        request = {"arguments": arguments, "environment": environment, "files": [str(it) for it in self._files]}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, *(it.read_text() for it in self._files[1:]))


@dataclass
class Place:
    """A data folder that may not be there yet, and an environment. *ready*: what short runs are forked from."""

    data: Path
    environment: dict[str, str] = field(default_factory=dict)
    ready: ReadyProgram | None = None

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("JOBLEDGER_")}
        return {**inherited, "JOBLEDGER_DATA": str(self.data), **self.environment}

    def spawn(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
        """Start ``jobledger`` with these arguments."""
        return subprocess.Popen([PROGRAM, *arguments], env=self._environment(), text=True, **options)

    def run(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run ``jobledger`` with these arguments to its end."""
        if self.ready is not None:
            return self.ready.run([str(it) for it in arguments], self._environment(), stdin)
        return subprocess.run(
            [PROGRAM, *arguments], env=self._environment(), input=stdin, capture_output=True, text=True, timeout=300
        )

    def succeed(self, *arguments: str | Path, stdin: str = "") -> str:
        """What it prints, when it succeeds."""
        ended = self.run(*arguments, stdin=stdin)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def fail(self, *arguments: str | Path, code: int = 1, stdin: str = "") -> str:
        """What it says on standard error, one sentence without a traceback, when it fails with this exit code."""
        ended = self.run(*arguments, stdin=stdin)
        assert ended.returncode == code, (ended.returncode, ended.stdout, ended.stderr)
        assert "Traceback" not in ended.stderr
        assert ended.stdout == ""
        return ended.stderr

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[Server]:
        """A server on a free port, that answers; killed at the end unless it was stopped."""
        server = self.start(*arguments)
        try:
            yield server
        finally:
            if server.process.poll() is None and server.stop() != 0:
                raise AssertionError(server.log.read_text())
            assert server.process.stdout is not None
            server.process.stdout.close()

    def start(self, *arguments: str) -> Server:
        """A server on a free port, when it answers for the first time."""
        log = self.data.with_name(f"{self.data.name}.log")
        began_at = time.monotonic()
        with log.open("a") as file:
            process = self.spawn("serve", "--port", "0", *arguments, stdout=subprocess.PIPE, stderr=file)
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.fullmatch(r"Job Ledger serves http://127\.0\.0\.1:(\d+)\n", line)
        if match is None:
            process.stdout.close()
            process.wait(PATIENCE_S)
            raise AssertionError(log.read_text())
        server = Server(process, int(match[1]), None, log, 0.0)
        connection = server.connect()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        connection.close()
        server.first_answer_s = time.monotonic() - began_at
        if (self.data / "admin-password").exists():
            line = process.stdout.readline()
            server.password_path = Path(line.removeprefix("The password of admin lies in ").strip())
        return server


def make_certificate(folder: Path, name: str) -> None:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    subject = f"/CN={name}"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "1",
            ),
            *("-subj", subject, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key"),
            *("-out", folder / "cert"),
        ],
        check=True,
        capture_output=True,
    )
