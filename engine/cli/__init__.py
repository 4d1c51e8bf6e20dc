"""`quickcall`: run an engine, place a call, check a machine, be a phone.

Only the options are here. What a command does is imported when it runs, so that `--help` and a
wrong option answer at once.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from engine.phone.command import phone

app = typer.Typer(
    name="quickcall",
    help="Click-to-call engine: rings a SIP device and, when it answers, connects it to a number.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
token_app = typer.Typer(no_args_is_help=True)
app.add_typer(token_app, name="token", help="Tokens of the HTTP API.")
routes_app = typer.Typer(no_args_is_help=True)
app.add_typer(routes_app, name="routes", help="The route table of an account (docs/routes.md).")
app.command("phone")(phone)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="TOML file (docs/configuration.md).")
]
Account = Annotated[
    str,
    typer.Option(help="Account id; may be left out if there is one.", envvar="QUICKCALL_ACCOUNT"),
]
Url = Annotated[str, typer.Option(help="Address of the HTTP API.", envvar="QUICKCALL_URL")]
Token = Annotated[str, typer.Option(help="API token.", envvar="QUICKCALL_TOKEN")]
URL = "http://127.0.0.1:8000"


@app.command()
def serve(
    config: ConfigFile = None,
    sip: Annotated[
        list[str] | None,
        typer.Option("--sip", help="Listener as TRANSPORT:HOST:PORT; may be given again."),
    ] = None,
    http_host: Annotated[str | None, typer.Option(help="Address of the HTTP API.")] = None,
    http_port: Annotated[
        int | None, typer.Option(help="Port of the HTTP API, 0: a free one.")
    ] = None,
    database: Annotated[str | None, typer.Option(help="SQLAlchemy URL of the store.")] = None,
    trace: Annotated[
        bool | None, typer.Option("--trace/--no-trace", help="Keep SIP messages for ladders.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    """Run an engine with its HTTP API until SIGINT or SIGTERM.

    SIGTERM lets calls go on for drain_s, a second one does not. SIGHUP takes up a new certificate
    and opens the audit log anew.
    """
    from engine.cli.serving import run_serve  # noqa: PLC0415

    overrides: dict[str, object] = {
        "sip_listeners": sip or None,
        "http_host": http_host,
        "http_port": http_port,
        "database": database,
        "trace": trace,
    }
    raise typer.Exit(run_serve(config, overrides, verbose=verbose))


@app.command()
def call(
    endpoint: Annotated[str, typer.Argument(help="Id or name of the device (or user) to ring.")],
    number: Annotated[str, typer.Argument(help="Number to connect it to when it answers.")],
    user: Annotated[
        bool, typer.Option("--user", help="ENDPOINT is a user: ring all devices.")
    ] = False,
    account: Account = "",
    url: Url = URL,
    token: Token = "",
    auto_answer: Annotated[
        bool, typer.Option("--auto-answer", help="Ask the phone to answer by itself.")
    ] = False,
    timeout: Annotated[int, typer.Option(help="Seconds to ring the endpoint, 3 or more.")] = 30,
    cid_name: Annotated[str | None, typer.Option(help="Caller id name to show.")] = None,
    cid_number: Annotated[str | None, typer.Option(help="Caller id number to show.")] = None,
    media: Annotated[str, typer.Option(help="process or bypass.")] = "process",
    number_filter: Annotated[str | None, typer.Option(help="true, false or a regex.")] = None,
    call_id: Annotated[
        str | None, typer.Option(help="Call-ID of the first leg, one no live call has.")
    ] = None,
    dial_method: Annotated[
        str | None, typer.Option(help="simultaneous or single: all contacts at once, or in order.")
    ] = None,
    endpoint_delay: Annotated[float | None, typer.Option(help="Seconds before the INVITE.")] = None,
    endpoint_timeout: Annotated[
        float | None, typer.Option(help="Seconds from an INVITE to its answer, 0: --timeout.")
    ] = None,
    progress_timeout: Annotated[
        float | None, typer.Option(help="Seconds from an INVITE to its ringing, 0: no limit.")
    ] = None,
    fail_on_single_reject: Annotated[
        str | None, typer.Option(help="Stop at the first refusal: true, false or cause names.")
    ] = None,
    ignore_completed_elsewhere: Annotated[
        bool | None,
        typer.Option(
            "--ignore-completed-elsewhere/--tell-completed-elsewhere",
            help="Whether phones that lose show a missed call.",
        ),
    ] = None,
    ignore_early_media: Annotated[
        str | None, typer.Option(help="true, false, ring_ready or consume.")
    ] = None,
    max_duration: Annotated[
        float | None, typer.Option(help="Seconds the two may talk, 0: as the engine allows.")
    ] = None,
    privacy: Annotated[
        str | None, typer.Option(help="Hide none, name, number or full from the number.")
    ] = None,
    cav: Annotated[
        list[str] | None, typer.Option(help="Custom application variable KEY=VALUE; repeatable.")
    ] = None,
) -> None:
    """Place a quickcall and follow it live; Ctrl-C hangs up.

    Exit status: 0 the two were connected, 1 they were not, 2 the call could not be placed.
    """
    from engine.cli.calling import CallOrder, run_call  # noqa: PLC0415
    from engine.cli.client import Api  # noqa: PLC0415

    options: dict[str, object] = {
        "auto_answer": auto_answer,
        "timeout": timeout,
        "cid-name": cid_name,
        "cid-number": cid_number,
        "media": media,
        "number_filter": number_filter,
        "call_id": call_id,
        "dial_method": dial_method,
        "endpoint_delay": endpoint_delay,
        "endpoint_timeout": endpoint_timeout,
        "progress_timeout": progress_timeout,
        "fail_on_single_reject": fail_on_single_reject,
        "ignore_completed_elsewhere": ignore_completed_elsewhere,
        "ignore_early_media": ignore_early_media,
        "max_duration": max_duration,
        "privacy": privacy,
    }
    order = CallOrder(
        api=Api(url.rstrip("/"), token, account),
        kind="users" if user else "devices",
        endpoint=endpoint,
        number=number,
        options={name: value for name, value in options.items() if value is not None},
        variables=_pairs(cav or []),
    )
    raise typer.Exit(run_call(order))


@app.command()
def route(
    number: Annotated[str, typer.Argument(help="Number as it would be typed.")],
    device: Annotated[
        str, typer.Option(help="Id or name of the device that would be rung first.")
    ] = "",
    user: Annotated[str, typer.Option(help="Id or name of a user, instead of a device.")] = "",
    number_filter: Annotated[str | None, typer.Option(help="true, false or a regex.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
    account: Account = "",
    url: Url = URL,
    token: Token = "",
) -> None:
    """Explain where a number would go, and show the INVITEs without sending them.

    Without a device or user: what the dial plan of the account makes of it. Exit status: 0 it goes
    somewhere, 1 it is refused or has no route, 2 the engine could not be asked.
    """
    from engine.cli.client import Api  # noqa: PLC0415
    from engine.cli.routing import RouteQuestion, run_route  # noqa: PLC0415

    if device and user:
        raise typer.BadParameter("a device or a user, not both", param_hint="--user")
    kind = "devices" if device else "users" if user else ""
    question = RouteQuestion(number, kind, device or user, number_filter, as_json)
    raise typer.Exit(run_route(Api(url.rstrip("/"), token, account), question))


@app.command()
def check(
    destinations: Annotated[
        list[str] | None,
        typer.Argument(help="IP addresses of phones or carriers to check the way to."),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Check the installation, the limits and the network of this machine, in plain words.

    Exit status: 0 nothing is broken, 1 something is.
    """
    from engine.cli.checking import run_check  # noqa: PLC0415

    raise typer.Exit(run_check(config, destinations or []))


