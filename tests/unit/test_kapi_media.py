"""Names of media as Kazoo writes them."""

import pytest

from engine.control.kapi_media import Media, media_of
from engine.core.errors import RequestInvalid
from engine.core.sound_names import sound_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("de/busy", Media("de/busy")),
        ("ivr/welcome.wav", Media("ivr/welcome.wav")),
        ("tone:425/1000", Media("tone:425/1000")),
        ("tone://425/1000,0/4000", Media("tone:425/1000,0/4000")),
        ("tone_stream://%(500,0,480,620)", Media("tone:480+620/500")),
        ("tone_stream://v=-7;%(200,100,440);l=3", Media("tone:440/200,0/100@-10")),
        ("tone_stream://%(2000,4000,440,480);loops=-1", Media("tone:440+480/2000,0/4000", True)),
        ("silence_stream://500", Media("tone:0/500")),
        ("silence_stream://-1", Media("tone:0/1000", True)),
        ("prompt://acct/vm-enter_pass/en-us", Media("en-us/vm-enter_pass.wav")),
        ("/acct/0123", Media("acct/0123.wav")),
        ("file:///srv/a.wav", Media("srv/a.wav")),
    ],
)
def test_names(name: str, expected: Media) -> None:
    assert media_of("Media-Name", name) == expected
    sound_of("sound", expected.sound, "/sounds")


@pytest.mark.parametrize(
    "name",
    ["", None, 5, "x" * 600, "shout://radio", "prompt://a/b", "prompt://a//c", "tone_stream://",
     "tone_stream://%(1,2)", "tone_stream://%(200,0,440);x=1", "silence_stream://abc"],
)  # fmt: skip
def test_what_is_no_name(name: object) -> None:
    with pytest.raises(RequestInvalid) as caught:
        media_of("Media-Name", name)
    assert caught.value.field == "Media-Name"


@pytest.mark.parametrize("name", ["/../../etc/passwd", "prompt://a/../..", "file:///.ssh/key"])
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    with pytest.raises(RequestInvalid):
        sound_of("sound", media_of("Media-Name", name).sound, "/sounds")
