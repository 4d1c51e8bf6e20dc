"""What the softphone refuses to be told, in words that say what is allowed."""

import wave
from pathlib import Path

import pytest

from engine.phone import PhoneConfig, PhoneError


def write_wav(path: Path, channels: int = 1, rate: int = 8000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(320))
    return path


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("transport", "sctp", "transport 'sctp': must be one of udp, tcp"),
        ("port", 65536, "port 65536: must be 0 to 65535"),
        ("expires_s", 5, "expires_s 5: must be 10 to 7200"),
        ("run_s", -1.0, "run_s -1.0: must be 0 to 86400"),
        ("hang_up_after_s", 1e6, "hang_up_after_s 1000000.0: must be 0 to 86400"),
        ("user", "a b", "user 'a b': must be without spaces"),
        ("call", "sip:x@h\r\nEvil: 1", "must be without spaces and line ends"),
        ("tone", 100, "frequency 100: must be 300 to 3400 Hz"),
        ("listen", (700, 4000), "frequency 4000: must be 300 to 3400 Hz"),
        ("codecs", ("GSM",), "codecs 'GSM': must be one of PCMU, PCMA, G722, opus"),
        ("codecs", ("PCMU", "opus"), "codecs PCMU, opus: need one sampling rate"),
        ("digits", "12x", "digits '12x': must be of 0-9, *, #, A-D"),
        ("digits_by", "tones", "digits_by 'tones': must be one of rfc4733, info"),
        ("codecs", (), "codecs: need at least one of PCMU, PCMA, G722, opus"),
    ],
)
def test_value_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(PhoneError) as caught:
        PhoneConfig(**{field: value})  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_wav_must_suit_the_codecs(tmp_path: Path) -> None:
    fast = write_wav(tmp_path / "fast.wav", rate=16000)
    with pytest.raises(PhoneError, match=r"has 1 channels, 16 bits, 16000 Hz; must be .* 8000 Hz"):
        PhoneConfig(play=fast)
    assert PhoneConfig(play=fast, codecs=("G722",)).rate == 16000
    with pytest.raises(PhoneError, match="has 2 channels"):
        PhoneConfig(play=write_wav(tmp_path / "stereo.wav", channels=2))


def test_wav_must_be_readable(tmp_path: Path) -> None:
    with pytest.raises(PhoneError, match="not a readable WAV file"):
        PhoneConfig(play=tmp_path / "missing.wav")
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(PhoneError, match="not a readable WAV file"):
        PhoneConfig(play=tmp_path / "text.wav")


def test_tone_and_file_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(PhoneError, match="only one of them"):
        PhoneConfig(play=write_wav(tmp_path / "a.wav"), tone=700)


def test_password_is_never_shown() -> None:
    assert "secret" not in repr(PhoneConfig(password="secret"))
