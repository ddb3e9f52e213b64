"""Secrets beside the ledger: encrypted, bound to their place, and gone once nothing ahead needs them."""

from __future__ import annotations

import re
import subprocess
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from jobledger.ledger.domain.job_commands import CancelJob
from jobledger.ledger.domain.job_work import ClaimWork, CompleteWork, FailWork
from jobledger.ledger.errors import ConflictError, InvalidCommandError, OutcomeUnknownError
from jobledger.ledger.postgres.postmaster import binaries_folder
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.secret_store import SecretIsLostError, SecretStore
from jobledger.ledger.work.secret_sweep import SecretSweep
from jobledger.projections.pruning import sweep_secrets
from tests.cluster import session
from tests.ledger.test_watch import until
from tests.world import ALICE, CLIENT, ORG, register

KEY = bytes(range(32))
PASSWORD = "correct-horse-battery-größe"


@pytest.fixture
def secrets(ledger: Ledger) -> SecretStore:
    return SecretStore(ledger.database, KEY)


@pytest.fixture
def sweep(ledger: Ledger) -> SecretSweep:
    return SecretSweep(ledger, sweep_secrets)


async def ids(url: str) -> set[UUID]:
    async with session(url) as connection:
        return {it["id"] for it in await connection.fetch("SELECT id FROM secret")}


async def copying(ledger: Ledger, secret: UUID) -> int:
    """A job of archiving that needs the secret."""
    destination = {"host": "192.0.2.7", "port": 22, "path": "/srv", "user": "archiver", "secret": str(secret)}
    return await register(ledger, work={"kind": "archive", "order": {"destination": destination}})


async def test_what_is_put_is_taken_and_deleted(secrets: SecretStore) -> None:
    secret = await secrets.put(ORG, "scp", PASSWORD)

    assert await secrets.take(ORG, secret, "scp") == PASSWORD
    await secrets.delete(ORG, secret)
    with pytest.raises(SecretIsLostError, match="is not there"):
        await secrets.take(ORG, secret, "scp")


@pytest.mark.parametrize("text", ["", "a\0b", "x" * 1025, "é" * 513, "\ud800"])
async def test_what_is_no_password_is_refused(secrets: SecretStore, database_url: str, text: str) -> None:
    with pytest.raises(InvalidCommandError):
        await secrets.put(ORG, "scp", text)

    assert await ids(database_url) == set()


async def test_a_row_counts_only_where_it_was_put(secrets: SecretStore, ledger: Ledger, database_url: str) -> None:
    """Moved to another org, id or purpose, or changed in one bit, it is not read; nor with another key."""
    secret = await secrets.put(ORG, "scp", PASSWORD)
    await ledger.create_org("other")

    for change in (
        "org = 'other'",
        "id = gen_random_uuid()",
        "ciphertext = set_bit(ciphertext, 3, 1 - get_bit(ciphertext, 3))",
        "nonce = set_bit(nonce, 3, 1 - get_bit(nonce, 3))",
    ):
        async with session(database_url) as connection:
            await connection.execute(f"UPDATE secret SET {change}")
            row = await connection.fetchrow("SELECT org, id FROM secret")
            assert row is not None
            with pytest.raises(SecretIsLostError, match="is not what was encrypted"):
                await secrets.take(row["org"], row["id"], "scp")
            await connection.execute("DELETE FROM secret")
            secret = await secrets.put(ORG, "scp", PASSWORD)
    with pytest.raises(SecretIsLostError, match="is not what was encrypted"):
        await secrets.take(ORG, secret, "smtp")
    with pytest.raises(SecretIsLostError, match="another key"):
        await SecretStore(ledger.database, KEY[::-1]).take(ORG, secret, "scp")
    with pytest.raises(SecretIsLostError, match="is not there"):
        await secrets.take("other", secret, "scp")
    await secrets.delete("other", secret)
    assert await secrets.take(ORG, secret, "scp") == PASSWORD


async def test_a_secret_stays_only_where_what_needs_it_was_recorded(secrets: SecretStore, database_url: str) -> None:
    """Nor is it deleted where that is unknown."""
    for error in (ConflictError("no"), OutcomeUnknownError("perhaps")):
        with pytest.raises(type(error)):
            async with secrets.deposit(ORG, "scp", PASSWORD) as deposit:
                raise error
        assert (await ids(database_url) == set()) is isinstance(error, ConflictError)
    await secrets.delete(ORG, deposit.id)
    async with secrets.deposit(ORG, "scp", PASSWORD):
        pass
    assert await ids(database_url) == set()

    async with secrets.deposit(ORG, "scp", PASSWORD) as deposit:
        deposit.keep()

    assert await ids(database_url) == {deposit.id}


