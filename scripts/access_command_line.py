"""The command line's nouns ``principal`` and ``token``."""

from __future__ import annotations

import argparse
from typing import Any

from jobledger.scripts.command_parts import noun, run, verb
from jobledger.scripts.failure import UsageError
from jobledger.scripts.settings import Settings, read_duration

ROLES = "auditor, client, operator, compliance or admin; repeatable"


def add_access_commands(nouns: Any) -> None:
    """Add what manages who may act in an org, and what they show for it."""
    principals = noun(nouns, "principal", "who may act in an org")
    add = _on_principal(principals, "add", _add_principal, "add a principal")
    add.add_argument("--role", action="append", required=True, help=ROLES)
    _add_grants(add)
    add.add_argument("--domain", action="append", help="a domain whose jobs it may see; repeatable; none named: all")
    add.add_argument("--home-domain", default="Global", help="the domain of the jobs it registers (Global)")
    _add_password(add)

    principal_list = verb(principals, "list", _list_principals, "print each principal")
    principal_list.add_argument("--org", required=True)

    change = _on_principal(principals, "set", _change_principal, "change roles, capabilities or domains")
    change.description = "What is not given stays as it is."
    change.add_argument("--role", action="append", help=f"its roles from now on: {ROLES}")
    _add_grants(change)
    change.add_argument("--no-capability", action="store_true", help="none beyond its roles'")
    domains = change.add_mutually_exclusive_group()
    domains.add_argument("--domain", action="append", help="the domains whose jobs it may see from now on; repeatable")
    domains.add_argument("--all-domains", action="store_true", help="it may see all domains")
    change.add_argument("--home-domain", help="the domain of the jobs it registers")

    for name, run_it, help_text in (
        ("disable", _disable_principal, "let nothing let it in until it is enabled"),
        ("enable", _enable_principal, "let its password and tokens let it in again"),
    ):
        _on_principal(principals, name, run_it, help_text).add_argument("--reason", help="why, for the record")
    _add_password(_on_principal(principals, "password", _set_password, "set a password, which ends its logins"))

    tokens = noun(nouns, "token", "tokens of principals")
    create = verb(tokens, "create", _create_token, "issue a token and print it")
    create.add_argument("--org", required=True)
    create.add_argument("--principal", required=True, metavar="NAME")
    create.add_argument(
        "--expires-in", metavar="DURATION", help="like 12h or 30d; without it the token does not expire"
    )
    create.add_argument("--label", help="what it is for")
    token_list = verb(tokens, "list", _list_tokens, "print each token that lets somebody in")
    token_list.add_argument("--org", required=True)
    token_list.add_argument("--principal", metavar="NAME")
    revoke = verb(tokens, "revoke", _revoke_tokens, "end a token, or all of a principal")
    revoke.add_argument("--org", required=True)
    which = revoke.add_mutually_exclusive_group(required=True)
    which.add_argument("token", nargs="?", metavar="ID", help="its id, as token list shows it")
    which.add_argument("--principal", metavar="NAME", help="all of this principal's")
    revoke.add_argument("--reason", help="why, for the record")


def _on_principal(principals: Any, name: str, run_it: Any, help_text: str) -> argparse.ArgumentParser:
    parser = verb(principals, name, run_it, help_text)
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--org", required=True)
    return parser


def _add_grants(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--capability", action="append", help="one beyond its roles', like jobs.purge or PurgeJobs; repeatable"
    )


def _add_password(parser: argparse.ArgumentParser) -> None:
    password = parser.add_mutually_exclusive_group()
    password.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    password.add_argument("--no-password", action="store_true", help="no password: it logs in by tokens only")


def _each_once(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(dict.fromkeys(values))


def _add_principal(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.principal import add_principal, ask_password

    password = None if options.no_password else ask_password(from_stdin=options.password_stdin)
    return run(
        add_principal(
            settings,
            options.org,
            options.name,
            roles=tuple(dict.fromkeys(options.role)),
            capabilities=_each_once(options.capability) or (),
            home_domain=options.home_domain,
            domains=_each_once(options.domain),
            password=password,
        )
    )


def _list_principals(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.principal import list_principals

    return run(list_principals(settings, options.org))


def _change_principal(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.principal import change_principal

    if options.no_capability and options.capability:
        raise UsageError("Either --capability or --no-capability.")
    given = {
        "roles": _each_once(options.role),
        "capabilities": () if options.no_capability else _each_once(options.capability),
        "home_domain": options.home_domain,
        "domains": _each_once(options.domain),
        "sees_all": options.all_domains or None,
    }
    grants = {name: it for name, it in given.items() if it is not None}
    if not grants:
        raise UsageError("Say what to change: --role, --capability, --domain, --all-domains or --home-domain.")
    return run(change_principal(settings, options.org, options.name, grants))


def _disable_principal(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.principal import disable_principal

    return run(disable_principal(settings, options.org, options.name, options.reason))


def _enable_principal(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.principal import enable_principal

    return run(enable_principal(settings, options.org, options.name, options.reason))


def _set_password(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.principal import ask_password, set_password

    password = None if options.no_password else ask_password(from_stdin=options.password_stdin)
    return run(set_password(settings, options.org, options.name, password))


def _create_token(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.tokens import create_token

    expires_in = None if options.expires_in is None else read_duration(options.expires_in, "--expires-in")
    return run(create_token(settings, options.org, options.principal, expires_in, options.label))


def _list_tokens(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.tokens import list_tokens

    return run(list_tokens(settings, options.org, options.principal))


def _revoke_tokens(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.tokens import read_token_id, revoke_tokens

    token = None if options.token is None else read_token_id(options.token)
    return run(revoke_tokens(settings, options.org, token=token, principal=options.principal, reason=options.reason))
