"""Passwords and tokens: what lets in is what the events say."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from jobledger.ledger.domain.access import (
    LOGGED_IN,
)
from jobledger.ledger.domain.access_commands import (
    DisablePrincipal,
)
from jobledger.ledger.domain.credential_commands import (
    LOGIN_LIFETIME,
    MOST_ISSUED_TOKENS,
    MOST_LOGIN_TOKENS,
    LogIn,
    RevokeToken,
    RevokeTokens,
    SetOwnPassword,
)
from jobledger.ledger.errors import (
    NotAllowedError,
    NotFoundError,
    TooManyTokensError,
)
from jobledger.ledger.store.ledger import Ledger
from jobledger.projections.principal_query import PrincipalQuery
from tests.cluster import session
from tests.principals import ITSELF, add, log_in, new, principal, set_password, token_hash, types
from tests.world import ALICE, ORG, idempotency


async def test_a_new_password_takes_the_place_of_the_old_and_ends_logins(ledger: Ledger, database_url: str) -> None:
    """The hash of the old one is nowhere any more; tokens that were issued by hand stay."""
    await add(ledger, "ann", "client", password=True)
    await log_in(ledger, 1)
    await ledger.execute(new("ann"))

    changed = await ledger.execute(set_password("ann", password_hash="hash of the new"))

    assert types(changed) == ["token.revoked", "principal.password_set"]
    assert [it.is_login for it in (await principal(ledger, 1)).tokens.values()] == [False]
    async with session(database_url) as owner:
        kept = await owner.fetch("SELECT kind, hash FROM credential ORDER BY kind")
    assert [it["kind"] for it in kept] == ["password", "token"]
    assert kept[0]["hash"] == b"hash of the new"


async def test_a_password_is_changed_once_however_many_change_it_at_once(ledger: Ledger, database_url: str) -> None:
    """In one batch: of the hashes one is left, the last."""
    await add(ledger, "ann", "client", password=True)

    await asyncio.gather(*(ledger.execute(set_password("ann", password_hash=f"hash {it}")) for it in range(5)))

    async with session(database_url) as owner:
        assert await owner.fetchval("SELECT array_agg(hash) FROM credential") == [b"hash 4"]
    known = await PrincipalQuery(ledger.database).by_name(ORG, "ann")
    assert known is not None
    assert known.password_hash == "hash 4"


async def test_a_password_that_was_changed_meanwhile_logs_nobody_in(ledger: Ledger) -> None:
    """It was verified before; what is decided on is the newest state."""
    await add(ledger, "ann", "client", password=True)
    shown = (await principal(ledger, 1)).password or ""
    me = replace(ALICE, capabilities=frozenset({LOGGED_IN}))
    login = {"principal": 1, "credential": uuid4(), "token_hash": token_hash("t"), "shown": shown}
    own = {"principal": 1, "credential": uuid4(), "password_hash": "mine", "shown": shown}
    await ledger.execute(set_password("ann"))

    with pytest.raises(NotAllowedError):
        await ledger.execute(LogIn(caller=me, **login))  # type: ignore[arg-type]
    with pytest.raises(NotAllowedError):
        await ledger.execute(SetOwnPassword(caller=me, **own))  # type: ignore[arg-type]

    login["shown"] = own["shown"] = (await principal(ledger, 1)).password or ""
    await ledger.execute(LogIn(caller=me, **login))  # type: ignore[arg-type]
    await ledger.execute(DisablePrincipal(caller=ITSELF, principal="ann"))
    with pytest.raises(NotAllowedError):
        await ledger.execute(SetOwnPassword(caller=me, **own))  # type: ignore[arg-type]


async def test_of_logins_the_newest_20_live_for_12_hours(ledger: Ledger) -> None:
    """The oldest is revoked by the append that issues one more; tokens that were issued by hand do not count."""
    await add(ledger, "ann", "client", password=True)
    await ledger.execute(new("ann"))
    logins = [await log_in(ledger, 1) for _ in range(MOST_LOGIN_TOKENS + 2)]

    assert [types(it) for it in logins] == [["token.issued"]] * MOST_LOGIN_TOKENS + [
        ["token.revoked", "token.issued"]
    ] * 2
    first = [it.result["credential"] for it in logins[:2]]
    assert [it.events[0].data["credential"] for it in logins[-2:]] == first
    tokens = (await principal(ledger, 1)).tokens
    alive = [name for name, it in tokens.items() if it.is_login]
    assert alive == [it.result["credential"] for it in logins[2:]]
    for outcome in logins:
        assert outcome.events[-1].data["expires_at"] == outcome.recorded_at + LOGIN_LIFETIME


async def test_tokens_issued_by_hand_are_bounded(ledger: Ledger) -> None:
    await add(ledger, "ann", "client")
    issued = [await ledger.enqueue(new("ann")) for _ in range(MOST_ISSUED_TOKENS)]
    await asyncio.gather(*issued)

    with pytest.raises(TooManyTokensError):
        await ledger.execute(new("ann"))
    await ledger.execute(RevokeToken(caller=ITSELF, credential=UUID(issued[0].result().result["credential"])))
    await ledger.execute(new("ann"))


async def test_a_token_revoked_lets_nobody_in_whatever_lies_in_its_table(ledger: Ledger, database_url: str) -> None:
    """Its hash goes with it; were it put back by hand, or from a backup, it would still count for nothing."""
    query = PrincipalQuery(ledger.database)
    await add(ledger, "ann", "client")
    issued = await ledger.execute(new("ann", token_hash=token_hash("t")))
    credential = UUID(issued.result["credential"])
    async with session(database_url) as owner:
        [row] = await owner.fetch("SELECT * FROM credential")

        revoked = await ledger.execute(RevokeToken(caller=ITSELF, credential=credential, reason="lost"))
        assert await owner.fetchval("SELECT count(*) FROM credential") == 0
        await owner.execute("INSERT INTO credential VALUES ($1, $2, $3, $4, $5, $6, $7)", *row)
        assert await query.by_token(ORG, token_hash("t")) is None
        await owner.execute("DELETE FROM credential")

    assert [it.data for it in revoked.events] == [{"credential": str(credential), "reason": "lost"}]
    for absent in (credential, uuid4()):
        with pytest.raises(NotFoundError):
            await ledger.execute(RevokeToken(caller=ITSELF, credential=absent))


async def test_what_is_issued_and_revoked_in_one_batch_is_gone(ledger: Ledger, database_url: str) -> None:
    await add(ledger, "ann", "client")
    credential = uuid4()

    results = await asyncio.gather(
        ledger.execute(RevokeTokens(caller=ITSELF, principal="ann")),
        ledger.execute(new("ann", credential=credential)),
        ledger.execute(RevokeToken(caller=ITSELF, credential=credential)),
        ledger.execute(new("ann")),
        ledger.execute(RevokeTokens(caller=ITSELF, principal="ann")),
    )

    assert [it.event_count for it in results] == [0, 1, 1, 1, 1]
    async with session(database_url) as owner:
        assert await owner.fetchval("SELECT count(*) FROM credential") == 0


async def test_a_repeat_is_answered_as_before_and_issues_nothing(ledger: Ledger) -> None:
    await add(ledger, "ann", "client")
    first = await ledger.execute(new("ann", token_hash=token_hash("t"), idempotency=idempotency("k")))
    again = await ledger.execute(new("ann", token_hash=token_hash("u"), idempotency=idempotency("k")))

    assert again.is_repeated
    assert again.result == first.result
    assert await PrincipalQuery(ledger.database).by_token(ORG, token_hash("u")) is None
