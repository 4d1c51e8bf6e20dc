"""`python -m engine.phone`: the softphone alone, without the rest of the command line."""

import typer

from engine.phone.command import phone

typer.run(phone)
