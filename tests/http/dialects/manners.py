"""What the tests that walk every route must know of a dialect, and its routes as something to send requests to.

A new dialect needs a ``Manners`` of its own in a module beside this one, named in ``tests/http/targets.py``; a new variable of a
path needs its ``Sample``, or its words, in that of its dialect. Without them the walk does not begin.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import orjson

from jobledger.http.dialect import Dialect
from jobledger.http.xml_document import read_xml, write_xml
from tests.http.dialects.wrong import NO_NUMBERS
from tests.http.serving import Reply

MEBIBYTE = 1024 * 1024
JSON = "application/json"


class Sample(NamedTuple):
    """What stands for a variable of a path.

    there:     what both of two orgs have that hold the same
    only_here: what one of them has besides, which the other has not
    absent:    what nobody has, as long as these
    never:     what nothing is ever called; on a path it is not found
    """

    there: str
    only_here: str
    absent: str
    never: Sequence[str]


def uuid_sample(there: str, only_here: str, absent: str) -> Sample:
    """That of a UUID; the others differ from it in their last digit."""
    never = ["2", *NO_NUMBERS, there.upper(), there.replace("-", ""), f"{{{there}}}"]
    return Sample(there, there[:-1] + only_here, there[:-1] + absent, never)


class Body(NamedTuple):
    """A body that is accepted.

    is_due:      whether it cannot be left out, nor be without members
    also:        further media types that are taken there
    limit_bytes: what it may come to
    is_passed_over: whether any other document would do as well
    """

    content: bytes
    media_type: str = JSON
    is_due: bool = False
    also: frozenset[str] = frozenset()
    limit_bytes: int = 8 * MEBIBYTE
    is_passed_over: bool = False


def json_body(document: Any, **members: Any) -> Body:
    """A body of JSON."""
    return Body(orjson.dumps(document), **members)


# What stands for the id of a schedule.
SCHEDULE_ID = "0b6f5f0e-3c0e-4a53-9d42-6f3c3c7a7c11"
# What stands for the id of an attachment of job 1, and what is sent to add another.
ATTACHMENT_ID = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
A_FORM = Body(
    b'--b\r\nContent-Disposition: form-data; name="attachment"; filename="a.txt"\r\n\r\na plan\r\n--b--\r\n',
    "multipart/form-data; boundary=b",
    also=frozenset({"multipart/form-data"}),
)


@dataclass(frozen=True)
class Target:
    """A method and a path: the route's *pattern* with *values* for its variables, and perhaps a *query*."""

    method: str
    pattern: str
    values: tuple[tuple[str, str], ...]
    manners: Manners = field(repr=False)
    query: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def at(self, **values: str) -> str:
        """The path with other values for some of its variables; those that it has not are passed over."""
        path = self.pattern
        for name, value in (dict(self.values) | values).items():
            path = path.replace(f"{{{name}}}", value)
        return f"{path}?{self.query}" if self.query else path

    @property
    def path(self) -> str:
        """The path as it is."""
        return self.at()

    @property
    def last(self) -> str:
        """The last word of the path."""
        return self.path.partition("?")[0].rstrip("/").rpartition("/")[2]

    @property
    def samples(self) -> dict[str, Sample]:
        """Those of the variables that are names of something in the org."""
        return {name: it for name, it in self.manners.samples.items() if f"{{{name}}}" in self.pattern}

    @property
    def absent(self) -> str:
        """The path with ids that nothing has."""
        return self.at(**{name: it.absent for name, it in self.samples.items()})

    @property
    def only_here(self) -> str:
        """The path with ids that only one of two orgs has."""
        return self.at(**{name: it.only_here for name, it in self.samples.items()})

    @property
    def names_org(self) -> bool:
        """Whether the path says which org it is of: else it is the caller's."""
        return self.manners.org_variable is not None and f"{{{self.manners.org_variable}}}" in self.pattern

    def in_org(self, org: str) -> str:
        """The path in another org, where it names one."""
        return self.at(**{self.manners.org_variable: org}) if self.manners.org_variable else self.path

    @property
    def body(self) -> Body | None:
        """A body that is accepted; None where none is taken."""
        return self.manners.body(self)

    @property
    def content(self) -> bytes | None:
        """The bytes of that body."""
        return None if self.body is None else self.body.content

    @property
    def media_type(self) -> str | None:
        """What that body is."""
        return None if self.body is None else self.body.media_type

    @property
    def due(self) -> Any:
        """That body's document."""
        return orjson.loads(self.content or b"{}")

    @property
    def members(self) -> Mapping[str, Any]:
        """The readers of the body's members."""
        return self.manners.members(self)

    @property
    def is_upload(self) -> bool:
        """Whether it takes a file, and no document."""
        return self.manners.is_upload(self)

    @property
    def is_file(self) -> bool:
        """Whether it answers with a file, and no document."""
        return self.method == "GET" and self.pattern.endswith(
            ("/{attachment_id}", "/{tile}", "/{archive_id}/file", "/{archive_id}/manifest", "/{export_id}/file")
        )

    @property
    def is_recorded(self) -> bool:
        """Whether it is told who asked for it, though nothing else is changed."""
        return self.pattern.endswith("/{export_id}/file")

    @property
    def is_of_one_form(self) -> bool:
        """Whether it answers with lines of text, and no document."""
        return self.names_org and self.pattern.endswith(("/checkpoint", "/key"))

    @property
    def is_of_hashes(self) -> bool:
        """Whether its answers are hashes, of what is another each time."""
        return self.names_org and self.pattern.endswith(
            ("/{tile}", "/proof", "/{position}", "/consistency", "/checkpoint", "/key", "/{size}")
        )

    @property
    def passes_over(self) -> bool:
        """Whether members of a body that mean nothing are passed over, and not refused."""
        return self.manners.passes_over(self)

    @property
    def is_open(self) -> bool:
        """Whether it needs no credentials."""
        return self.manners.dialect.is_open(self.path)

    @property
    def is_commands(self) -> bool:
        """Whether it takes a stream, and answers each line for itself."""
        return self.manners.is_commands(self)

    @property
    def capability(self) -> str | None:
        """What its caller must be allowed to do; None for nothing."""
        return None if self.is_open else self.manners.capability(self)


