"""A certificate of one's own, and a new one without a restart."""

import signal
import ssl

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from support import wait
from support.certificates import make, settings
from support.negotiate import certificate
from support.server import Server, make_data_dir, remove


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("certificate")


@pytest.fixture(scope="module")
def server_settings(directory):
    make(directory, ec.generate_private_key(ec.SECP256R1()))
    return settings(directory)


def of_https(server) -> bytes:
    host, port = server.ready["wsman_https"].split("/")[2].split(":")
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, int(port)), timeout=10))


def test_sighup_brings_the_new_certificate_and_hurts_nobody(server, desk, directory):
    first = ssl.PEM_cert_to_DER_cert((directory / "certificate.pem").read_text())
    assert certificate(server.rdp) == of_https(server) == first
    client = desk.freerdp("alice")
    client.desktop()

    second = make(directory, ec.generate_private_key(ec.SECP256R1()))
    server.process.signal(signal.SIGHUP)
    wait.until("RDP clients are shown the new certificate", lambda: certificate(server.rdp) == second)
    wait.until("HTTPS clients are shown the new certificate", lambda: of_https(server) == second)
    assert client.exit_code is None
    desk.freerdp("bob", security="nla").desktop()


def test_new_files_are_noticed_without_a_signal(server, desk, directory):
    client = desk.freerdp("alice")
    client.desktop()
    with server.management() as management:
        before = management.sessions()
        renewed = make(directory, ec.generate_private_key(ec.SECP256R1()))
        wait.until("HTTPS clients are shown the new certificate", lambda: of_https(server) == renewed)
        wait.until("RDP clients are shown the new certificate", lambda: certificate(server.rdp) == renewed)
        assert [s["SessionId"] for s in management.sessions()] == [s["SessionId"] for s in before]
    assert client.exit_code is None


def test_a_certificate_that_cannot_be_read_leaves_the_old_one(server, directory):
    before = certificate(server.rdp)
    (directory / "certificate.pem").write_text("not a certificate")
    server.process.signal(signal.SIGHUP)
    wait.until("the log says so", lambda: "the old certificate stays" in server.process.log)
    assert certificate(server.rdp) == of_https(server) == before


def test_nothing_is_made_in_place_of_a_file_that_is_missing_for_a_moment(tmp_path):
    data_dir = make_data_dir()
    try:
        with Server(data_dir, tmp_path) as server:
            before = certificate(server.rdp)
            (data_dir / "tls/private-key.pem").unlink()
            server.process.signal(signal.SIGHUP)
            wait.until("the log says so", lambda: "the old certificate stays" in server.process.log)
            assert certificate(server.rdp) == of_https(server) == before
            assert not (data_dir / "tls/private-key.pem").exists()
    finally:
        remove(data_dir)
