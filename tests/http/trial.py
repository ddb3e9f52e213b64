"""Requests that must be refused: in one form, with nothing changed, and never by the server's fault."""

from dataclasses import dataclass, field
from typing import Any

from tests.http.serving import NDJSON, Api, Reply, Server
from tests.http.targets import Target
from tests.world import ORG

PROBLEMS = ("application/problem+json", "application/problem+xml")


def _is_spent(options: dict[str, Any]) -> bool:
    """Whether the body was a stream, which is gone once it was sent."""
    return "data" in options and not isinstance(options["data"], bytes)


@dataclass
class Trial:
    """A server, a running job, and what was found wrong so far."""

    server: Server
    api: Api
    size: int
    wrong: list[str] = field(default_factory=list)
    seen: set[tuple[str, int]] = field(default_factory=set)

    async def expect(self, target: Target, statuses: int | set[int], **options: Any) -> Reply:
        """Send a request that must be refused so; note what is wrong with the answer.

        Each route's first refusal of each status is asked for in XML too.
        """
        reply = await self._expect(target, statuses, **options)
        headers = options.get("headers", {})
        if (target.pattern, reply.status) not in self.seen and "Accept" not in headers and not _is_spent(options):
            self.seen.add((target.pattern, reply.status))
            options["headers"] = {**headers, "Accept": "application/xml;q=0.9, application/x-ndjson;q=0.8"}
            again = await self._expect(target, statuses, **options)
            if again.headers["Content-Type"] not in (NDJSON, "application/problem+xml"):
                self.wrong.append(f"{target}: {again.status} {again.headers['Content-Type']}, not XML")
        return reply

    async def _expect(self, target: Target, statuses: int | set[int], **options: Any) -> Reply:
        wanted = {statuses} if isinstance(statuses, int) else statuses
        url = options.pop("url", None) or self.server.url + target.path
        headers = {**self.api.headers, **options.pop("headers", {})}
        if (body := options.pop("data", target.body)) is not None:
            options["data"] = body
            headers.setdefault("Content-Type", target.media_type or "")
        headers = {name: value for name, value in headers.items() if value}
        speaker = Api(self.server.session, self.server.url)
        reply = await speaker.send(options.pop("method", target.method), url, headers=headers, **options)
        said = f"{target}: {reply.status} {reply.body[:300]!r}"
        documents = [reply.document] if reply.body and reply.headers["Content-Type"] != NDJSON else reply.lines
        found = {int(document.get("status", reply.status)) for document in documents}
        if found != wanted and not (found <= wanted and found):
            self.wrong.append(f"{said}, not {wanted}")
        elif reply.headers["Content-Type"] == NDJSON and not target.is_commands:
            self.wrong.append(f"{said} is no problem document")
        elif reply.headers["Content-Type"] != NDJSON and reply.headers["Content-Type"] not in PROBLEMS:
            self.wrong.append(f"{said} is {reply.headers['Content-Type']}")
        for document in documents:
            members = [it for it in document if it != "line"][:6]
            if members != ["type", "title", "status", "detail", "code", "instance"]:
                self.wrong.append(f"{said} has members {members}")
            if not document["instance"].endswith(reply.headers["X-Request-Id"]):
                self.wrong.append(f"{said} names another request")
        if b"Traceback" in reply.body or b".py" in reply.body or len(reply.body) > 100_000:
            self.wrong.append(f"{said} tells too much")
        if (await self.server.ledger.recorder.head(ORG)).size != self.size:
            self.wrong.append(f"{said} changed something")
            self.size = (await self.server.ledger.recorder.head(ORG)).size
        return reply

    def nothing_is_wrong(self) -> None:
        """Fail with all that was."""
        assert not self.wrong, "\n".join(self.wrong)
