"""What the phone sends, and which audio of a call flows. Over pjsua2."""

from __future__ import annotations

import pjsua2 as pj

from engine.phone.config import PhoneConfig


def sound_source(config: PhoneConfig) -> pj.AudioMedia | None:
    """Return what the phone sends: a tone, a file in a loop, or None (silence)."""
    if config.play is not None:
        player = pj.AudioMediaPlayer()
        player.createPlayer(str(config.play))
        return player
    if not config.tone:
        return None
    tone = pj.ToneDesc()
    tone.freq1 = config.tone
    tone.on_msec = 1000
    tone.off_msec = 0
    tones = pj.ToneDescVector()
    tones.append(tone)
    generator = pj.ToneGenerator()
    generator.createToneGenerator(config.rate)
    generator.play(tones, True)
    return generator


def active_audio(info: pj.CallInfo) -> list[int]:
    """Return the indices of the audio streams that flow.

    Takes the whole info: its `media` dies with it, so `call.getInfo().media` is freed memory.
    """
    return [
        index
        for index, media in enumerate(info.media)
        if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE
    ]


def codec_in_use(call: pj.Call, info: pj.CallInfo) -> str:
    """Return the name of the audio codec, like `PCMU/8000`; empty when there is no audio."""
    for index in active_audio(info):
        stream = call.getStreamInfo(index)
        return f"{stream.codecName}/{stream.codecClockRate}"
    return ""
