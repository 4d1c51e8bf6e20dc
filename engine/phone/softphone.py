"""The softphone itself, over the Python binding of pjsua2, which is imported only with it.

Traps of the binding and what is done about them:

* Callbacks on foreign threads: the stack gets no worker threads and is polled here, so that every
  callback runs inside `libHandleEvents` in the thread that called `run`. No Python log writer or
  audio port is registered: those would be called from the media clock.
* Garbage collection: a collected `Call` hangs up, a collected recorder stops. The line keeps each
  call until it is over and takes it apart from the loop, never inside a callback of that same
  call; every native object is gone before the library is destroyed.
* An exception in a callback would end the process inside C++: callbacks only note it, the loop
  raises it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pjsua2 as pj

from engine.phone.config import PhoneConfig, PhoneError
from engine.phone.line import Line
from engine.phone.report import Report

POLL_MS = 10
"""Longest wait for the network in one turn of the loop; bounds how late a timer fires."""
GOODBYE_S = 3.0
"""How long hanging up and unregistering may take at the end."""


class _Account(pj.Account):  # type: ignore[misc]  # the binding carries no types
    """The phone's account; passes what happens to the softphone."""

    def __init__(self, phone: Softphone) -> None:
        super().__init__()
        self._phone = phone

    def onRegState(self, prm: pj.OnRegStateParam) -> None:  # noqa: N802
        self._phone.guarded(self._phone.on_registration, prm)

    def onIncomingCall(self, prm: pj.OnIncomingCallParam) -> None:  # noqa: N802
        self._phone.guarded(self._phone.line.take, prm.callId, prm.rdata.wholeMsg)


class Softphone:
    """One phone with one line. Use it once: make it, `run` it."""

    def __init__(self, config: PhoneConfig, report: Report, record: Path) -> None:
        """Prepare a phone that records into `record`; nothing is started."""
        self._config = config
        self._report = report
        self._stopping = False
        self._registered: bool | None = None
        self._ever_registered = False
        self._error: Exception | None = None
        self._endpoint = pj.Endpoint()
        self._account: _Account | None = None
        self.line = Line(config, report, record, self.guarded)

    def stop(self) -> None:
        """Ask the phone to end its call, unregister and leave `run`. Safe in a signal handler."""
        self._stopping = True

    def guarded(self, callback: Callable[..., None], *arguments: object) -> None:
        """Run a callback of the stack; an exception in it is raised by `run`, not inside C++."""
        try:
            callback(*arguments)
        except Exception as error:
            self._error = self._error or error

    def run(self) -> int:
        """Start, serve until stopped, end in good order. Returns the status (see `run_phone`)."""
        try:
            self._start()
            self._serve()
            self._say_goodbye()
        except pj.Error as error:
            raise PhoneError(f"phone {self._config.aor}: {error.title}: {error.reason}") from error
        finally:
            self._destroy()
        self._report("stopped")
        failed = (self._config.server and not self._ever_registered) or (
            self._config.call and not self.line.answered_calls
        )
        return 1 if failed else 0

    def on_registration(self, prm: pj.OnRegStateParam) -> None:
        """Report the answer of the registrar."""
        ok = prm.code // 100 == 2
        self._registered = ok and prm.expiration > 0
        if self._registered:
            self._ever_registered = True
            self._report("registered", aor=self._config.aor, expires=prm.expiration)
        elif ok:
            self._report("unregistered", aor=self._config.aor)
        else:
            self._report(
                "registration_failed", aor=self._config.aor, sip_status=prm.code, reason=prm.reason
            )

    def _start(self) -> None:
        self._endpoint.libCreate()
        self._endpoint.libInit(_endpoint_config(self._config))
        self._endpoint.audDevManager().setNullDev()
        self._choose_codecs()
        self._listen()
        self._endpoint.libStart()
        self._account = _Account(self)
        self._account.create(_account_config(self._config))
        self.line.open(self._account)

    def _choose_codecs(self) -> None:
        """Enable the configured codecs only, the first with the highest priority."""
        wanted = [codec.lower() for codec in self._config.codecs]
        for codec in self._endpoint.codecEnum2():
            name = codec.codecId.split("/")[0].lower()
            priority = 255 - wanted.index(name) if name in wanted else 0
            self._endpoint.codecSetPriority(codec.codecId, priority)

    def _listen(self) -> None:
        transport = pj.TransportConfig()
        transport.port = self._config.port
        transport.boundAddress = self._config.bind
        tcp = self._config.transport == "tcp"
        kind = pj.PJSIP_TRANSPORT_TCP if tcp else pj.PJSIP_TRANSPORT_UDP
        bound = self._endpoint.transportCreate(kind, transport)
        info = self._endpoint.transportGetInfo(bound)
        self._report("listening", transport=self._config.transport, address=info.localName)

    def _serve(self) -> None:
        """Poll until told to stop, the time is over, or the placed call has ended."""
        config = self._config
        until = None if config.run_s is None else time.monotonic() + config.run_s
        to_call = config.call
        while not self._stopping:
            if to_call and (self._registered or not config.server):
                self.line.dial(to_call)
                to_call = ""
            self._turn()
            placed_and_over = config.call and not to_call and not self.line.busy
            if placed_and_over or (until is not None and time.monotonic() >= until):
                break

    def _say_goodbye(self) -> None:
        """Hang up, wait for the end of the call, unregister."""
        deadline = time.monotonic() + GOODBYE_S
        self.line.hang_up()
        self._turn_until(lambda: not self.line.busy, deadline)
        if self._account is not None and self._registered:
            self._account.setRegistration(False)
            self._turn_until(lambda: not self._registered, deadline)

    def _turn_until(self, done: Callable[[], bool], deadline: float) -> None:
        while not done() and time.monotonic() < deadline:
            self._turn()

    def _turn(self) -> None:
        self._endpoint.libHandleEvents(POLL_MS)
        self.line.tick(time.monotonic())
        if self._error is not None:
            raise self._error

    def _destroy(self) -> None:
        """Let go of every native object, then of the library."""
        self.line.drop()
        if self._account is not None:
            self._account.shutdown()
            self._account = None
        # Everything was said in good order above; without the flag this waits a second for more.
        self._endpoint.libDestroy(pj.PJSUA_DESTROY_NO_NETWORK)


