"""The command line: ``jobledger``. What each command needs is imported when it runs, so that this answers at once."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Coroutine, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jobledger.scripts.failure import UsageError, sentence_of
from jobledger.scripts.settings import Settings, read_duration

SUCCESS, FAILURE, USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; its exit code: 0, 1 the thing failed, 2 usage."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options, Settings.read(os.environ, options.data))
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("jobledger: interrupted.", file=sys.stderr)
        return FAILURE
    except BrokenPipeError:
        # Whoever read our output has read enough; nothing is left that could be said to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        print(f"jobledger: {sentence}", file=sys.stderr)
        return USAGE if isinstance(error, UsageError) else FAILURE
    return code


def _run(coroutine: Coroutine[Any, Any, int | None]) -> int:
    import uvloop

    return uvloop.run(coroutine) or SUCCESS


def _serve(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.serve import ServeOptions, serve

    return _run(
        serve(
            settings,
            ServeOptions(options.host, options.port, options.workers, is_behind_proxy=options.behind_proxy),
        )
    )


def _add_org(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.org import add_org

    return _run(add_org(settings, options.name))


def _add_principal(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.principal import add_principal, ask_password

    password = None if options.no_password else ask_password(from_stdin=options.password_stdin)
    return _run(
        add_principal(
            settings,
            options.org,
            options.name,
            roles=tuple(dict.fromkeys(options.role)),
            home_domain=options.home_domain,
            domains=None if options.domain is None else tuple(dict.fromkeys(options.domain)),
            password=password,
        )
    )


def _create_token(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.principal import create_token

    expires_in = None if options.expires_in is None else read_duration(options.expires_in, "--expires-in")
    return _run(create_token(settings, options.org, options.principal, expires_in))


def _load_swf(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.load import load_swf

    return _run(load_swf(settings, options.file, options.org))


def _replay(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.replay import read_limit, replay

    limit = None if options.to is None else read_limit(options.to)
    return _run(replay(settings, options.org, job_id=options.job, to=limit, as_json=options.json))


def _migrate(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.database import migrate_database

    return _run(migrate_database(settings))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jobledger",
        description="The system of record for jobs.",
        epilog="Exit codes: 0, 1 the thing failed, 2 usage. Settings are read from the environment, JOBLEDGER_….",
    )
    parser.add_argument("--version", action="version", version=f"Job Ledger {version('jobledger')}")
    nouns = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_serve(nouns)

    org = _verb(_noun(nouns, "org", "orgs"), "add", _add_org, "begin an org's ledger")
    org.add_argument("name", metavar="NAME")

    principal = _verb(_noun(nouns, "principal", "who may act in an org"), "add", _add_principal, "add a principal")
    principal.add_argument("name", metavar="NAME")
    principal.add_argument("--org", required=True)
    principal.add_argument(
        "--role", action="append", required=True, help="auditor, client, operator, compliance or admin; repeatable"
    )
    principal.add_argument(
        "--domain", action="append", help="a domain whose jobs it may see; repeatable; none named: all"
    )
    principal.add_argument("--home-domain", default="Global", help="the domain of the jobs it registers (Global)")
    password = principal.add_mutually_exclusive_group()
    password.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    password.add_argument("--no-password", action="store_true", help="no password: it logs in by tokens only")

    token = _verb(_noun(nouns, "token", "tokens of principals"), "create", _create_token, "issue a token and print it")
    token.add_argument("--org", required=True)
    token.add_argument("--principal", required=True, metavar="NAME")
    token.add_argument("--expires-in", metavar="DURATION", help="like 12h or 30d; without it the token does not expire")

    load = _verb(_noun(nouns, "load", "bring in what others recorded"), "swf", _load_swf, "load a workload log")
    load.description = "Register every job of a log in the Standard Workload Format, as it is or compressed by gzip."
    load.add_argument("file", metavar="FILE", type=Path)
    load.add_argument("--org", required=True)

    replay = nouns.add_parser("replay", help="print each event and the state after it", description=_REPLAY)
    replay.add_argument("--org", required=True)
    replay.add_argument("--job", type=_natural, metavar="N", help="the events of this job only")
    replay.add_argument("--to", metavar="POSITION|TIME", help="the last position, or an RFC 3339 time")
    replay.add_argument("--json", action="store_true", help="one JSON object a line")
    _finish(replay, _replay)

    _verb(_noun(nouns, "db", "the database"), "migrate", _migrate, "bring the database to this release's schema")
    return parser


_REPLAY = "Fold the events, and nothing else, and print each with the state that it leads to."


def _add_serve(nouns: Any) -> None:
    serve = nouns.add_parser("serve", help="serve the ledger", description="Serve the ledger until SIGINT or SIGTERM.")
    serve.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=_port, default=8080, help="the port to listen on (8080); 0: any that is free")
    serve.add_argument("--workers", type=_worker_count, default=1, metavar="N", help="how many processes serve (1)")
    serve.add_argument("--behind-proxy", action="store_true", help="a proxy in front has TLS: serve any host without")
    _finish(serve, _serve)


def _noun(nouns: Any, name: str, help_text: str) -> Any:
    return nouns.add_parser(name, help=help_text).add_subparsers(metavar="VERB", required=True)


def _verb(verbs: Any, name: str, run: Any, help_text: str) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(name, help=help_text)
    _finish(verb, run)
    return verb


def _finish(parser: argparse.ArgumentParser, run: Any) -> None:
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="the data folder (JOBLEDGER_DATA, ./jobledger-data)"
    )
    parser.set_defaults(run=run)


def _natural(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 10 or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a job's number")
    return int(text)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 5 or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _worker_count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:4]) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of workers from 1 to 64")
    return int(text)
