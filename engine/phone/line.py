"""The phone's line: at most one call, its tone, its recording, its timers. Over pjsua2."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pjsua2 as pj

from engine.phone.answering import auto_answer_delay
from engine.phone.config import PhoneConfig
from engine.phone.recording import Recording
from engine.phone.report import Report
from engine.phone.sound import active_audio, codec_in_use, sound_source

RECOGNISED_S = 0.5
"""How long a tone must have been heard before `hearing` reports it during the call."""
CLOSING_S = 1.0
"""How long the writer of the recording may take to close the file after the call."""
_READ_EVERY_S = 0.1
_DIGIT_MS = 120

Guard = Callable[..., None]
"""Runs a callback of the stack with its arguments, keeping exceptions out of C++."""


class _Call(pj.Call):  # type: ignore[misc]  # the binding carries no types
    """A call of the stack; passes its callbacks to the line."""

    def __init__(self, line: Line, call_id: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(line.account, call_id)
        self._line = line

    def onCallState(self, _prm: pj.OnCallStateParam) -> None:  # noqa: N802
        self._line.guarded(self._line.on_state, self)

    def onCallMediaState(self, _prm: pj.OnCallMediaStateParam) -> None:  # noqa: N802
        self._line.guarded(self._line.on_media, self)

    def onDtmfDigit(self, prm: pj.OnDtmfDigitParam) -> None:  # noqa: N802
        self._line.guarded(self._line.on_digit, self, prm)


@dataclass(slots=True)
class _Talk:
    """The call the line is busy with and what is known of it. Times are of the monotonic clock."""

    call: _Call
    recorder: pj.AudioMediaRecorder | None = None
    recording: Recording | None = None
    recognised: int | None = None
    answered_at: float | None = None
    ending: tuple[float, pj.CallInfo] | None = None
    """When it ended and what the stack said of it then; afterwards the stack says nothing."""
    hung_up: bool = False
    read_at: float = 0.0


class Line:
    """What happens between the arrival of a call and its end."""

    def __init__(self, config: PhoneConfig, report: Report, record: Path, guard: Guard) -> None:
        """Prepare a line that records into `record`; callbacks of the stack go through `guard`."""
        self._config = config
        self._report = report
        self._record = record
        self.guarded = guard
        self.account: pj.Account | None = None
        self.answered_calls = 0
        self._source: pj.AudioMedia | None = None
        self._talk: _Talk | None = None
        self._refused: list[_Call] = []
        self._timers: list[tuple[float, Callable[[], None]]] = []

    @property
    def busy(self) -> bool:
        """Whether there is a call, or what was heard of one is still to be reported."""
        return self._talk is not None

    def open(self, account: pj.Account) -> None:
        """Take calls of this account and start the sound that is sent in them."""
        self.account = account
        self._source = sound_source(self._config)

    def take(self, call_id: int, invite: str) -> None:
        """Ring, answer or refuse a call that came in."""
        call = _Call(self, call_id)
        info = call.getInfo()
        asked = auto_answer_delay(invite)
        refusal = 486 if self.busy else self._config.answer.refusal
        if refusal is not None:
            self._report(
                "refused", call_id=info.callIdString, caller=info.remoteUri, sip_status=refusal
            )
            self._refused.append(call)
            call.hangup(_operation(refusal))
            return
        self._talk = _Talk(call)
        self._report(
            "ringing", call_id=info.callIdString, caller=info.remoteUri, auto_answer_s=asked
        )
        delay = self._config.answer.delay(asked)
        if delay != 0:
            call.answer(_operation(pj.PJSIP_SC_RINGING))
        if delay is not None:
            self._after(delay, lambda: call.answer(_operation(pj.PJSIP_SC_OK)))

    def dial(self, uri: str) -> None:
        """Place a call. Raises pj.Error when the URI is not one."""
        call = _Call(self)
        call.makeCall(uri, _operation())
        self._talk = _Talk(call)
        self._report("calling", call_id=call.getInfo().callIdString, callee=uri)

    def hang_up(self) -> None:
        """End the call if there is one: BYE, CANCEL or 603, whatever its state asks for."""
        talk = self._talk
        if talk is not None and talk.ending is None and not talk.hung_up:
            talk.hung_up = True
            talk.call.hangup(_operation())

    def on_state(self, call: _Call) -> None:
        """Report how far a call is."""
        talk = self._talk
        if talk is None or call is not talk.call:
            return
        info = call.getInfo()
        if info.state == pj.PJSIP_INV_STATE_EARLY and info.role == pj.PJSIP_ROLE_UAC:
            self._report("ringing", call_id=info.callIdString, sip_status=info.lastStatusCode)
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            talk.answered_at = time.monotonic()
            self.answered_calls += 1
            self._report("answered", call_id=info.callIdString, codec=codec_in_use(call, info))
            if self._config.hang_up_after_s is not None:
                self._after(self._config.hang_up_after_s, self.hang_up)
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            talk.ending = (time.monotonic(), info)
            self._timers.clear()

    def on_media(self, call: _Call) -> None:
        """Connect the sound: what is sent to the call, and the call to the recording."""
        talk = self._talk
        if talk is None or call is not talk.call:
            return
        for index in active_audio(call.getInfo()):
            audio = call.getAudioMedia(index)
            audio.startTransmit(self._recorder_of(talk))
            if self._source is not None:
                self._source.startTransmit(audio)

    def on_digit(self, call: _Call, prm: pj.OnDtmfDigitParam) -> None:
        """Report a digit that came."""
        if self._talk is not None and call is self._talk.call:
            method = "info" if prm.method == pj.PJSUA_DTMF_METHOD_SIP_INFO else "rfc4733"
            self._report("digit", digit=prm.digit, method=method, duration_ms=prm.duration)

    def _press(self, talk: _Talk) -> None:
        """Send the digits of the configuration."""
        asked = pj.CallSendDtmfParam()
        asked.digits = self._config.digits
        asked.duration = _DIGIT_MS
        by_info = self._config.digits_by == "info"
        asked.method = pj.PJSUA_DTMF_METHOD_SIP_INFO if by_info else pj.PJSUA_DTMF_METHOD_RFC2833
        talk.call.sendDtmf(asked)

    def tick(self, now: float) -> None:
        """Do what is due at `now`, in seconds of the monotonic clock."""
        self._refused = [call for call in self._refused if call.isActive()]
        due = [action for when, action in self._timers if when <= now]
        self._timers = [timer for timer in self._timers if timer[0] > now]
        for action in due:
            action()
        if self._talk is not None:
            self._follow(self._talk, now)

    def drop(self) -> None:
        """Let go of every native object without waiting."""
        self._talk = self._source = self.account = None
        self._refused.clear()
        self._timers.clear()

    def _follow(self, talk: _Talk, now: float) -> None:
        """Listen while the call lasts; report it when it is over and its recording complete."""
        recording = talk.recording
        if talk.ending is None:
            if recording is not None and now >= talk.read_at:
                talk.read_at = now + _READ_EVERY_S
                self._listen(talk, recording)
            return
        talk.recorder = None
        if recording is not None:
            # The writer closes the file a moment after the call, in the thread of the media clock.
            if not recording.complete() and now < talk.ending[0] + CLOSING_S:
                return
            self._report_heard(recording)
        self._report_ended(talk, *talk.ending)
        self._talk = None

    def _listen(self, talk: _Talk, recording: Recording) -> None:
        recording.read()
        tone = recording.tone(RECOGNISED_S)
        if tone is not None and tone != talk.recognised:
            if self._config.digits and not talk.recognised:
                self._press(talk)
            talk.recognised = tone
            self._report("hearing", freq=tone)

    def _report_heard(self, recording: Recording) -> None:
        heard = recording.hearing()
        self._report(
            "heard",
            freq=heard.freq,
            ratio=heard.ratio,
            seconds=heard.seconds,
            sound_s=heard.sound_s,
            total_s=heard.total_s,
            levels={str(freq): level for freq, level in heard.levels.items()},
        )

    def _report_ended(self, talk: _Talk, ended_at: float, info: pj.CallInfo) -> None:
        talked = 0.0 if talk.answered_at is None else ended_at - talk.answered_at
        self._report(
            "ended",
            call_id=info.callIdString,
            sip_status=info.lastStatusCode,
            reason=info.lastReason,
            by="us" if talk.hung_up else "them",
            talked_s=round(talked, 3),
        )

    def _recorder_of(self, talk: _Talk) -> pj.AudioMediaRecorder:
        if talk.recorder is None:
            self._record.unlink(missing_ok=True)
            talk.recorder = pj.AudioMediaRecorder()
            talk.recorder.createRecorder(str(self._record))
            talk.recording = Recording(self._record, self._config.rate, self._config.listen)
        return talk.recorder

    def _after(self, delay_s: float, action: Callable[[], None]) -> None:
        self._timers.append((time.monotonic() + delay_s, action))


def _operation(status: int = 0) -> pj.CallOpParam:
    """Describe an operation on a call: audio only, with this SIP status where one is sent.

    pjsua offers real-time text (RFC 4103) unless told otherwise; stopping that takes 0.3 s.
    """
    operation = pj.CallOpParam(True)
    operation.opt.videoCount = 0
    operation.opt.textCount = 0
    if status:
        operation.statusCode = status
    return operation