def _endpoint_config(config: PhoneConfig) -> pj.EpConfig:
    """Describe the stack: no threads for SIP, one clock rate, nothing that alters a tone."""
    endpoint = pj.EpConfig()
    endpoint.uaConfig.threadCnt = 0
    endpoint.uaConfig.mainThreadOnly = True
    endpoint.uaConfig.maxCalls = 4
    endpoint.uaConfig.userAgent = "quickcall-phone"
    endpoint.medConfig.clockRate = config.rate
    endpoint.medConfig.sndClockRate = config.rate
    endpoint.medConfig.channelCount = 1
    endpoint.medConfig.noVad = True
    endpoint.medConfig.ecTailLen = 0
    endpoint.logConfig.consoleLevel = 0
    endpoint.logConfig.level = 5 if config.log else 0
    endpoint.logConfig.msgLogging = 1 if config.log else 0
    endpoint.logConfig.filename = str(config.log or "")
    return endpoint


def _account_config(config: PhoneConfig) -> pj.AccountConfig:
    account = pj.AccountConfig()
    account.idUri = config.aor
    account.mediaConfig.transportConfig.port = 0
    account.mediaConfig.transportConfig.boundAddress = config.bind
    account.mediaConfig.srtpUse = {
        "off": pj.PJMEDIA_SRTP_DISABLED,
        "optional": pj.PJMEDIA_SRTP_OPTIONAL,
        "mandatory": pj.PJMEDIA_SRTP_MANDATORY,
    }[config.srtp]
    account.mediaConfig.srtpSecureSignaling = 0
    if config.server:
        account.regConfig.registrarUri = f"sip:{config.realm}"
        account.regConfig.timeoutSec = config.expires_s
        account.regConfig.firstRetryIntervalSec = 1
        account.regConfig.retryIntervalSec = 5
        account.sipConfig.proxies.append(f"sip:{config.server};transport={config.transport};lr")
        account.sipConfig.authCreds.append(
            pj.AuthCredInfo("digest", "*", config.user, 0, config.password)
        )
    return account
