"""Walking every route of the application, each by a connection of its own, so that whole answers can be compared byte for byte:
status, headers in their order, body.

Only what is another each time is made the same: the request's id and the date, and of a dialect what its manners call volatile.
What an org has for itself is marked with its name, which no answer to another may hold.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import NamedTuple
from uuid import UUID

from jobledger.http.context import DATA
from jobledger.ledger.domain.access import CAPABILITIES_BY_ROLE
from tests.http.dialects.manners import ATTACHMENT_ID, SCHEDULE_ID, Body, Target, basic
from tests.http.dialects.native import TOKEN_ID
from tests.http.dialects.native_bodies import NEW_COPY_BODY
from tests.http.equipment import add_archive, add_export, add_queue, add_schedule, equip
from tests.http.serving import OWNER_PASSWORD, Api, Server, add_principal
from tests.http.targets import GUARDED, TARGETS
from tests.signing import sign
from tests.world import ORG

# As long a name: no answer is longer for it.
TWIN = "twin"
NOWHERE = "none"
# Of who is let in by a password too.
PASSWORD = "of somebody"

DATE = re.compile(rb"(?<=\r\nDate: )[^\r]+")
REQUEST_ID = re.compile(rb"(?<=\r\nX-Request-Id: )[0-9a-f-]{36}")
CONTENT_LENGTH = re.compile(rb"(?<=\r\nContent-Length: )\d+")
INSTANCE = re.compile(rb"(?<=urn:uuid:)[0-9a-f-]{36}")

QUERIES = [replace(it, query=query) for it in GUARDED if it.method == "GET" for query in it.manners.queries(it)]
# What changes nothing, not even what is told of who asked.
READS = [it for it in GUARDED if it.method == "GET" and not it.is_recorded] + QUERIES
OPEN = [it for it in TARGETS if it.is_open]
# After these others are refused: the job has ended, or is gone; the token is none.
LAST = (
    *("stop", "cancel", "fail", "succeed", "close", "reopen", "retain", "release", "delete", "erase", "manage"),
    *("revoke", "revoke_tokens"),
)


def rank(target: Target) -> int:
    """When it is its turn: what removes comes last, first of what a job has, then the job, then all else, then one's own token."""
    if target.last == "Logout":
        return 2 + len(LAST)
    if target.method == "DELETE":
        return 0 if "{job_id}" in target.pattern else 1 + len(LAST)
    return 1 + LAST.index(target.last) if target.last in LAST else -1


# What is right for the others is of the very checkpoint.
OF_A_CHECKPOINT = ("cosignatures", "timestamp")
IN_ORDER = sorted(
    (replace(it, query=it.manners.due_query(it)) for it in GUARDED if it.last not in OF_A_CHECKPOINT), key=rank
)


class Shown(NamedTuple):
    """What a request shows: a token, or a login and its password; or nothing. The login goes with the token of one who has both."""

    token: str | None = None
    login: str | None = None
    password: str = ""

    def headers(self, target: Target) -> dict[str, str] | None:
        """As the target's dialect has it; None where that does not take such a thing."""
        if self.token is not None and (headers := target.manners.with_token(self.token)) is not None:
            return headers
        if self.login is not None:
            return target.manners.with_password(basic(self.login, self.password))
        return None if self.token is not None else {}


NOTHING = Shown()


def masked(answer: bytes, volatile: Iterable[bytes] = ()) -> bytes:
    """The answer without its date, its request's id, and what else is another each time."""
    for pattern in volatile:
        answer, count = re.subn(pattern, b"VOLATILE", answer)
        if count:
            # What is another may be longer.
            answer = CONTENT_LENGTH.sub(b"LENGTH", answer)
    return INSTANCE.sub(b"ID", REQUEST_ID.sub(b"ID", DATE.sub(b"DATE", answer)))


