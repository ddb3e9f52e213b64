"""The copies dialect's manners."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from jobledger.http.copies.dialect import CONSOLES, COPIES
from jobledger.http.copies.job_lists import PARAMETERS
from jobledger.http.copies.operations import MEMBERS
from jobledger.http.copies.policies import PARAMETERS as POLICY_PARAMETERS
from jobledger.http.copies.sessions import LARGEST_LOGIN_BYTES, LOGIN
from tests.http.dialects.manners import Body, Manners, Sample, Target, json_body
from tests.http.dialects.wrong import NO_NUMBERS, WRONG_BOOLEAN, WRONG_TEXT
from tests.http.serving import Reply

OPERATION = {"storagePolicyId": 3, "copyId": 7, "commcellId": 2, "opType": "RETAIN", "jobIds": [1]}
WRONG_INT32: list[Any] = [2**31, -(2**31) - 1, 10**18, 1.5, "x", "", "1.0", " 1", "٣", True, [], {}, "9" * 21]
WRONG_SECONDS = ["", "-1", "now", "1.5", "253370764800", "9" * 30, "%00"]
WRONG_SUM = ["", "-1", "x", "1.5", "128", "9" * 30, "%00"]
TIMES = (b"startTime", b"endTime", b"duration")


def encoded(password: str) -> str:
    """The password as it is given here."""
    return b64encode(password.encode()).decode()


class CopiesManners(Manners):
    """``errorMessage`` and ``errorCode``; the org is the caller's."""

    dialect = COPIES
    samples: ClassVar = {
        "copy_id": Sample("7", "6", "9", NO_NUMBERS),
        "storage_policy_id": Sample("3", "4", "9", NO_NUMBERS),
    }
    challenge = "QSDK"
    credentials_in = "Authtoken"
    volatile = tuple(rb'(?<="%b":)\d+' % it for it in TIMES)
    wrong_members: ClassVar = {
        **dict.fromkeys(("storagePolicyId", "copyId", "commcellId"), WRONG_INT32),
        "opType": [*WRONG_TEXT, "retain", "RECOPY"],
        "jobIds": [
            *(1, True, {}, [], "", "x", "1,", ",", "1;2", "1.5", ["x"], [None], [[1]], [2**31], [1.5], [True]),
            *([1] * 10_001, ",".join(["1"] * 10_001), "9" * 30),
        ],
        "retainUntilTime": ["", "x", "now", True, 1.5, [], {}, 253370764800, 2**63, "2026-11-21T22:34:05Z"],
        "loadDependentJobs": WRONG_BOOLEAN,
        "loadArchiverJobs": WRONG_BOOLEAN,
        "username": [*WRONG_TEXT, "x" * 201],
        "password": [*WRONG_TEXT, "x" * 4097, "!", "a", "YQ", "/w==", "YQ==\n", "é"],
    }
    wrong_parameters: ClassVar = {
        "view": ["", "All", "lastweek", "%00"],
        "startTime": WRONG_SECONDS,
        "endTime": WRONG_SECONDS,
        "clients": ["x", "1,", ",", "1;2", "-1", "1.5", "2147483648", ",".join(["1"] * 1001), "%00"],
        "agedData": ["", "-1", "3", "x", "%00"],
        "backupLevel": [*WRONG_SUM, "16"],
        "backupLvl": [*WRONG_SUM, "16"],
        "copyState": [*WRONG_SUM, "2"],
        "getAll": ["", "x" * 11, "%00"],
    }

    def words(self, pattern: str) -> Mapping[str, Sequence[str]]:
        """Below either console; the service is found with a slash at its end or without."""
        return {"console": CONSOLES, "slash": ["/", ""]}

    def body(self, target: Target) -> Body | None:
        match target.method, target.last:
            case "GET", _:
                return None
            case _, "JobOperations":
                return json_body(OPERATION, is_due=True)
            case _, "Login":
                document = {"username": "nobody@acme", "password": encoded("x")}
                return json_body(document, is_due=True, limit_bytes=LARGEST_LOGIN_BYTES)
        return json_body({}, limit_bytes=LARGEST_LOGIN_BYTES, is_passed_over=True)

    def members(self, target: Target) -> Mapping[str, Any]:
        members: dict[str, Mapping[str, Any]] = {"JobOperations": MEMBERS, "Login": LOGIN}
        return members.get(target.last, {})

    def parameters(self, target: Target) -> Sequence[str]:
        return {"Jobs": [*PARAMETERS], "StoragePolicy": [*POLICY_PARAMETERS]}.get(target.last, [])

    def queries(self, target: Target) -> Sequence[str]:
        if target.last != "Jobs":
            return []
        return [
            "view=custom&agedData=2",
            "view=lastWeek&copyState=4",
            "startTime=1&backupLvl=8",
            "clients=2&copyState=16",
        ]

    def capability(self, target: Target) -> str | None:
        if target.last == "JobOperations":
            return "jobs.retain"
        return "jobs.read" if target.method == "GET" else None

    def login(self, target: Target, login: str, password: str) -> Body | None:
        if target.last != "Login":
            return None
        return json_body({"mode": 4, "username": login, "password": encoded(password)})

    def with_token(self, token: str) -> dict[str, str]:
        return {"Authtoken": f"QSDK {token}"}

    def with_password(self, shown: str) -> dict[str, str]:
        return {"Authtoken": f"Basic {shown}"}

    def status(self, target: Target, meant: int) -> int:
        """Whoever logs in in vain is told so by a 200."""
        return 200 if meant == 401 and target.is_open else meant

    def outside_domains(self, target: Target) -> int | None:
        """Copies and policies are of no domain."""
        return None if target.samples else super().outside_domains(target)

    def faults(self, target: Target, reply: Reply) -> list[str]:
        document = reply.document
        if list(document) != ["errorMessage", "errorCode"]:
            return [f"has members {list(document)}"]
        code = 5 if reply.status in (401, 403) else reply.status
        return [] if int(document["errorCode"]) == code else [f"says {document['errorCode']}"]

    def named(self, document: Any) -> list[str]:
        """As the sentence begins with it."""
        problems = document["errorMessage"].split("; ")
        return [f"{it[0].lower()}{it[1:]}".partition(" ")[0] for it in problems]
