"""Two orgs with the same jobs, names and principals cannot see, change or detect each other, on any route of the application."""

from __future__ import annotations

from collections import defaultdict

import pytest

from tests.http.serving import OWNER_PASSWORD, Server
from tests.http.targets import GUARDED, TARGETS
from tests.http.trial import Spread
from tests.http.walk import IN_ORDER, NOWHERE, READS, TWIN, Shown, Walk, masked, rank, settled, status_of, with_id
from tests.world import ORG


@pytest.mark.parametrize("shown", ["token", pytest.param("password", marks=pytest.mark.slow)])
async def test_an_org_is_not_there_for_those_of_another(walk: Walk, shown: str, spread: Spread) -> None:
    """Where the path names it: the same 404 on every route and by every method, as in an org that there is not."""
    of_twin = walk.owners[TWIN] if shown == "token" else Shown(login=f"owner@{TWIN}", password=OWNER_PASSWORD)
    await walk.add_what_only_one_has()
    sizes = await walk.sizes()

    answers: dict[str, set[bytes]] = defaultdict(set)
    for number, target in enumerate(GUARDED):
        if target.names_org and of_twin.headers(target) is not None:
            nowhere, of_dialect = target.in_org(NOWHERE), answers[target.manners.dialect.name]
            pairs = (
                (target.path, nowhere, None),
                (target.absent, f"{target.path}/nothing", None),
                (target.only_here, nowhere, "PUT"),
            )
            for there, elsewhere, method in spread.some(pairs, number):
                of_dialect.add(await walk.same(target, of_twin, 404, there, elsewhere, method))
            if target.method == "GET":
                await walk.same(target, of_twin, 404, target.path, nowhere, "HEAD")

    assert {name: len(it) for name, it in answers.items()} == dict.fromkeys(answers, 1)
    assert await walk.sizes() == sizes


@pytest.mark.parametrize("shown", ["token", pytest.param("password", marks=pytest.mark.slow)])
async def test_what_only_another_org_has_is_as_absent_as_what_nobody_has(walk: Walk, shown: str) -> None:
    """In one's own org, whether the path names it or not: the id of another org's alone is one that there is not."""
    of_twin = walk.owners[TWIN] if shown == "token" else Shown(login=f"owner@{TWIN}", password=OWNER_PASSWORD)
    await walk.add_what_only_one_has()
    sizes = await walk.sizes()

    for target in IN_ORDER:
        for name, sample in target.samples.items():
            in_twin = dict.fromkeys([target.manners.org_variable or ""], TWIN)
            there = await walk.ask(target, of_twin, target.at(**{name: sample.only_here}, **in_twin))
            nowhere = await walk.ask(target, of_twin, target.at(**{name: sample.absent}, **in_twin))
            assert with_id(there, sample.only_here) == with_id(nowhere, sample.absent), str(target)
            assert ORG.encode() not in there, (str(target), there)

    assert await walk.sizes() == sizes


async def test_nothing_of_one_org_is_in_an_answer_to_the_other(walk: Walk) -> None:
    """Every route is used by the twin on what it has; no answer holds a mark of the other, which is as it was."""
    await walk.add_what_only_one_has()
    own, _ = await walk.sizes()

    for target in IN_ORDER:
        answer = await walk.ask(target, walk.owners[TWIN], target.in_org(TWIN))
        # Job 1 ends by one of those that end it; the others find that it has, or that it is gone, or kept. So does the token.
        refused = {target.manners.status(target, 409), 404, *({401} if target.last == "Logout" else ())}
        accepted = target.manners.accepted(target)
        allowed = accepted | refused if rank(target) >= 0 else accepted
        assert status_of(answer) in allowed, (str(target), answer)
        assert ORG.encode() not in answer, (str(target), answer)

    same, grown = await walk.sizes()
    assert same == own
    assert grown > len(IN_ORDER) // 4


async def test_what_is_done_in_one_org_is_not_there_in_the_other(walk: Walk) -> None:
    """Every route is used in the one; every answer of the other stays what it was, byte for byte."""

    async def all_of_the_twin() -> list[bytes]:
        return [await walk.ask(it, walk.owners[TWIN], it.in_org(TWIN)) for it in READS]

    before = await all_of_the_twin()
    sizes = await walk.sizes()
    await walk.add_what_only_one_has()
    for target in IN_ORDER:
        await walk.ask(target, walk.owners[ORG], target.path)
        await walk.ask(target, walk.owners[ORG], target.only_here)

    for target, answer in zip(READS, before, strict=True):
        assert status_of(answer) in target.manners.accepted(target), (str(target), answer)
    assert await all_of_the_twin() == before
    grown, same = await walk.sizes()
    assert grown > sizes[0] + len(TARGETS) // 4
    assert same == sizes[1]


async def test_an_org_is_answered_as_if_it_were_alone(server: Server, database_url: str) -> None:
    """Before there is another that holds the same, and then: byte for byte."""
    walk = Walk(server, database_url, {ORG: await settled(server, ORG)})
    alone = [await walk.ask(it, walk.owners[ORG], it.path) for it in READS]

    await server.ledger.create_org(TWIN)
    await settled(server, TWIN)

    assert [await walk.ask(it, walk.owners[ORG], it.path) for it in READS] == alone


async def test_orgs_that_hold_the_same_answer_the_same(walk: Walk) -> None:
    """Nothing in an answer depends on what another org holds: but for its name, times and hashes they are alike."""
    for target in READS:
        if target.is_of_hashes:
            continue
        answers = [
            await walk.server.api().send(
                "GET", walk.server.url + target.in_org(org), headers=shown.headers(target) or {}
            )
            for org, shown in walk.owners.items()
        ]
        told = [it.shown.replace(org, "ORG").encode() for it, org in zip(answers, walk.owners, strict=True)]
        first, second = (masked(it, target.manners.volatile) for it in told)
        assert first == second, str(target)
        assert answers[0].headers.keys() == answers[1].headers.keys()
