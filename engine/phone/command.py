"""`quickcall phone`: the softphone on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.phone.answering import AnswerPolicy
from engine.phone.config import PhoneConfig, PhoneError
from engine.phone.run import run_phone


def phone(
    user: Annotated[str, typer.Option(help="SIP user.")] = "phone",
    realm: Annotated[str, typer.Option(help="SIP realm of the user.")] = "127.0.0.1",
    password: Annotated[
        str, typer.Option(help="Digest password.", envvar="QUICKCALL_PHONE_PASSWORD")
    ] = "",
    server: Annotated[
        str, typer.Option(help="host:port to register with; none: only listen.")
    ] = "",
    transport: Annotated[str, typer.Option(help="udp or tcp.")] = "udp",
    bind: Annotated[str, typer.Option(help="Address to bind SIP and RTP to.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="SIP port; 0: a free one.")] = 0,
    expires: Annotated[int, typer.Option(help="Registration expiry in seconds.")] = 300,
    answer: Annotated[
        str,
        typer.Option(
            help="asked: only when the INVITE asks for auto-answer;"
            " always, after:SECONDS, never, busy, decline."
        ),
    ] = "asked",
    call: Annotated[
        str, typer.Option(help="SIP URI to call; the phone stops when it is over.")
    ] = "",
    tone: Annotated[int, typer.Option(help="Send a tone of this frequency in Hz.")] = 0,
    play: Annotated[Path | None, typer.Option(help="Send this WAV file in a loop.")] = None,
    record: Annotated[Path | None, typer.Option(help="Record what is heard as WAV.")] = None,
    listen: Annotated[
        list[int] | None, typer.Option(help="Report the level of this frequency; repeatable.")
    ] = None,
    codec: Annotated[
        list[str] | None, typer.Option(help="PCMU, PCMA, G722, opus; repeatable, one rate.")
    ] = None,
    srtp: Annotated[str, typer.Option(help="SRTP: off, optional, mandatory.")] = "off",
    digits: Annotated[str, typer.Option(help="DTMF digits to send once a tone is heard.")] = "",
    digits_by: Annotated[str, typer.Option(help="rfc4733 or info.")] = "rfc4733",
    hang_up_after: Annotated[
        float | None, typer.Option(help="Hang up this many seconds after the answer.")
    ] = None,
    run_s: Annotated[float | None, typer.Option("--for", help="Stop after SECONDS.")] = None,
    log: Annotated[Path | None, typer.Option(help="Log of the SIP stack.")] = None,
) -> None:
    """Be a telephone: register, answer, send a tone, say what was heard (JSON lines)."""
    try:
        config = PhoneConfig(
            user=user,
            realm=realm,
            password=password,
            server=server,
            transport=transport,
            bind=bind,
            port=port,
            expires_s=expires,
            answer=AnswerPolicy.parse(answer),
            call=call,
            tone=tone,
            play=play,
            record=record,
            listen=tuple(listen or ()),
            codecs=tuple(codec or ("PCMU", "PCMA")),
            srtp=srtp,
            digits=digits,
            digits_by=digits_by,
            hang_up_after_s=hang_up_after,
            run_s=run_s,
            log=log,
        )
        status = run_phone(config)
    except (PhoneError, ValueError) as error:
        typer.echo(f"quickcall phone: {error}", err=True)
        raise typer.Exit(2) from error
    raise typer.Exit(status)
