"""`tls:` of a driver's entry."""

import socket
import ssl
import threading

import pytest
from servers.certificates import Certificates

from noria.actors.drivers.tls import TlsConfig, TlsRefused, check_tls

PATIENCE = 20.0


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


def problems(**fields):
    return list(check_tls(TlsConfig(**fields)))


def test_fields_that_fit_together_are_accepted(certificates):
    text = certificates.client.read_text()
    key = certificates.client_key.read_text()

    assert problems() == []
    assert problems(enabled=True, cert=text, key=key, ca_env="AUTHORITY") == []
    assert problems(cert_env="CERT", key_env="KEY") == []


def test_a_text_and_a_variable_for_one_item_are_refused(certificates):
    text = certificates.authority.read_text()

    assert problems(ca=text, ca_env="CA") == [("tls.ca_env", "give either ca or ca_env")]


def test_a_certificate_without_its_key_is_refused(certificates):
    assert problems(cert=certificates.client.read_text()) == [
        ("tls", "cert and key come together: give both, or neither")
    ]
    assert problems(key_env="KEY") == [("tls", "cert and key come together: give both, or neither")]


def test_a_path_where_a_text_belongs_is_refused():
    [(path, message)] = problems(ca="/etc/ca.pem")

    assert path == "tls.ca"
    assert "file://" in message


def test_a_key_is_never_shown(certificates):
    key = certificates.client_key.read_text()

    assert key not in repr(TlsConfig(key=key))


def test_old_versions_are_refused():
    assert TlsConfig().context().minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_missing_variable_is_named(monkeypatch):
    monkeypatch.delenv("NOWHERE", raising=False)

    with pytest.raises(TlsRefused, match=r"tls\.ca_env: the environment has no NOWHERE"):
        TlsConfig(ca_env="NOWHERE").context()


@pytest.mark.parametrize("item", ["ca", "cert"])
def test_what_is_no_certificate_is_refused_without_being_shown(item, certificates):
    broken = "-----BEGIN CERTIFICATE-----\nsecret\n-----END CERTIFICATE-----\n"

    with pytest.raises(TlsRefused, match=f"tls.{item}") as caught:
        TlsConfig(**{"key": certificates.client_key.read_text(), item: broken}).context()

    assert "secret" not in str(caught.value)


def test_another_key_is_refused(certificates):
    config = TlsConfig(cert=certificates.client.read_text(), key=certificates.server_key.read_text())

    with pytest.raises(TlsRefused, match=r"tls\.cert, tls\.key"):
        config.context()


def connect(certificates, config, server_name):
    """The common name of the client as the server sees it; raises what the client sees."""
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates.authority))
    ours.load_cert_chain(certificates.server, certificates.server_key)
    ours.verify_mode = ssl.CERT_OPTIONAL
    seen = []

    def serve(listener):
        connection, _address = listener.accept()
        with connection:
            try:
                with ours.wrap_socket(connection, server_side=True) as wrapped:
                    seen.append(wrapped.getpeercert())
                    wrapped.sendall(b".")
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        try:
            with (
                socket.create_connection(listener.getsockname(), PATIENCE) as raw,
                config.context().wrap_socket(raw, server_hostname=server_name) as wrapped,
            ):
                assert wrapped.recv(1) == b"."
        finally:
            server.join(PATIENCE)
    return dict(field for [field] in seen[0]["subject"])["commonName"] if seen[0] else None


def test_both_sides_prove_who_they_are(certificates, monkeypatch):
    monkeypatch.setenv("CLIENT_KEY", certificates.client_key.read_text())
    config = TlsConfig(
        ca=certificates.authority.read_text(), cert=certificates.client.read_text(), key_env="CLIENT_KEY"
    )

    assert connect(certificates, config, "localhost") == "noria"


def test_an_unknown_authority_is_refused_unless_nobody_looks(certificates):
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(certificates, TlsConfig(), "localhost")

    assert connect(certificates, TlsConfig(insecure_skip_verify=True), "elsewhere") is None


def test_another_name_is_refused(certificates):
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(certificates, TlsConfig(ca=certificates.authority.read_text()), "elsewhere")
