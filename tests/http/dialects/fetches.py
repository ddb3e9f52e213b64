"""The fetches dialect's manners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from jobledger.http.fetches.datastreams import RANGE
from jobledger.http.fetches.dialect import FETCHES
from jobledger.http.fetches.job_lists import PARAMETERS
from jobledger.http.fetches.tokens import FORM_TYPE, LARGEST_LOGIN_BYTES, LOGIN
from tests.http.dialects.manners import Body, Manners, Sample, Target, json_body
from tests.http.dialects.wrong import NO_NUMBERS, WRONG_TEXT, WRONG_TIME, WRONG_WORD
from tests.http.serving import Reply

DAY = {"start": "2022-10-31", "end": "2022-10-31"}
# A day is taken here as well as an instant.
WRONG_DAY = [it for it in WRONG_TIME if it != "2026-11-21"]
WRONG_DAY_WORD = ["", "now", "2026-13-01", "2026-11-21T22:34:05", "2022-1-1", "9999-12-31", "%00"]


class FetchesManners(Manners):
    """``detail``, and ``errors`` repeated beside it; the org is the caller's."""

    dialect = FETCHES
    samples: ClassVar = {
        "job_id": Sample("1", "4", "9", ["2", "3", *NO_NUMBERS]),
        "datastream_id": Sample("3", "4", "9", []),
    }
    challenge = "Token"
    volatile = (rb'(?<="duration":")[^"]*',)
    wrong_members: ClassVar = {
        "start": WRONG_DAY,
        "end": WRONG_DAY,
        "username": [*WRONG_TEXT, "x" * 201],
        "password": [*WRONG_TEXT, "x" * 1025],
    }
    wrong_parameters: ClassVar = {
        "datastream_id": [*WRONG_WORD, "/"],
        "start": WRONG_DAY_WORD,
        "end": WRONG_DAY_WORD,
        "state": ["", "Done", "7", "1,", "-1", "%00"],
        "ordering": ["", "name", "--id", "%00"],
        "stack": WRONG_WORD,
        "page_size": ["", "0", "-1", "1001", "1.5", "x", "9" * 30, "%00", "%D9%A3"],
    }

    def words(self, pattern: str) -> Mapping[str, Sequence[str]]:
        """With a slash at its end or without."""
        return {"slash": ["/", ""]}

    def body(self, target: Target) -> Body | None:
        match target.method, target.last:
            case "GET", _:
                return None
            case _, "fetch_fixed":
                return json_body(DAY, is_due=True)
            case _, "token":
                body = json_body(
                    {"username": "nobody@acme", "password": "x"}, is_due=True, limit_bytes=LARGEST_LOGIN_BYTES
                )
                return body._replace(also=frozenset({FORM_TYPE}))
        return json_body({})

    def members(self, target: Target) -> Mapping[str, Any]:
        members: dict[str, Mapping[str, Any]] = {"fetch_fixed": RANGE, "token": LOGIN, "stop": {}}
        return members[target.last]

    def parameters(self, target: Target) -> Sequence[str]:
        # A page that there is not is not found.
        return [it for it in PARAMETERS if it != "page"] if target.last == "jobs" else []

    def queries(self, target: Target) -> Sequence[str]:
        queries = [
            "start=2000-01-01",
            "end=2100-01-01&state=1&ordering=-job_start",
            "state=0,1&stack=Global",
            "datastream_id=3",
        ]
        if target.last != "jobs":
            return []
        return queries[:1] if target.samples else queries

    def capability(self, target: Target) -> str | None:
        return {"stop": "jobs.stop", "fetch_fixed": "jobs.register"}.get(target.last, "jobs.read")

    def login(self, target: Target, login: str, password: str) -> Body | None:
        return json_body({"username": login, "password": password})

    def with_token(self, token: str) -> dict[str, str]:
        return {"Authorization": f"Token {token}"}

    def status(self, target: Target, meant: int) -> int:
        """Whoever logs in in vain has sent a bad request, and so has who asks for what the state forbids."""
        return 400 if meant == 409 or (meant == 401 and target.is_open) else meant

    def outside_domains(self, target: Target) -> int | None:
        """The list of a datastream that is not there is empty."""
        return 200 if target.last == "jobs" else 404

    def faults(self, target: Target, reply: Reply) -> list[str]:
        document = reply.document
        errors = document.get("errors", {})
        if set(document) != {"detail", *errors, *(["errors"] if errors else [])}:
            return [f"has members {list(document)}"]
        if not isinstance(document["detail"], str | list):
            return ["has no detail"]
        return [
            f"repeats {it} otherwise" for it in errors if it not in ("detail", "errors") and document[it] != errors[it]
        ]

    def named(self, document: Any) -> list[str]:
        return list(document.get("errors", ()))
