"""`tls:` of a driver's entry: which certificates prove who is who.

Knows: the fields and their rules, the standard library's ssl. Must not know: any driver or client library.
"""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from ...registry import secret
from ..lifecycle import Complaints

PEM_MARK = "-----BEGIN "


class TlsRefused(ValueError):
    """Certificates or keys that cannot be used; names the field, never what stands in it."""


@frozen(kw_only=True)
class TlsConfig:
    """`tls:`. TLS 1.2 or later, the server's certificate checked against `ca`, or the system's authorities.

    Attributes:
        enabled: use TLS. Some URLs (`amqps:`, `rediss:`) ask for it by themselves.
        server_name: the name that the server's certificate is for, if it is not the host of the URL.
        cert: our certificate as PEM text, or `file://client.pem`; with `key`.
        key: its private key, likewise.
        ca: the authorities that may sign the server's certificate, likewise.
        cert_env: an environment variable that holds the PEM text, instead of `cert`.
        key_env: instead of `key`.
        ca_env: instead of `ca`.
        insecure_skip_verify: believe any certificate. For a test only: whoever is in between can read everything.
    """

    enabled: bool = False
    server_name: str = ""
    cert: str = ""
    key: str = secret(default="")
    ca: str = ""
    cert_env: str = ""
    key_env: str = ""
    ca_env: str = ""
    insecure_skip_verify: bool = False

    def context(self) -> ssl.SSLContext:
        """What the standard library and every client library built on it take.

        Raises:
            TlsRefused: a variable is not set, or a text is no certificate or key.
        """
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.insecure_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        authority = self._text("ca")
        if authority:
            _load_authority(context, authority)
        certificate, key = self._text("cert"), self._text("key")
        if certificate:
            _load_identity(context, certificate, key)
        return context

    def _text(self, item: str) -> str:
        variable: str = getattr(self, f"{item}_env")
        if not variable:
            inline: str = getattr(self, item)
            return inline
        value = os.environ.get(variable, "")
        if not value:
            raise TlsRefused(f"tls.{item}_env: the environment has no {variable}")
        return value


def _load_authority(context: ssl.SSLContext, text: str) -> None:
    try:
        context.load_verify_locations(cadata=text)
    except ssl.SSLError:
        raise TlsRefused("tls.ca: not a certificate in PEM format") from None


def _load_identity(context: ssl.SSLContext, certificate: str, key: str) -> None:
    with _kept_in_file(certificate) as certificate_file, _kept_in_file(key) as key_file:
        try:
            # Without the password, OpenSSL would ask for it at the terminal, and wait.
            context.load_cert_chain(certificate_file, key_file, password=b"")
        except (ssl.SSLError, ValueError):
            raise TlsRefused(
                "tls.cert, tls.key: not a certificate and its private key, without a password, in PEM format"
            ) from None


@contextmanager
def _kept_in_file(text: str) -> Iterator[Path]:
    """Our own certificates are read by ssl from files only: one that nobody else may read, and not for long."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="noria-") as file:
        file.write(text)
        file.flush()
        yield Path(file.name)


def check_tls(tls: TlsConfig) -> Complaints:
    """What is wrong with the fields taken together; the paths begin with `tls`."""
    for item in ("cert", "key", "ca"):
        text: str = getattr(tls, item)
        if text and getattr(tls, f"{item}_env"):
            yield f"tls.{item}_env", f"give either {item} or {item}_env"
        if text and PEM_MARK not in text:
            yield f"tls.{item}", f'expected PEM text ("{PEM_MARK}...") or file://name.pem'
    if bool(tls.cert or tls.cert_env) != bool(tls.key or tls.key_env):
        yield "tls", "cert and key come together: give both, or neither"
