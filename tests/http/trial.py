"""Requests that must be refused: in their dialect's form, with nothing changed, and never by the server's fault."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from yarl import URL

from jobledger.ledger.errors import LedgerError
from tests.http.dialects.manners import Manners, Target
from tests.http.serving import NDJSON, OWNER_PASSWORD, Api, Reply, Server
from tests.http.targets import manners_of
from tests.world import ORG

Fault = TypeVar("Fault")


def _is_spent(options: dict[str, Any]) -> bool:
    """Whether the body was a stream, which is gone once it was sent."""
    return "data" in options and not isinstance(options["data"], bytes)


class Spread:
    """Which faults a route is tried with. In the slow part each with each; in the quick one every fault for the first route of
    each dialect, and for each other one an eighth of them, another than its neighbours': what is at fault is found by one way
    for all, so that what counts is each fault somewhere and each route with some.
    """

    PARTS = 8
    THIRDS = 3

    def __init__(self, *, is_whole: bool) -> None:
        self.is_whole = is_whole

    def __call__(self, targets: Sequence[Target], faults: Sequence[Fault]) -> Iterator[tuple[Target, Fault]]:
        """Pairs of a route and a fault, the routes in their order."""
        seen: Counter[Manners] = Counter()
        for number, target in enumerate(targets):
            seen[target.manners] += 1
            for fault in self.some(faults, number, is_first=seen[target.manners] == 1 or target.is_commands):
                yield target, fault

    def some(self, faults: Sequence[Fault], number: int, *, is_first: bool = False) -> Sequence[Fault]:
        """Those for what has this number; at least one, and all where it is the first of its kind."""
        if self.is_whole or is_first:
            return faults
        parts = min(self.PARTS, len(faults))
        return [it for other, it in enumerate(faults) if (number + other) % parts == 0]

    def of_names(
        self, named: Sequence[tuple[Target, str]], faults: Callable[[Target, str], Sequence[Fault]]
    ) -> Iterator[tuple[Target, str, Fault]]:
        """The same of members and parameters: those of a name are divided among the routes of its dialect that have it, and of
        each part every third is tried, others than of the name before; each route with one at least.
        """
        sharing = Counter((target.manners, name) for target, name in named)
        seen: Counter[tuple[Manners, str]] = Counter()
        for number, (target, name) in enumerate(named):
            wrong, key = faults(target, name), (target.manners, name)
            if not self.is_whole and wrong:
                part = wrong[seen[key] :: sharing[key]] or [wrong[seen[key] % len(wrong)]]
                wrong = part[number % min(len(part), self.THIRDS) :: self.THIRDS]
            seen[key] += 1
            for fault in wrong:
                yield target, name, fault


def is_taken(target: Target, body: bytes, read: Callable[[bytes], object]) -> bool:
    """Whether the body is a document, by *read*, and the target takes any that is, or any that has members."""
    if target.body is None or len(body) > target.body.limit_bytes:
        return False
    try:
        document = read(body)
    except LedgerError:
        return False
    return target.body.is_passed_over or (target.passes_over and isinstance(document, dict))


@dataclass
class Trial:
    """A server, a running job, and what was found wrong so far. *token* is of one who may do everything."""

    server: Server
    api: Api
    token: str
    size: int
    wrong: list[str] = field(default_factory=list)
    seen: set[tuple[str, int]] = field(default_factory=set)
    last: Target | None = None

    async def expect(self, target: Target, statuses: int | set[int], **options: Any) -> Reply:
        """Send a request that must be refused so; note what is wrong with the answer.

        Each route's first refusal of each status is asked for in XML too.
        """
        reply = await self._expect(target, statuses, **options)
        headers = options.get("headers", {})
        if (target.pattern, reply.status) not in self.seen and "Accept" not in headers and not _is_spent(options):
            self.seen.add((target.pattern, reply.status))
            options["headers"] = {**headers, "Accept": "application/xml;q=0.9, application/x-ndjson;q=0.8"}
            # Who wants another form than the one there is is told so first.
            also = {406} if target.is_of_one_form else set()
            again = await self._expect(
                target, also | ({statuses} if isinstance(statuses, int) else statuses), **options
            )
            found = again.headers.get("Content-Type")
            if found not in (NDJSON, self.manners(target, options).error_types[-1]):
                self.wrong.append(f"{target}: {again.status} {found}, not XML")
        return reply

    def credentials(self, target: Target) -> dict[str, str]:
        """The headers that show who may do everything."""
        return target.manners.let_in(self.token, f"owner@{ORG}", OWNER_PASSWORD)

    def manners(self, target: Target, options: dict[str, Any]) -> Manners:
        """In which the request is answered: it may go elsewhere than to the target."""
        url = options.get("url")
        return target.manners if url is None else manners_of(URL(url).path)

    async def _expect(self, target: Target, statuses: int | set[int], **options: Any) -> Reply:
        if target is not self.last:
            await self.nothing_has_changed()
            self.last = target
        manners = self.manners(target, options)
        meant = {statuses} if isinstance(statuses, int) else statuses
        wanted = {manners.status(target, it) for it in meant}
        url = options.pop("url", None) or self.server.url + target.path
        headers = {**manners.let_in(self.token, f"owner@{ORG}", OWNER_PASSWORD), **options.pop("headers", {})}
        if (body := options.pop("data", target.content)) is not None:
            options["data"] = body
            headers.setdefault("Content-Type", target.media_type or "")
        headers = {name: value for name, value in headers.items() if value}
        speaker = Api(self.server.session, self.server.url)
        reply = await speaker.send(options.pop("method", target.method), url, headers=headers, **options)
        said = f"{target}: {reply.status} {reply.body[:300]!r}"
        found = manners.statuses(reply)
        if found != wanted and not (found <= wanted and found):
            self.wrong.append(f"{said}, not {wanted}")
        elif reply.headers.get("Content-Type") not in (NDJSON, *manners.error_types):
            self.wrong.append(f"{said} is {reply.headers.get('Content-Type')}")
        else:
            self.wrong += [f"{said} {fault}" for fault in manners.faults(target, reply)]
        if reply.status == 401 and reply.headers["WWW-Authenticate"] != manners.challenge:
            self.wrong.append(f"{said} challenges by {reply.headers['WWW-Authenticate']}")
        if b"Traceback" in reply.body or b".py" in reply.body or len(reply.body) > 100_000:
            self.wrong.append(f"{said} tells too much")
        return reply

    async def nothing_has_changed(self) -> None:
        """Note it if one of the requests since the last time appended anything."""
        size = (await self.server.ledger.recorder.head(ORG)).size
        if size != self.size:
            self.wrong.append(f"{self.last}: something was changed")
            self.size = size

    async def nothing_is_wrong(self) -> None:
        """Fail with all that was."""
        await self.nothing_has_changed()
        assert not self.wrong, "\n".join(self.wrong)