class TableFormat(StrEnum):
    """How a file holds a route table."""

    CSV = "csv"
    JSON = "json"


Format = Annotated[
    TableFormat | None,
    typer.Option("--format", help="csv or json; without it the file's name says: .json, or CSV."),
]


@routes_app.command("import")
def import_routes(
    file: Annotated[Path, typer.Argument(help="CSV file, or JSON array of rows.")],
    file_format: Format = None,
    account: Account = "",
    url: Url = URL,
    token: Token = "",
) -> None:
    """Replace the route table of an account by a file; calls go on meanwhile.

    A table with a fault is refused whole, and the old one stays. Exit status: 0 imported, 1 the
    table has a fault, 2 it could not be read or sent.
    """
    from engine.cli.client import Api  # noqa: PLC0415
    from engine.cli.route_tables import TableFile, run_import  # noqa: PLC0415

    table = TableFile(file, _is_json(file, file_format))
    raise typer.Exit(run_import(Api(url.rstrip("/"), token, account), table))


@routes_app.command("export")
def export_routes(
    file: Annotated[Path, typer.Argument(help="File to write; one that is there is replaced.")],
    file_format: Format = None,
    account: Account = "",
    url: Url = URL,
    token: Token = "",
) -> None:
    """Write the route table of an account into a file.

    Exit status: 0 written, 2 not.
    """
    from engine.cli.client import Api  # noqa: PLC0415
    from engine.cli.route_tables import TableFile, run_export  # noqa: PLC0415

    table = TableFile(file, _is_json(file, file_format))
    raise typer.Exit(run_export(Api(url.rstrip("/"), token, account), table))


