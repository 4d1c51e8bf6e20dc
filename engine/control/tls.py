"""TLS of the HTTP API: one context, whose certificate can be exchanged while it serves."""

from __future__ import annotations

import ssl

from engine.core.errors import RequestInvalid


class TlsFiles:
    """A certificate chain and its key, in PEM files that may be exchanged.

    TLS 1.2 and 1.3 are spoken. Open connections keep the certificate they began with.
    """

    def __init__(self, certificate: str, private_key: str) -> None:
        """Load them. Raises `RequestInvalid` when they cannot be used."""
        self._files = (certificate, private_key)
        self.context = self._load()

    def reload(self) -> None:
        """Take the files as they are now. Raises `RequestInvalid`; the old ones then stay."""
        self._load()
        self.context.load_cert_chain(*self._files)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(*self._files)
        except (OSError, ValueError) as error:
            allowed = f"PEM files of a certificate chain and its key ({error})"
            raise RequestInvalid("http_certificate", " and ".join(self._files), allowed) from error
        return context
