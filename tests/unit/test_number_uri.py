"""Numbers typed or pasted as URIs: what of a tel: or sip: URI is the number, what is malformed."""

import pytest

from engine.numbers.number_filter import NumberFilter
from engine.numbers.text import NumberError

DEFAULT = NumberFilter.compile(None)
ALPHANUMERIC = NumberFilter.compile(True)


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("tel:+1-415-484-6048", "+14154846048"),
        ("tel:+1.415.(484).6048;ext=12;phone-context=a", "+14154846048"),
        ("tel:7042;phone-context=example.com", "7042"),
        ("TEL:911", "911"),
        (" \u200etel:+1 (415) 484\u20136048", "+14154846048"),
        ("tel:1-800-FLOWERS", "1800FLOWERS"),
        ("tel:*67%23", "*67#"),
        ("tel:*67#", "*67#"),
        ("tel:%2B1415", "+1415"),
        ("tel:%EF%BC%911", "11"),
        ("tel:＋１", "+1"),
        ("sip:1002@example.com", "1002"),
        ("SIPS:1002@[2001:db8::1]:5061;transport=tls?Subject=a%40b", "1002"),
        ("sip:+1-415-484-6048;isub=1;phone-context=a@example.com;user=phone", "+14154846048"),
        ("sip:alice:secret@example.com", "alice"),
        ("sip:alice:se;cret@example.com", "alice"),
        ("sip:*97%23@example.com", "*97#"),
        ("sip:%31%2531@example.com", "1%31"),
        ("sip:jos%C3%A9@example.com", "josé"),
        ("sip:a%40b%3B%3A@example.com", "a@b;:"),
        ("sip:%F0%A0%80%80@example.com", "\U00020000"),
        ("sip:a?b/c@example.com", "a?b/c"),
    ],
)
def test_the_number_of_a_uri(uri: str, number: str) -> None:
    result = DEFAULT.apply(uri)
    assert (result.number, result.applied, result.note) == (number, "default", None)
    kept = "".join(character for character in number if character.isalnum())
    assert ALPHANUMERIC.apply(uri).number == kept


@pytest.mark.parametrize(
    "number", ["a:b", "sipp:1@h", "telephone:1", "http://1", "si:p:1@h", ":", "+1%2D", "si", "t:el"]
)
def test_other_text_is_no_uri(number: str) -> None:
    assert DEFAULT.apply(number).number == number


@pytest.mark.parametrize("uri", ["tel:+1-415", "sip:1:2@h;x", "sip:", "tel:%zz"])
def test_false_and_regexes_see_the_text_as_typed(uri: str) -> None:
    assert NumberFilter.compile(False).apply(uri).number == uri
    assert NumberFilter.compile("^(.*)$").apply(uri).number == uri


@pytest.mark.parametrize(
    ("uri", "words", "position"),
    [
        ("tel:", "tel: URI that holds no number", 4),
        ("tel:;ext=1", "holds no number", 4),
        (" tel:-.()", "holds no number", 5),
        ("tel:1/2", "character that no telephone number has", 5),
        ("tel:1%2F2", "character that no telephone number has", 5),
        ("tel:1+2", "a + that is not at the beginning", 5),
        ("tel:++1", "a + that is not at the beginning", 5),
        ("tel:1%2B2", "a + that is not at the beginning", 5),
        ("tel:12%", "a % without two hexadecimal digits", 6),
        ("tel:1%4", "a % without two hexadecimal digits", 5),
        ("sip:1%4;a=b0@h", "a % without two hexadecimal digits", 5),
        ("tel:1%0g", "a % without two hexadecimal digits", 5),
        ("sip:%C3%28@h", "no UTF-8 text", 4),
        ("sip:%C3@h", "no UTF-8 text", 4),
        ("sip:1%80@h", "no UTF-8 text", 5),
        ("sip:%C0%AF@h", "no UTF-8 text", 4),
        ("sip:%E0%80%AF@h", "no UTF-8 text", 4),
        ("sip:%ED%A0%80@h", "no UTF-8 text", 4),
        ("sip:%F4%90%80%80@h", "no UTF-8 text", 4),
        ("sip:%FF@h", "no UTF-8 text", 4),
        ("sip:1%0D%0AVia:@h", "hides a control character", 5),
        ("sip:1%00@h", "hides a control character", 5),
        ("tel:1%7f", "hides a control character", 5),
        ("sip:%C2%85@h", "hides a control character", 4),
        ("sip:1@h;a=\r\n", "holds a control character", 10),
        ("tel:1\x00", "holds a control character", 5),
        ("sip:1002", "sip: URI that has no user part", 4),
        ("sip:example.com;a=b", "has no user part", 4),
        ("sips:@h", "has an empty user part", 5),
        ("sip::secret@h", "has an empty user part", 4),
        ("sip:%20@h", "has an empty user part", 4),
        ("sip:1@", "names no host", 6),
        ("sip:1@;a", "names no host", 6),
        ("sip:1@h h", "no host has", 7),
        ("sip:1@a@b", "a second @", 7),
        ("sip:<1@h", "needs percent-encoded", 4),
        ('sip:"a"@h', "needs percent-encoded", 4),
    ],
)
@pytest.mark.parametrize("chosen", [DEFAULT, ALPHANUMERIC])
def test_a_malformed_uri_is_refused(
    chosen: NumberFilter, uri: str, words: str, position: int
) -> None:
    with pytest.raises(NumberError) as caught:
        chosen.apply(uri)
    assert words in caught.value.reason
    assert caught.value.reason.endswith(f", at position {position}")
    assert caught.value.reason in str(caught.value)


@pytest.mark.parametrize("uri", ["sip:1:secret@", "sips:1:secret", "sip:a:secret@h@i"])
def test_a_refusal_does_not_tell_the_password(uri: str) -> None:
    with pytest.raises(NumberError) as caught:
        DEFAULT.apply(uri)
    assert "secret" not in str(caught.value)
    assert caught.value.number == uri.replace("secret", "***")


def test_a_uri_as_long_as_a_number_may_be() -> None:
    inside = "1" * (128 - len("sip:@h"))
    assert DEFAULT.apply(f"sip:{inside}@h").number == inside
    assert DEFAULT.apply("tel:" + "%31" * 41).number == "1" * 41
    with pytest.raises(NumberError, match="129 characters long"):
        DEFAULT.apply(f"sip:{inside}1@h")
