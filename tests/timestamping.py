"""A time stamping authority of the test's own: ``openssl ts``."""

from __future__ import annotations

import subprocess
from functools import cached_property
from pathlib import Path

CONFIGURATION = """
[tsa]
default_tsa = authority
[authority]
dir = {folder}
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/cert
certs = {folder}/cert
signer_key = {folder}/key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = authority
[extensions]
basicConstraints = critical,CA:true
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
"""


class Authority:
    """Its certificate signs itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._configuration = folder / "configuration"
        self._configuration.write_text(CONFIGURATION.format(folder=folder))
        (folder / "serial").write_text("01\n")
        self._run(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-config", self._configuration),
            *("-keyout", folder / "key", "-out", folder / "cert"),
        )

    def stamp(self, data: bytes, *, digest: str = "sha256") -> bytes:
        """Its response to a request for a time stamp of the data."""
        given, query, reply = (self.folder / it for it in ("data", "query", "reply"))
        given.write_bytes(data)
        self._run("ts", "-query", "-data", given, f"-{digest}", "-cert", "-out", query)
        self._run(
            "ts",
            "-reply",
            "-queryfile",
            query,
            "-config",
            self._configuration,
            "-out",
            reply,
            may_fail=digest == "sha1",
        )
        return reply.read_bytes()

    @cached_property
    def once(self) -> bytes:
        """A response, the same each time."""
        return self.stamp(b"data")

    def verify(self, token: bytes, data: bytes) -> None:
        """Fail unless openssl finds the token right."""
        (self.folder / "token").write_bytes(token)
        (self.folder / "data").write_bytes(data)
        self._run(
            *("ts", "-verify", "-in", self.folder / "token", "-token_in", "-data", self.folder / "data"),
            *("-CAfile", self.folder / "cert"),
        )

    def _run(self, *arguments: str | Path, may_fail: bool = False) -> None:
        ended = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
        assert may_fail or ended.returncode == 0, ended.stderr
