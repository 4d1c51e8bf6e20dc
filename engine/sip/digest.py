"""Digest access authentication, the server's side (RFC 7616 as RFC 8760 brings it to SIP).

Nonces carry their own proof: the time they were made, random bytes, and a keyed hash of both, so
none needs to be remembered until it is used. A used nonce is remembered with its highest count, so
that a recorded request is worth nothing; when more are in use than fit, the oldest count as stale.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from typing import Literal

import msgspec

Algorithm = Literal["SHA-256", "MD5"]

_HEADER_LIMIT = 2048
_SCHEME = re.compile(r"\s*digest\s+(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_PARAM = re.compile(r'([A-Za-z0-9*_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))\s*(?:,\s*|$)')
_NONCE_COUNT = re.compile(r"[0-9a-fA-F]{8}")


class DigestCredentials(msgspec.Struct, frozen=True):
    """An Authorization header with scheme Digest, quotes and backslashes removed."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str
    """As sent, `MD5` when it was left out (RFC 7616 3.4)."""
    qop: str
    """Empty when it was left out, as clients older than RFC 2617 do."""
    nonce_count: int
    """1 when there is no qop."""
    cnonce: str


class Verdict(Enum):
    """What became of credentials."""

    RIGHT = "right"
    STALE = "stale"
    """The password is right, the nonce is too old or was used: ask again."""
    UNKNOWN_NONCE = "unknown nonce"
    """The nonce is not valid, and neither is the response to it: ask again."""
    WRONG = "wrong"


def parse_credentials(header: str) -> DigestCredentials | None:
    """Take an Authorization header apart; None when its scheme is not Digest.

    Raises `ValueError` when it is longer than 2048 characters, broken, lacks what RFC 7616 3.4
    demands, names a parameter twice, or cannot be what stood on the wire.
    """
    if len(header) > _HEADER_LIMIT:
        raise ValueError("Authorization header too long")
    header.encode("utf-8", "surrogateescape")
    match = _SCHEME.fullmatch(header)
    if match is None:
        return None
    params = _parse_params(match["rest"].strip())
    missing = {"username", "realm", "nonce", "uri", "response"} - params.keys()
    qop = params.get("qop", "")
    if missing or (qop and not {"cnonce", "nc"} <= params.keys()):
        raise ValueError(
            f"Authorization header lacks {', '.join(sorted(missing)) or 'cnonce or nc'}"
        )
    count = params.get("nc", "00000001") if qop else "00000001"
    if _NONCE_COUNT.fullmatch(count) is None:
        raise ValueError("nc is not 8 hexadecimal digits")
    return DigestCredentials(
        username=params["username"],
        realm=params["realm"],
        nonce=params["nonce"],
        uri=params["uri"],
        response=params["response"].lower(),
        algorithm=params.get("algorithm", "MD5"),
        qop=qop,
        nonce_count=int(count, 16),
        cnonce=params.get("cnonce", ""),
    )


def digest_response(credentials: DigestCredentials, method: str, password: str) -> str:
    """Return the response RFC 7616 3.4.1 wants to these parameters; algorithm SHA-256 or MD5."""
    digest = hashlib.sha256 if credentials.algorithm.upper() == "SHA-256" else _md5

    def hashed(*parts: str) -> str:
        return digest(_wire(":".join(parts))).hexdigest()

    c = credentials
    secret = hashed(c.username, c.realm, password)
    request = hashed(method, c.uri)
    if not c.qop:
        return hashed(secret, c.nonce, request)
    return hashed(secret, c.nonce, f"{c.nonce_count:08x}", c.cnonce, c.qop, request)


def _wire(text: str) -> bytes:
    # The stack decodes what is not UTF-8 this way, so that the same bytes are hashed as were sent.
    return text.encode("utf-8", "surrogateescape")


def _md5(data: bytes) -> hashlib._Hash:
    # Old phones know nothing else (RFC 3261 22.4).
    return hashlib.md5(data, usedforsecurity=False)