@pytest.mark.parametrize("end", ["success", "failure", "cancelled", "cancelled before"])
async def test_a_secret_goes_when_its_job_is_over(
    ledger: Ledger, secrets: SecretStore, sweep: SecretSweep, database_url: str, end: str
) -> None:
    """However that ends, and not before."""
    async with secrets.deposit(ORG, "scp", PASSWORD) as deposit:
        job_id = await copying(ledger, deposit.id)
        deposit.keep()
    assert (await sweep.sweep(), await ids(database_url)) == (0, {deposit.id})

    if end != "cancelled before":
        claim = ClaimWork(caller=ALICE, job_id=job_id, claim=0, server="s", lapse=timedelta(hours=1))
        assert (await ledger.execute(claim)).result["claimed"]
        assert (await sweep.sweep(), await ids(database_url)) == (0, {deposit.id})
    if end == "success":
        await ledger.execute(CompleteWork(caller=ALICE, job_id=job_id, claim=1))
    elif end == "failure":
        await ledger.execute(FailWork(caller=ALICE, job_id=job_id, claim=1, error="copy failed"))
    else:
        await ledger.execute(CancelJob(caller=CLIENT, job_id=job_id))

    await sweep.start()
    try:
        async with session(database_url) as connection:
            await until(lambda: connection.fetchval("SELECT count(*) = 0 FROM secret"))
    finally:
        await sweep.stop()


async def test_a_secret_of_a_series_stays_while_a_run_is_ahead(
    ledger: Ledger, secrets: SecretStore, sweep: SecretSweep, database_url: str
) -> None:
    async with secrets.deposit(ORG, "scp", PASSWORD) as deposit:
        first, second = await copying(ledger, deposit.id), await copying(ledger, deposit.id)
        deposit.keep()

    await ledger.execute(CancelJob(caller=CLIENT, job_id=first))
    assert (await sweep.sweep(), await ids(database_url)) == (0, {deposit.id})
    await ledger.execute(CancelJob(caller=CLIENT, job_id=second))
    assert (await sweep.sweep(), await ids(database_url)) == (1, set())


async def test_a_secret_of_a_request_that_was_cut_off_goes_after_a_while(
    ledger: Ledger, secrets: SecretStore, sweep: SecretSweep, database_url: str
) -> None:
    """Not before, and not where what needs it was recorded after all."""
    orphan, needed = [await secrets.put(ORG, "scp", PASSWORD) for _ in range(2)]
    await copying(ledger, needed)
    assert (await sweep.sweep(), await ids(database_url)) == (0, {orphan, needed})

    async with session(database_url) as connection:
        await connection.execute("UPDATE secret SET created_at = created_at - interval '61 minutes'")

    assert (await sweep.sweep(), await ids(database_url)) == (1, {needed})


async def test_the_password_is_in_no_dump(ledger: Ledger, secrets: SecretStore, database_url: str) -> None:
    """Neither as it is, nor hashed; and two rows of the same one are not alike."""
    both = [await secrets.put(ORG, "scp", PASSWORD) for _ in range(2)]
    await copying(ledger, both[0])

    dump = subprocess.run(
        [binaries_folder() / "pg_dump", "--inserts", database_url], capture_output=True, check=True
    ).stdout

    assert str(both[0]).encode() in dump
    stored = dump + b"\n".join(bytes.fromhex(it.decode()) for it in re.findall(rb"\\x((?:[0-9a-f]{2})+)'", dump))
    for form in (PASSWORD.encode(), PASSWORD.encode().hex().encode(), PASSWORD.encode()[:13], KEY, KEY.hex().encode()):
        assert form not in stored
    async with session(database_url) as connection:
        rows = await connection.fetch("SELECT nonce, ciphertext FROM secret")
    assert len({it["nonce"] for it in rows}) == len({it["ciphertext"] for it in rows}) == 2


async def test_the_serving_role_may_not_change_what_is_kept(ledger: Ledger, secrets: SecretStore) -> None:
    secret = await secrets.put(ORG, "scp", PASSWORD)

    async def change(connection: Any) -> None:
        await connection.execute("UPDATE secret SET ciphertext = nonce || nonce WHERE id = $1", secret)

    with pytest.raises(Exception, match="permission denied"):
        await ledger.database.write(change)


async def test_nobody_deletes_what_is_not_there(secrets: SecretStore) -> None:
    await secrets.delete(ORG, uuid4())
    await secrets.want(ORG, uuid4())