Database = Annotated[
    str | None, typer.Option(help="SQLAlchemy URL of the store, else the configuration's.")
]


@token_app.command("create")
def create_token(
    accounts: Annotated[list[str], typer.Argument(help="Account ids it opens; '*' for every one.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="calls:write, calls:read, directory:read, directory:write, webhooks, metrics,"
            " admin; may be given again. Without it, all."
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    expires: Annotated[str, typer.Option(help="30d, 12h, 4w, or a date in UTC.")] = "",
    for_config: Annotated[
        bool,
        typer.Option("--for-config", help="Print it for a configuration file; store nothing."),
    ] = False,
    config: ConfigFile = None,
    database: Database = None,
) -> None:
    """Make an API token in the store; a running engine takes it within two seconds.

    It is printed once, only its hash is kept. Exit status: 0 made, 2 not.
    """
    from engine.cli.tokens import (  # noqa: PLC0415
        TokenOrder,
        Where,
        print_for_configuration,
        run_create,
    )

    order = TokenOrder(accounts, scope or [], name, expires)
    if for_config:
        raise typer.Exit(print_for_configuration(order))
    raise typer.Exit(run_create(Where(config, database), order))


@token_app.command("list")
def list_tokens(config: ConfigFile = None, database: Database = None) -> None:
    """List the stored tokens: what each may do, until when, and when it was used last."""
    from engine.cli.tokens import Where, run_list  # noqa: PLC0415

    raise typer.Exit(run_list(Where(config, database)))


@token_app.command("revoke")
def revoke_token(
    token_id: Annotated[str, typer.Argument(help="Id of the token, as `list` shows it.")],
    config: ConfigFile = None,
    database: Database = None,
) -> None:
    """Revoke a stored token; a running engine refuses it within two seconds.

    Exit status: 0 revoked, 2 there is none.
    """
    from engine.cli.tokens import Where, run_revoke  # noqa: PLC0415

    raise typer.Exit(run_revoke(Where(config, database), token_id))


def _is_json(file: Path, file_format: TableFormat | None) -> bool:
    named = TableFormat.JSON if file.suffix.lower() == ".json" else TableFormat.CSV
    return (file_format or named) is TableFormat.JSON


def _pairs(texts: list[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text or text.startswith("="):
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--cav")
    return {key: value for key, _, value in (text.partition("=") for text in texts)}