@dataclass
class Walk:
    """A server with two orgs that hold the same, and who speaks there. ``owners`` are those who may do all."""

    server: Server
    database_url: str
    owners: dict[str, Shown]
    numbers: Iterator[int] = field(default_factory=count)

    async def say(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: Body | None = None
    ) -> bytes:
        """The whole answer to a request by a connection of its own."""
        lines = [f"{method} {path} HTTP/1.1", "Host: ledger", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body is not None:
            lines += [f"Content-Type: {body.media_type}", f"Content-Length: {len(body.content)}"]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if body is None else body.content))
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return masked(answer)

    async def ask(self, target: Target, shown: Shown, path: str, method: str | None = None) -> bytes:
        """The answer to the target's request on *path*."""
        headers = shown.headers(target)
        if headers is None:
            # Where no tokens are taken, nor passwords, these are as good as none.
            headers = {}
        answer = await self.say(method or target.method, path, headers, target.body)
        return masked(answer, target.manners.volatile)

    async def same(
        self, target: Target, shown: Shown, meant: int, there: str, elsewhere: str, method: str | None = None
    ) -> bytes:
        """What is answered on both paths, with the status that is *meant*: it tells nothing of either."""
        answers = [await self.ask(target, shown, path, method) for path in (there, elsewhere)]
        assert status_of(answers[0]) == target.manners.status(target, meant), (str(target), answers[0])
        assert answers[0] == answers[1], f"{target}: {there} and {elsewhere} differ"
        return answers[0]

    async def sizes(self) -> list[int]:
        """How many events the orgs have."""
        return [(await self.server.ledger.recorder.head(org)).size for org in (ORG, TWIN)]

    def api(self, org: str) -> Api:
        """The native client of who may do all there."""
        return self.server.api(self.owners[org].token, org=org)

    async def somebody(self, *roles: str, org: str = ORG, **members: object) -> Shown:
        """Who is known only there, with a token."""
        name, password = str(members.pop("name", f"somebody-{next(self.numbers)}")), members.pop("password", PASSWORD)
        add = add_principal(self.server.ledger, roles, org=org, name=name, password=str(password), **members)  # type: ignore[arg-type]
        return Shown(await add, f"{name}@{org}", str(password))

    async def add_what_only_one_has(self) -> None:
        """What the samples call so: a copy, a job with its datastream, a hold, and a principal with a token."""
        await self.add_copy_of_one()
        only = {name: it.only_here for target in TARGETS for name, it in target.samples.items()}
        await self.somebody("client", name=f"{ORG}-only", credential=UUID(only["token_id"]))
        job = marked(ORG, "Global", datastream=only["datastream_id"])
        job_id = await self.api(ORG).register_running(**job, copies=[{"id": int(only["copy_id"])}])
        assert str(job_id) == only["job_id"]
        await self.api(ORG).post("diagrams", {"name": f"of {ORG} only", "steps": [{"id": "a"}], "active": True})
        template = await self.api(ORG).post("templates", {"name": f"of {ORG} only", "diagram_id": 3})
        assert str(template.document["id"]) == only["template_id"]
        await equip(self.server.ledger, ORG, job_id, diagram_id=3, template_id=4, attachment_id=only["attachment_id"])
        await add_schedule(self.server.ledger, ORG, only["schedule_id"])
        await add_archive(self.server.ledger, ORG, only["archive_id"], self.server.app[DATA])
        await add_export(self.server.ledger, ORG, only["export_id"], self.server.app[DATA])
        await add_queue(self.server.ledger, ORG, only["queue"])
        hold = await self.api(ORG).post("holds", case(f"{ORG} only"))
        assert str(hold.document["id"]) == only["hold_id"]
        # Positions and tiles that the other has not.
        await self.api(ORG).post("jobs", [{"type": ORG, "name": ORG}] * 500)
        await sign(self.server.ledger, ORG)

    async def add_copy_of_one(self) -> None:
        """The copy that the samples call so, and its storage policy."""
        only = {name: it.only_here for target in TARGETS for name, it in target.samples.items()}
        mark = f"of {ORG} only"
        body = {"name": mark, "storage_policy_id": int(only["storage_policy_id"]), "storage_policy_name": mark}
        reply = await self.api(ORG).put(f"copies/{only['copy_id']}", body)
        assert reply.status in (200, 201), reply.body


def status_of(answer: bytes) -> int:
    """The status of a whole answer."""
    return int(answer.split(b" ", 2)[1])


def marked(org: str, domain: str, *, datastream: str) -> dict[str, object]:
    """A job all of whose own is marked with its org and domain."""
    mark = f"of {org} in {domain}"
    return {
        "type": mark,
        "name": mark,
        "domain": domain,
        "stage": "fetch",
        "datastream": {"id": datastream, "name": mark},
        "attributes": {mark: mark},
    }


def with_id(answer: bytes, told: str) -> bytes:
    """The answer without the id that was asked for, where it tells it."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return head + re.sub(rb"\b%b\b" % told.encode(), b"THE-ID", body)


async def settled(server: Server, org: str) -> Shown:
    """Put into an org copies, jobs of two domains, and two principals; both orgs have the same by number, name and password.

    Its owner.
    """
    token = await add_principal(
        server.ledger, list(CAPABILITIES_BY_ROLE), org=org, name="owner", password=OWNER_PASSWORD
    )
    await add_principal(server.ledger, ["client"], org=org, name="bob", password="secret", credential=UUID(TOKEN_ID))
    api = server.api(token, org=org)
    await register_copies(api)
    await api.register_running(**marked(org, "Global", datastream="3"), copies=[{"id": 7, "state": "to_be_copied"}])
    await api.register(**marked(org, "Sales", datastream="5"))
    await api.register(**marked(org, "Global", datastream="6"))
    await api.draw()
    await equip(server.ledger, org, 1, diagram_id=1, template_id=2, attachment_id=ATTACHMENT_ID)
    await api.post("holds", case(f"of {org}"))
    await add_schedule(server.ledger, org, SCHEDULE_ID)
    await add_archive(server.ledger, org, "51", server.app[DATA])
    await add_export(server.ledger, org, "61", server.app[DATA])
    await add_queue(server.ledger, org, "q")
    await sign(server.ledger, org)
    return Shown(token, f"owner@{org}", OWNER_PASSWORD)


async def register_copies(api: Api) -> None:
    """Two copies of one storage policy, the second of them without jobs."""
    for copy_id, name in ((7, "primary"), (8, "second")):
        reply = await api.put(f"copies/{copy_id}", {**NEW_COPY_BODY, "name": name})
        assert reply.status == 201, reply.body


def case(name: str) -> dict[str, object]:
    """A hold over no job that there is."""
    return {"name": name, "reason": "a lawsuit", "filter": {"type": "none"}}


async def walked(server: Server, database_url: str) -> Walk:
    """Both orgs, with the same."""
    await server.ledger.create_org(TWIN)
    return Walk(server, database_url, {org: await settled(server, org) for org in (ORG, TWIN)})