def basic(login: str, password: str) -> str:
    """``name:password`` in base64."""
    return b64encode(f"{login}:{password}".encode()).decode()


class Manners(ABC):
    """How a dialect is spoken.

    org_variable:   the variable of its paths that is an org; None where they name none, and it is the caller's own
    samples:        what stands for the other variables
    challenge:      the ``WWW-Authenticate`` of its 401
    error_types:    the media types of its errors, of which the last is that for who prefers XML
    credentials_in: the header that credentials are shown in
    volatile:       what is another each time in answers that say the same, as regular expressions
    moments:        the members of its documents that tell when they were written
    wrong_members:     for each member of a body what it cannot be
    wrong_parameters:  for each parameter of a query what it cannot be
    """

    dialect: ClassVar[Dialect]
    org_variable: ClassVar[str | None] = None
    samples: ClassVar[Mapping[str, Sample]]
    challenge: ClassVar[str]
    error_types: ClassVar[tuple[str, ...]] = (JSON, "application/xml")
    credentials_in: ClassVar[str] = "Authorization"
    volatile: ClassVar[Sequence[bytes]] = ()
    moments: ClassVar[frozenset[str]] = frozenset()
    wrong_members: ClassVar[Mapping[str, Sequence[Any]]]
    wrong_parameters: ClassVar[Mapping[str, Sequence[str]]]

    def words(self, pattern: str) -> Mapping[str, Sequence[str]]:
        """All that can stand for those variables of a path that are no names."""
        return {}

    @abstractmethod
    def body(self, target: Target) -> Body | None:
        """A body that is accepted while job 1 runs."""

    @abstractmethod
    def members(self, target: Target) -> Mapping[str, Any]:
        """The readers of that body's members."""

    @abstractmethod
    def parameters(self, target: Target) -> Sequence[str]:
        """The parameters of the target's query of which each value but some is refused as malformed."""

    @abstractmethod
    def capability(self, target: Target) -> str | None:
        """What the caller must be allowed to do; None for nothing."""

    def queries(self, target: Target) -> Sequence[str]:
        """Queries by which a list is asked for by other ways than without one; of those that show the same jobs in two orgs that
        hold the same, none that goes on on another page.
        """
        return ()

    def due_query(self, target: Target) -> str:
        """A query without which the request is refused."""
        return ""

    def login(self, target: Target, login: str, password: str) -> Body | None:
        """The body by which a password is exchanged for a token at an open path; None where that is not what it is for."""
        return None

    def login_headers(self, login: str, password: str) -> dict[str, str]:
        """The headers by which a password is exchanged for a token; none where it is in the body."""
        return {}

    def with_token(self, token: str) -> dict[str, str] | None:
        """The headers that show a token; None where none is taken."""
        return {"Authorization": f"Bearer {token}"}

    def with_password(self, shown: str) -> dict[str, str] | None:
        """The headers that show ``name:password``, in base64; None where none is taken."""
        return {"Authorization": f"Basic {shown}"}

    def let_in(self, token: str, login: str, password: str) -> dict[str, str]:
        """The headers that show the one or the other, of the same principal."""
        return self.with_token(token) or self.with_password(basic(login, password)) or {}

    def status(self, target: Target, meant: int) -> int:
        """The status of a refusal that HTTP itself has *meant* for."""
        return meant

    def in_xml(self, document: Any) -> bytes | None:
        """A body in XML; None where it cannot be said so."""
        return write_xml(document)

    def from_xml(self, body: bytes) -> Any:
        """The document of a body in XML."""
        return read_xml(body)[1]

    def accepted(self, target: Target) -> frozenset[int]:
        """The statuses of what is right as it stands."""
        return frozenset({200, 201, 202})

    def besides(self, target: Target) -> frozenset[str]:
        """The capabilities that who asks needs beside the target's, for something that is another's."""
        return frozenset()

    def outside_domains(self, target: Target) -> int | None:
        """The status for those who may see other domains only, of something that is in none of these; None for what is of no
        domain, and theirs to see.
        """
        return self.status(target, 404)

    def is_upload(self, target: Target) -> bool:
        """Whether it takes a file, and no document."""
        return False

    def passes_over(self, target: Target) -> bool:
        """Whether members of a body that mean nothing are passed over, and not refused."""
        return False

    def is_commands(self, target: Target) -> bool:
        """Whether it takes a stream, and answers each line for itself."""
        return False

    def statuses(self, reply: Reply) -> set[int]:
        """What was answered: more than one status where each line is answered for itself."""
        return {reply.status}

    @abstractmethod
    def faults(self, target: Target, reply: Reply) -> list[str]:
        """What is wrong with the document of a refusal."""

    @abstractmethod
    def named(self, document: Any) -> list[str]:
        """The members and parameters that a refusal names."""
