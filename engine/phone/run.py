"""Runs the softphone in the calling thread until it is told to stop."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from engine.phone.config import PhoneConfig, PhoneError
from engine.phone.report import Report, exclusive_stdout


def run_phone(config: PhoneConfig) -> int:
    """Run a softphone until SIGTERM, SIGINT, `run_s`, or the end of the call it was told to place.

    Blocks; call it from the main thread, once in a process (the SIP stack is a process-wide
    singleton). Writes what happens to standard output, one JSON object a line (docs/phone.md).

    Returns the exit status: 0, or 1 when it never got registered or its call was not answered.
    Raises PhoneError when the pjsua2 binding is not built or the SIP port cannot be bound.
    """
    if find_spec("pjsua2") is None:
        raise PhoneError(
            "The softphone needs the Python binding of pjsua2, which is not built:"
            " run `make setup`."
        )
    # Here, because the module cannot be imported without the binding.
    from engine.phone.softphone import Softphone  # noqa: PLC0415

    with exclusive_stdout() as stream, tempfile.TemporaryDirectory() as directory:
        record = config.record or Path(directory) / "heard.wav"
        phone = Softphone(config, Report(stream), record)
        with _signals_call(phone.stop):
            return phone.run()


@contextmanager
def _signals_call(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on SIGTERM and SIGINT, then put the handlers back."""

    def handler(_number: int, _frame: FrameType | None) -> None:
        stop()

    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
