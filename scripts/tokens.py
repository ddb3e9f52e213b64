"""``jobledger token``: tokens of principals."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from uuid import UUID, uuid4

from jobledger.ledger.domain.access import must_be_org_name
from jobledger.ledger.domain.credential_commands import IssueToken, RevokeToken, RevokeTokens
from jobledger.ledger.errors import NotFoundError
from jobledger.ledger.store.codec import wire_time
from jobledger.projections.principal_query import PrincipalQuery
from jobledger.scripts.failure import UsageError
from jobledger.scripts.opening import command_line_caller, open_ledger
from jobledger.scripts.settings import Settings

PAGE = 1000
TOKEN_BYTES = 32


async def create_token(
    settings: Settings, org: str, principal: str, expires_in: timedelta | None, label: str | None
) -> None:
    """Issue a token and print it, this once. What is stored is the SHA-256 of its characters."""
    must_be_org_name(org)
    token = f"jl_{org}_{secrets.token_urlsafe(TOKEN_BYTES)}"
    async with open_ledger(settings) as ledger:
        await ledger.execute(
            IssueToken(
                caller=command_line_caller(org),
                principal=principal,
                credential=uuid4(),
                token_hash=hashlib.sha256(token.encode()).digest(),
                lifetime=expires_in,
                label=label,
            )
        )
    print(token)


async def list_tokens(settings: Settings, org: str, principal: str | None) -> None:
    """Print each token that lets somebody in: a line of its id, its principal, when it was issued and expires, its label."""
    async with open_ledger(settings) as ledger:
        await ledger.recorder.head(org)
        query, after, number = PrincipalQuery(ledger.database), 0, None
        if principal is not None:
            found = await query.by_name(org, principal)
            if found is None:
                raise NotFoundError(f"There is no principal {principal}.", name=principal)
            number = found.number
        while True:
            page = await query.tokens(org, after=after, limit=PAGE, principal=number)
            for it in page.documents:
                expires = "never" if it["expires_at"] is None else wire_time(it["expires_at"])
                label = it["label"] or ("login" if it["is_login"] else "-")
                print(f"{it['id']}\t{it['principal']}\t{wire_time(it['issued_at'])}\t{expires}\t{label}")
            if page.next_after is None:
                return
            after = page.next_after


def read_token_id(text: str) -> UUID:
    """The id of a token, as lists show it. Raises UsageError, which does not repeat what may be the token itself."""
    try:
        return UUID(text)
    except ValueError:
        raise UsageError("A token is named by its id, which jobledger token list shows.") from None


async def revoke_tokens(
    settings: Settings, org: str, *, token: UUID | None, principal: str | None, reason: str | None
) -> None:
    """End one token, or all of a principal, at once in every server."""
    caller = command_line_caller(org)
    async with open_ledger(settings) as ledger:
        if token is not None:
            await ledger.execute(RevokeToken(caller=caller, credential=token, reason=reason))
            print(f"Token {token} is revoked.")
        elif principal is not None:
            outcome = await ledger.execute(RevokeTokens(caller=caller, principal=principal, reason=reason))
            print(f"{len(outcome.result['revoked'])} tokens of {principal}@{org} are revoked.")
