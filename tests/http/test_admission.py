"""Who has no right on a route learns nothing by it: not who is there, nor what, nor whether anything is."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable

import pytest

from jobledger.ledger.domain.access import CAPABILITIES, CAPABILITIES_BY_ROLE
from jobledger.ledger.domain.access_commands import DisablePrincipal
from jobledger.ledger.domain.credential_commands import RevokeTokens
from jobledger.ledger.store.ledger import ledger_itself
from tests.cluster import session
from tests.http.serving import OWNER_PASSWORD, new_token
from tests.http.targets import GUARDED, OF_NO_ORG, ROUTES
from tests.http.trial import Spread
from tests.http.walk import (
    IN_ORDER,
    NOTHING,
    NOWHERE,
    OPEN,
    PASSWORD,
    QUERIES,
    READS,
    TWIN,
    Shown,
    Walk,
    masked,
    status_of,
    with_id,
)
from tests.world import ORG


async def expired(walk: Walk) -> Shown:
    """A token that has expired."""
    shown = await walk.somebody("admin", name="late")
    async with session(walk.database_url) as owner:
        await owner.execute(
            "UPDATE credential SET expires_at = clock_timestamp() WHERE principal_id = 3 AND kind = 'token'"
        )
    return Shown(shown.token)


async def revoked(walk: Walk) -> Shown:
    """A token that was revoked."""
    shown = await walk.somebody("admin", name="late")
    await walk.server.ledger.execute(RevokeTokens(caller=ledger_itself(ORG), principal="late"))
    return Shown(shown.token)


async def of_a_disabled_principal(walk: Walk) -> Shown:
    """A token of a principal that was disabled."""
    shown = await walk.somebody("admin", name="late", password=PASSWORD)
    await walk.server.ledger.execute(DisablePrincipal(caller=ledger_itself(ORG), principal="late"))
    return Shown(shown.token)


async def password_of_a_disabled_principal(walk: Walk) -> Shown:
    """A password of a principal that was disabled."""
    await of_a_disabled_principal(walk)
    return Shown(login=f"late@{ORG}", password=PASSWORD)


async def token_of_the_twin_renamed(walk: Walk) -> Shown:
    """The twin's token, said to be of the other org."""
    return Shown(str(walk.owners[TWIN].token).replace(TWIN, ORG))


INVALID: dict[str, Callable[[Walk], Awaitable[Shown]] | Shown] = {
    "no token": NOTHING,
    "a bad one": Shown(new_token()),
    "one of an org that there is not": Shown(new_token(NOWHERE)),
    "what is no token": Shown("x"),
    "an expired one": expired,
    "a revoked one": revoked,
    "one of a disabled principal": of_a_disabled_principal,
    "a password of a disabled principal": password_of_a_disabled_principal,
    "one of the twin's by another name": token_of_the_twin_renamed,
    "a wrong password": Shown(login=f"owner@{ORG}", password="wrong"),
    "a name that nobody has": Shown(login=f"nobody@{ORG}", password=OWNER_PASSWORD),
    "a name of an org that there is not": Shown(login=f"owner@{NOWHERE}", password=OWNER_PASSWORD),
    "a bare name that nobody has": Shown(login="nobody", password=OWNER_PASSWORD),
}


@pytest.mark.parametrize("shown", INVALID)
async def test_who_shows_nothing_valid_learns_nothing(walk: Walk, shown: str, spread: Spread) -> None:
    """The same 401 on every route, in an org that there is and in one that there is not, for ids that there are and are not."""
    given = INVALID[shown]
    invalid = await given(walk) if callable(given) else given
    sizes = await walk.sizes()

    answers: dict[str, set[bytes]] = defaultdict(set)
    routes = [it for it in ROUTES if not it.is_open]
    tried = {target for target, each in spread(routes, list(INVALID)) if each == shown}
    for number, target in enumerate(routes):
        if target not in tried:
            continue
        other = (target.absent, target.in_org(NOWHERE), target.in_org(TWIN))[number % 3]
        answers[target.manners.dialect.name].add(await walk.same(target, invalid, 401, target.path, other))

    assert {name: len(it) for name, it in answers.items()} == dict.fromkeys(answers, 1)
    assert await walk.sizes() == sizes


async def test_without_the_capability_nothing_is_told_of_what_there_is(walk: Walk, spread: Spread) -> None:
    """The same 403 for ids that there are and that there are not: to who may do nothing, and to who may do all else."""
    lacking: dict[str | None, Shown] = {None: await walk.somebody()}
    for capability in {it.capability for it in GUARDED} - {None}:
        lacking[capability] = await walk.somebody(capabilities=tuple(CAPABILITIES - {capability}))
    sizes = await walk.sizes()

    for number, target in enumerate(it for it in GUARDED if it.capability):
        for shown in spread.some((lacking[None], lacking[target.capability]), number):
            if target.is_commands:
                # Each of its lines is answered for itself.
                assert b'"status":403' in await walk.same(target, shown, 200, target.path, target.path)
            else:
                await walk.same(target, shown, 403, target.path, target.absent)

    assert await walk.sizes() == sizes


async def test_no_other_capability_is_asked_for(walk: Walk) -> None:
    """Who reads needs the one that a route has, and no more."""
    for target in READS:
        only = () if target.capability is None else (target.capability,)
        asking = await walk.somebody(capabilities=(*only, *target.manners.besides(target)))
        answer = await walk.ask(target, asking, target.path)
        assert status_of(answer) in target.manners.accepted(target), (str(target), answer)


