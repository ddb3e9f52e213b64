"""The space dialect's manners."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from jobledger.http.space.archiving import LOCAL, PARAMETERS, REQUEST
from jobledger.http.space.cancelling import MANY
from jobledger.http.space.consumers import LARGEST_FORM_BYTES
from jobledger.http.space.dialect import SPACE
from jobledger.http.space.jobs import LIST
from jobledger.http.space.queues import NEW_QUEUE
from jobledger.http.xml_document import read_xml, write_xml
from tests.http.dialects.manners import Body, Manners, Sample, Target, json_body
from tests.http.dialects.wrong import NO_NUMBERS
from tests.http.equipment import CONSUMER
from tests.http.serving import Reply

TEXT = "text/plain; charset=utf-8"
FORM_TYPE = "application/x-www-form-urlencoded"
WRONG_OBJECT: list[Any] = [1, "x", [], {}, True, {"other": 1}]
WRONG_QUEUE = ["http://h/api/hornet-q/queues/jms.queue.none", "a b"]
WRONG_SCHEDULE = ["x", "(at(x))", "(after(1))", "(at(0 0 0 30 2 ? 2027))"]


class SpaceManners(Manners):
    """A sentence; the org is the caller's."""

    dialect = SPACE
    samples: ClassVar = {
        "job_id": Sample("1", "4", "9", NO_NUMBERS),
        "queue": Sample("q", "r", "x", ["%20", "a%2Fb", "%C3%A9", "x" * 129]),
    }
    challenge = 'Basic realm="job ledger"'
    error_types = (TEXT,)
    volatile = (rb"(?<=attributes-0/)[0-9a-f]{32}", rb"(?<=[A-Z][a-z]{2}, )\d\d [A-Z][a-z]{2} \d{4} [0-9:]{8}(?= GMT)")
    wrong_members: ClassVar = {
        "cancel-jobs-request": [*WRONG_OBJECT, {"jobs": 1}, {"jobs": {"job": [{"@href": "x"}]}}],
        "archive-purge-jobs-local-request": [*WRONG_OBJECT, {"archive-jobs-before": "x"}],
        "archive-purge-jobs-remote-request": [*WRONG_OBJECT, {"archive-jobs-before": 1, "user": "u"}],
        "queue": [*WRONG_OBJECT, {"@name": "a b"}, {"@name": ""}, {"@name": "q", "durable": "x"}],
    }
    wrong_parameters: ClassVar = {
        "filter": ["(", "x", "(id eq x)", "%00"],
        "paging": ["x", "(start eq x)", "%00"],
        "sortby": ["(", "x", "%00"],
        "fields": ["(", "x", "%00"],
        "queue": WRONG_QUEUE,
        "queue-url": WRONG_QUEUE,
        "schedule": WRONG_SCHEDULE,
        "schedule-time": WRONG_SCHEDULE,
        "domainContext": ["x", "(filterDomainIds eq x)", "%00"],
    }

    def words(self, pattern: str) -> Mapping[str, Sequence[str]]:
        return {"slash": ["/", ""], "consumer_id": [CONSUMER], "place": ["-1"], "message": ["7"]}

    def body(self, target: Target) -> Body | None:
        if target.method != "POST":
            return None
        match target.last:
            case "cancel":
                return json_body({})
            case "cancel-jobs":
                return json_body({"cancel-jobs-request": {"jobs": {"job": [{"@href": "jobs/99"}]}}}, is_due=True)
            case "archive-purge-jobs":
                return json_body({LOCAL: {"archive-jobs-before": "1000"}}, is_due=True)
            case "queues":
                return json_body({"queue": {"@name": "another"}}, is_due=True)
        form = b"acknowledge=true" if "acknowledgement" in target.last else b"autoAck=true"
        return Body(form, FORM_TYPE, also=frozenset({FORM_TYPE}), limit_bytes=LARGEST_FORM_BYTES)

    def members(self, target: Target) -> Mapping[str, Any]:
        members: dict[str, Mapping[str, Any]] = {
            "cancel-jobs": MANY,
            "queues": NEW_QUEUE,
            "archive-purge-jobs": REQUEST,
        }
        return members.get(target.last, {})

    def parameters(self, target: Target) -> Sequence[str]:
        if target.last == "archive-purge-jobs":
            return [*PARAMETERS]
        if target.method != "GET":
            return []
        return {"jobs": [*LIST], "job-types": ["domainContext"]}.get(target.last, [])

    def queries(self, target: Target) -> Sequence[str]:
        return ["filter=(job-state+eq+INPROGRESS)"] if target.last == "jobs" and target.method == "GET" else []

    def capability(self, target: Target) -> str | None:
        if "/hornet-q/" in target.pattern:
            return "queues.use"
        if target.method == "POST":
            return "jobs.purge" if target.last == "archive-purge-jobs" else "jobs.cancel"
        return None if target.pattern.endswith("{slash}") else "jobs.read"

    def with_token(self, token: str) -> dict[str, str] | None:
        return None

    def is_upload(self, target: Target) -> bool:
        return target.media_type == FORM_TYPE

    def status(self, target: Target, meant: int) -> int:
        return {409: 412, 410: 404}.get(meant, meant)

    def accepted(self, target: Target) -> frozenset[int]:
        """A consumer tells by its headers alone, what is deleted nothing; there is no message, nor one that was taken."""
        if "consume-next" in target.pattern:
            return frozenset({503})
        if "acknowledge" in target.pattern:
            return frozenset({412})
        return (
            super().accepted(target) | {204}
            if target.pattern.endswith("{consumer_id}") or target.method == "DELETE"
            else super().accepted(target)
        )

    def besides(self, target: Target) -> frozenset[str]:
        """A queue is its maker's, and those who manage them."""
        return frozenset({"queues.manage"} if "{queue}" in target.pattern else ())

    def outside_domains(self, target: Target) -> int | None:
        """Queues are of no domain."""
        return super().outside_domains(target) if "{job_id}" in target.pattern else None

    def faults(self, target: Target, reply: Reply) -> list[str]:
        text = reply.body.decode()
        return [] if text.strip() else [f"says {text!r}"]

    def in_xml(self, document: Any) -> bytes | None:
        """The root is the one outer key."""
        if len(document) != 1:
            return None
        [(root, value)] = document.items()
        return write_xml(value, root)

    def from_xml(self, body: bytes) -> Any:
        """What a schema's instance says of its own type is no attribute to other readers."""
        root, document = read_xml(body)
        if (said := re.search(rb'<progress-update [^>]*xsi:type="([a-z-]+)"', body)) is not None:
            document = {"@type": said[1].decode(), **document}
        return {root: document}

    def named(self, document: Any) -> list[str]:
        """As the sentence begins with it."""
        return [
            f"{it[0].lower()}{it[1:]}".partition(" ")[0] for it in str(document).partition(" is wrong: ")[0].split("; ")
        ]
