"""Digest authentication against the RFCs' own examples, and against people who cheat."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.sip.digest import (
    DigestCredentials,
    DigestServer,
    Verdict,
    digest_response,
    parse_credentials,
)

KEY = b"0123456789abcdef"
NOW = 1_700_000_000.0


def server(*, lifetime: float = 300, max_nonces: int = 100) -> DigestServer:
    counter = iter(range(10**9))
    return DigestServer(
        KEY,
        lambda size: next(counter).to_bytes(size, "big"),
        lifetime=lifetime,
        max_nonces=max_nonces,
    )


def nonce_of(digest: DigestServer, now: float = NOW, *, stale: bool = False) -> str:
    header = digest.challenge("acme.example", now, stale=stale)[0][1]
    return header.split('nonce="')[1].split('"')[0]


def answer(
    nonce: str, *, password: str = "secret", count: int = 1, algorithm: str = "SHA-256"
) -> DigestCredentials:
    unsigned = DigestCredentials(
        username="ann",
        realm="acme.example",
        nonce=nonce,
        uri="sip:acme.example",
        response="",
        algorithm=algorithm,
        qop="auth",
        nonce_count=count,
        cnonce="c",
    )
    return replace(unsigned, response=digest_response(unsigned, "REGISTER", password))


# RFC 7616 3.9.1 and RFC 2617 3.5, both GET with the password "Circle of Life" / "Circle Of Life".
RFC_7616 = (
    'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html",'
    ' algorithm={algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",'
    ' nc=00000001, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth,'
    ' response="{response}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
SHA_256 = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
MD5 = "8ca523f5e9506fed4657c9700eebdbec"
RFC_2617 = (
    'Digest username="Mufasa", realm="testrealm@host.com",'
    ' nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/dir/index.html", qop=auth, nc=00000001,'
    ' cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1",'
    ' opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)


@pytest.mark.parametrize(
    ("header", "password"),
    [
        (RFC_7616.format(algorithm="SHA-256", response=SHA_256), "Circle of Life"),
        (RFC_7616.format(algorithm="MD5", response=MD5), "Circle of Life"),
        (RFC_2617, "Circle Of Life"),
    ],
)
def test_the_examples_of_the_rfcs(header: str, password: str) -> None:
    credentials = parse_credentials(header)
    assert credentials is not None
    assert digest_response(credentials, "GET", password) == credentials.response
    assert digest_response(credentials, "GET", password + " ") != credentials.response
    assert digest_response(credentials, "POST", password) != credentials.response


def test_credentials_without_qop_are_hashed_as_rfc_2069_did() -> None:
    header = 'Digest username="a", realm="r", nonce="n", uri="sip:r", response="X"'
    credentials = parse_credentials(header)
    assert credentials is not None
    assert (credentials.algorithm, credentials.qop, credentials.nonce_count) == ("MD5", "", 1)

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    expected = md5(f"{md5('a:r:p')}:n:{md5('REGISTER:sip:r')}")
    assert digest_response(credentials, "REGISTER", "p") == expected


def test_quotes_spaces_and_case_of_real_phones_are_read() -> None:
    header = (
        'DIGEST Username = "a\\"b\\\\c" ,realm="r",nonce="n",uri="sip:r;x=\\"",'
        'RESPONSE="AB",algorithm="md5",qop="auth",nc=0000000A,cnonce="1,2"'
    )
    credentials = parse_credentials(header)
    assert credentials is not None
    assert credentials.username == 'a"b\\c'
    assert credentials.cnonce == "1,2"
    assert (credentials.nonce_count, credentials.response) == (10, "ab")
    assert server().understands(credentials)


def test_other_schemes_are_not_ours() -> None:
    assert parse_credentials("Basic YTpi") is None
    assert parse_credentials("") is None


@pytest.mark.parametrize(
    "header",
    [
        "Digest ",
        "Digest username",
        'Digest username="a"',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x" junk',
        'Digest username="a", username="b", realm="r", nonce="n", uri="u", response="x"',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", qop=auth',
        'Digest username="a", realm="r", nonce="n", uri="", response="x", nc=1, qop=auth, cnonce=b',
        'Digest username="a\ud800", realm="r", nonce="n", uri="u", response="x"',
        "Digest " + 'a="' + "x" * 2048 + '"',
    ],
)
def test_broken_credentials_are_refused(header: str) -> None:
    with pytest.raises(ValueError, match=r"Authorization|nc is not|surrogates"):
        parse_credentials(header)


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    for header in (text, f"Digest {text}", f'Digest username="{text}", realm=r'):
        try:
            parse_credentials(header)
        except ValueError:
            continue


def test_a_challenge_offers_the_strong_algorithm_first_and_the_old_one() -> None:
    first, second = server().challenge("acme.example", NOW, stale=False)
    assert first[0] == second[0] == "WWW-Authenticate"
    assert "algorithm=SHA-256" in first[1]
    assert "algorithm=MD5" in second[1]
    for _, value in (first, second):
        assert value.startswith('Digest realm="acme.example", nonce="')
        assert 'qop="auth"' in value
        assert "stale" not in value
    assert all("stale=true" in value for _, value in server().challenge("r", NOW, stale=True))
    only = DigestServer(KEY, bytes, algorithms=("MD5",))
    assert len(only.challenge("r", NOW, stale=False)) == 1


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5", "md5"])
def test_the_right_password_is_right_and_another_is_wrong(algorithm: str) -> None:
    digest = server()
    nonce = nonce_of(digest)
    right = answer(nonce, algorithm=algorithm)
    wrong = answer(nonce, algorithm=algorithm, password="guess", count=2)
    assert digest.verify(right, "REGISTER", "secret", NOW) is Verdict.RIGHT
    assert digest.verify(wrong, "REGISTER", "secret", NOW) is Verdict.WRONG
    assert digest.verify(answer(nonce, count=3), "INVITE", "secret", NOW) is Verdict.WRONG


def test_an_unknown_user_is_as_wrong_as_a_wrong_password() -> None:
    digest = server()
    empty = answer(nonce_of(digest), password="")
    assert digest.verify(empty, "REGISTER", None, NOW) is Verdict.WRONG


def test_what_was_not_offered_is_not_understood() -> None:
    digest = server()
    good = answer("n")
    assert digest.understands(good)
    assert not digest.understands(replace(good, algorithm="SHA-512-256"))
    assert not digest.understands(replace(good, algorithm="MD5-sess"))
    assert not digest.understands(replace(good, qop="auth-int"))


def test_a_nonce_ends_with_its_lifetime() -> None:
    digest = server(lifetime=300)
    nonce = nonce_of(digest)
    assert digest.verify(answer(nonce), "REGISTER", "secret", NOW + 300) is Verdict.RIGHT
    late = digest.verify(answer(nonce, count=2), "REGISTER", "secret", NOW + 301)
    assert late is Verdict.STALE


def test_nonces_of_others_are_not_ours() -> None:
    digest = server()
    nonce = nonce_of(digest)
    elsewhere = nonce_of(DigestServer(b"x" * 16, bytes))
    flipped = ("B" if nonce[0] == "A" else "A") + nonce[1:]
    for other in (elsewhere, flipped, nonce[:-2], nonce + "\n", "", "ä", "!!!!"):
        assert digest.verify(answer(other), "REGISTER", "secret", NOW) is Verdict.STALE
        bad = answer(other, password="guess")
        assert digest.verify(bad, "REGISTER", "secret", NOW) is Verdict.UNKNOWN_NONCE


def test_a_recorded_request_is_worth_nothing() -> None:
    digest = server()
    nonce = nonce_of(digest)
    first = answer(nonce)
    assert digest.verify(first, "REGISTER", "secret", NOW) is Verdict.RIGHT
    assert digest.verify(first, "REGISTER", "secret", NOW) is Verdict.STALE
    assert digest.verify(answer(nonce, count=5), "REGISTER", "secret", NOW) is Verdict.RIGHT
    assert digest.verify(answer(nonce, count=4), "REGISTER", "secret", NOW) is Verdict.STALE
    assert digest.verify(answer(nonce, count=6), "REGISTER", "secret", NOW) is Verdict.RIGHT


def test_a_nonce_pushed_out_of_the_memory_is_not_fresh_again() -> None:
    digest = server(max_nonces=2)
    nonces = [nonce_of(digest, NOW + index) for index in range(3)]
    for nonce in nonces:
        assert digest.verify(answer(nonce), "REGISTER", "secret", NOW + 3) is Verdict.RIGHT
    assert digest.verify(answer(nonces[0]), "REGISTER", "secret", NOW + 3) is Verdict.STALE
    again = answer(nonces[2], count=2)
    assert digest.verify(again, "REGISTER", "secret", NOW + 3) is Verdict.RIGHT
    new = nonce_of(digest, NOW + 4)
    assert digest.verify(answer(new), "REGISTER", "secret", NOW + 4) is Verdict.RIGHT


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="key of 16 bytes"):
        DigestServer(b"short", bytes)


@given(counts=st.lists(st.integers(1, 20), max_size=40))
def test_a_count_is_accepted_when_it_is_above_all_before(counts: list[int]) -> None:
    digest = server()
    nonce = nonce_of(digest)
    highest = 0
    for count in counts:
        verdict = digest.verify(answer(nonce, count=count), "REGISTER", "secret", NOW)
        assert verdict is (Verdict.RIGHT if count > highest else Verdict.STALE)
        highest = max(highest, count)