class DigestServer:
    """Challenges, and checks of what comes back."""

    def __init__(
        self,
        key: bytes,
        random_bytes: Callable[[int], bytes],
        *,
        algorithms: tuple[Algorithm, ...] = ("SHA-256", "MD5"),
        lifetime: float = 300.0,
        max_nonces: int = 10_000,
    ) -> None:
        """Make it.

        `key` signs nonces: 16 random bytes or more, made anew at each start. `algorithms` are
        offered in this order, the best first (RFC 7616 3.7). `lifetime` is how long a nonce is
        good, in seconds. `max_nonces` is how many used nonces are remembered, at least 1.
        Raises `ValueError` for a short key, no algorithm, or a bound below 1.
        """
        if len(key) < 16 or not algorithms or lifetime < 1 or max_nonces < 1:
            raise ValueError("digest: a key of 16 bytes, an algorithm, bounds of 1 or more")
        self._key = key
        self._random = random_bytes
        self._algorithms = algorithms
        self._lifetime = lifetime
        self._max_nonces = max_nonces
        self._used: OrderedDict[str, int] = OrderedDict()
        # A nonce dropped from the memory must not become fresh again.
        self._forgotten_until = 0.0

    def challenge(self, realm: str, now: float, *, stale: bool) -> tuple[tuple[str, str], ...]:
        """Return WWW-Authenticate headers with one fresh nonce, one header per algorithm.

        `realm` may not hold quotes or backslashes.
        """
        nonce = self._make_nonce(now)
        flag = ", stale=true" if stale else ""
        return tuple(
            (
                "WWW-Authenticate",
                f'Digest realm="{realm}", nonce="{nonce}", algorithm={algorithm}, qop="auth"{flag}',
            )
            for algorithm in self._algorithms
        )

    def understands(self, credentials: DigestCredentials) -> bool:
        """Tell whether credentials use an algorithm and a qop that were offered."""
        return credentials.algorithm.upper() in self._algorithms and credentials.qop.lower() in (
            "",
            "auth",
        )

    def verify(
        self, credentials: DigestCredentials, method: str, password: str | None, now: float
    ) -> Verdict:
        """Check credentials that `understands` accepts. `password` None: there is no such user.

        A user that does not exist takes as long as one that does and gets the same verdict as a
        wrong password.
        """
        expected = digest_response(credentials, method, password or "")
        same = hmac.compare_digest(expected.encode(), _wire(credentials.response))
        made_at = self._nonce_time(credentials.nonce)
        if not same or password is None:
            return Verdict.WRONG if made_at is not None else Verdict.UNKNOWN_NONCE
        # A nonce holds whole milliseconds, so it may seem to be a little younger than now.
        if made_at is None or not made_at - 1 <= now <= made_at + self._lifetime:
            return Verdict.STALE
        return Verdict.RIGHT if self._use(credentials, made_at) else Verdict.STALE

    def _use(self, credentials: DigestCredentials, made_at: float) -> bool:
        """Count one use of a nonce; false when this count, or a later one, was seen before."""
        nonce = credentials.nonce
        last = self._used.get(nonce)
        if last is None and made_at <= self._forgotten_until:
            return False
        if last is not None and credentials.nonce_count <= last:
            return False
        self._used[nonce] = credentials.nonce_count
        while len(self._used) > self._max_nonces:
            oldest, _ = self._used.popitem(last=False)
            self._forgotten_until = max(self._forgotten_until, self._nonce_time(oldest) or 0.0)
        return True

    def _make_nonce(self, now: float) -> str:
        stamp = int(now * 1000).to_bytes(8, "big") + self._random(8)
        return urlsafe_b64encode(stamp + self._sign(stamp)).decode()

    def _nonce_time(self, nonce: str) -> float | None:
        """Return when one of our nonces was made, None when it is not ours."""
        try:
            raw = urlsafe_b64decode(nonce.encode("ascii"))
        except ValueError:
            return None
        stamp, signature = raw[:16], raw[16:]
        if urlsafe_b64encode(raw).decode() != nonce:
            return None
        if not hmac.compare_digest(signature, self._sign(stamp)):
            return None
        return int.from_bytes(stamp[:8], "big") / 1000

    def _sign(self, stamp: bytes) -> bytes:
        return hmac.digest(self._key, stamp, "sha256")[:16]


def _parse_params(text: str) -> dict[str, str]:
    params: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PARAM.match(text, at)
        if match is None or match[1].lower() in params:
            raise ValueError("broken Authorization header")
        quoted = match[2]
        value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else match[3]
        params[match[1].lower()] = value
        at = match.end()
    return params