async def test_a_job_outside_the_domain_is_as_absent_as_one_that_there_is_not(walk: Walk) -> None:
    """And who may see some domains only is told nothing of principals and tokens, whatever its capabilities."""
    shown = await walk.somebody(*CAPABILITIES_BY_ROLE, name="late", home_domain="Sales", domains=("Sales",))
    sizes = await walk.sizes()

    for target in [*IN_ORDER, *QUERIES]:
        if target.manners.outside_domains(target) is None:
            continue
        if target.samples:
            there = await walk.ask(target, shown, target.path)
            elsewhere = await walk.ask(target, shown, target.absent)
            assert status_of(there) == target.manners.outside_domains(target), there
            for sample in target.samples.values():
                there, elsewhere = with_id(there, sample.there), with_id(elsewhere, sample.absent)
            assert there == elsewhere, str(target)
        elif target.method == "GET":
            assert b"in Global" not in await walk.ask(target, shown, target.path), str(target)

    assert await walk.sizes() == sizes


async def test_what_is_done_outside_the_domain_is_not_there(walk: Walk) -> None:
    """Jobs are registered and run in another domain: every answer stays what it was, byte for byte.

    How far the ledger has come is of no domain: each acknowledgement tells it.
    """
    shown = await walk.somebody(*CAPABILITIES_BY_ROLE, name="late", home_domain="Sales", domains=("Sales",))
    # What is of no domain is seen.
    await walk.add_copy_of_one()
    reads = [it for it in READS if it.manners.outside_domains(it) is not None]

    async def answers() -> list[bytes]:
        return [masked(await walk.ask(it, shown, it.path), [rb'(?<="position":)\d+']) for it in reads]

    before = await answers()

    await walk.add_what_only_one_has()
    for target in IN_ORDER:
        if "{job_id}" in target.pattern or "{datastream_id}" in target.pattern:
            await walk.ask(target, walk.owners[ORG], target.path)

    assert await answers() == before


async def test_a_login_tells_nothing_of_any_org(walk: Walk) -> None:
    """One that fails is answered the same, whoever and whatever there is; one that does not is of its own org alone."""
    sizes = await walk.sizes()
    await of_a_disabled_principal(walk)
    sizes[0] = (await walk.sizes())[0]
    wrong = [
        (f"owner@{ORG}", "wrong"), (f"nobody@{ORG}", OWNER_PASSWORD), (f"owner@{NOWHERE}", OWNER_PASSWORD),
        ("owner", OWNER_PASSWORD),        (f"late@{ORG}", PASSWORD), (f"owner@{TWIN}", "secret"),
        ("@", "x"), (f"owner@{ORG.upper()}", "x"),
    ]  # fmt: skip

    for target in OPEN:
        answers = set()
        for login, password in wrong:
            # A bare name is looked up in the path's org, if it names one: there it is right.
            if "@" in login or not target.names_org:
                body = target.manners.login(target, login, password)
                headers = target.manners.login_headers(login, password)
                answer = await walk.say(target.method, target.path, headers, body)
                answers.add(masked(answer, target.manners.volatile))
        assert len(answers) == 1, (str(target), answers)
        assert await walk.sizes() == sizes
        body = target.manners.login(target, f"owner@{TWIN}", OWNER_PASSWORD)
        if body is not None:
            assert status_of(answers.pop()) == target.manners.status(target, 401)
            right = await walk.say(target.method, target.path, {}, body)
            token = re.search(rb"jl_%b_[\w-]{43}" % TWIN.encode(), right)
            assert token is not None, right
            assert ORG.encode() not in right
            shown = Shown(token[0].decode())
            taking = [it for it in READS if shown.headers(it) is not None]
            assert {status_of(await walk.ask(it, shown, it.in_org(TWIN))) for it in taking} == {200}
            sizes[1] += 1
            assert await walk.sizes() == sizes


async def test_an_open_path_is_the_same_for_everybody(walk: Walk) -> None:
    """Whatever is shown there besides counts for nothing."""
    for target in OPEN:
        answers = {
            await walk.ask(target, shown, target.path)
            for shown in (
                NOTHING,
                Shown(new_token()),
                *walk.owners.values(),
                Shown(login=f"owner@{TWIN}", password="x"),
            )
        }
        assert len(answers) == 1, (str(target), answers)


async def test_of_the_server_everybody_is_told_the_same(walk: Walk) -> None:
    """Whether it lives, can serve, and its numbers: of no org anything, and no org's name."""
    native = GUARDED[0]
    for path in OF_NO_ORG:
        answers = []
        for shown in (NOTHING, Shown(new_token()), *walk.owners.values()):
            answer = await walk.say("GET", path, shown.headers(native))
            assert status_of(answer) == 200
            assert not re.search(rb"\b(%b|%b)\b" % (ORG.encode(), TWIN.encode()), answer), path
            answers.append(answer)
        if path != "/metrics":
            assert len(set(answers)) == 1, path


NOBODYS = [
    "/", "/nothing", "/ledger", f"/ledger/v2/{ORG}/jobs", "/apis", "/API/jobs/", f"/{ORG}", f"/{ORG}/jobs", "//",
]  # fmt: skip


async def test_a_path_of_nobody_is_the_same_for_everybody(walk: Walk) -> None:
    """404, whatever is shown there, and whether it holds the name of an org that there is."""
    answers = set()
    for path in [*NOBODYS, *(it.replace(ORG, NOWHERE) for it in NOBODYS if ORG in it)]:
        for shown in (NOTHING, Shown(new_token()), *walk.owners.values()):
            for method in ("GET", "POST"):
                answers.add(await walk.say(method, path, shown.headers(GUARDED[0])))

    assert {status_of(it) for it in answers} == {404}
    assert len(answers) == 1
