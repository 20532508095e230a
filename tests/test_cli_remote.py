"""The command line from another machine: whom it trusts, what it remembers, where passwords go."""

import hashlib
import http.server
import json
import os
import re
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.paths import openrdms
from support.terminal_program import on_a_terminal

OK, USAGE, NOT_FOUND, DENIED, UNREACHED, CONFLICT, UNTRUSTED = 0, 2, 3, 4, 5, 6, 8


class Elsewhere:
    """A person on another machine: a home of their own, no socket."""

    def __init__(self, server, home: Path):
        self.home = home
        self.contexts = home / ".config/openrdms/contexts.toml"
        self.password = home / "password"
        self.password.write_text(server.passwords["admin"] + "\n")
        self.password.chmod(0o600)
        parts = urlsplit(server.ready["wsman_https"])
        self.address = f"127.0.0.1:{parts.port}"
        self.url = f"https://{self.address}"
        pem = (server.data_dir / "tls/certificate.pem").read_text()
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
        self.fingerprint = ":".join(re.findall("..", digest))
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("OPENRDMS_", "XDG_"))}
        self.environment |= {"HOME": str(home), "OPENRDMS_PASSWORD_FILE": str(self.password)}

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [str(openrdms()), *words],
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def ok(self, *words: str, **environment: str) -> str:
        said = self.run(*words, **environment)
        assert said.returncode == OK, said
        return said.stdout


@pytest.fixture
def elsewhere(server, tmp_path):
    return Elsewhere(server, tmp_path)


def as_admin(person, *more):
    return ["--server", person.url, "--username", "admin", *more, "-o", "json", "collection", "list"]


def test_a_certificate_that_nobody_vouches_for_is_refused_with_its_fingerprint(elsewhere):
    said = elsewhere.run(*as_admin(elsewhere))
    assert said.returncode == UNTRUSTED and said.stdout == ""
    assert elsewhere.fingerprint in said.stderr and "--trust-on-first-use" in said.stderr
    assert not elsewhere.contexts.exists()


def test_the_pinned_certificate_is_accepted_and_no_other(elsewhere):
    pinned = elsewhere.ok(*as_admin(elsewhere, "--certificate-sha256", elsewhere.fingerprint))
    assert [c["Alias"] for c in json.loads(pinned)] == ["pool"]
    plain = elsewhere.fingerprint.replace(":", "").lower()
    assert elsewhere.ok(*as_admin(elsewhere, "--certificate-sha256", plain)) == pinned
    said = elsewhere.run(*as_admin(elsewhere, "--certificate-sha256", "00" * 32))
    assert said.returncode == UNTRUSTED and elsewhere.fingerprint in said.stderr
    assert not elsewhere.contexts.exists(), "what is pinned need not be remembered"


def test_first_use_is_remembered_and_a_change_is_refused(elsewhere):
    said = elsewhere.run(*as_admin(elsewhere, "--trust-on-first-use"))
    assert said.returncode == OK and elsewhere.fingerprint in said.stderr
    assert elsewhere.contexts.stat().st_mode & 0o777 == 0o600
    assert elsewhere.run(*as_admin(elsewhere)).stderr == ""

    text = elsewhere.contexts.read_text()
    assert elsewhere.fingerprint in text and elsewhere.password.read_text().strip() not in text
    elsewhere.contexts.write_text(text.replace(elsewhere.fingerprint, ":".join(["AB"] * 32)))
    for more in ([], ["--trust-on-first-use"]):
        said = elsewhere.run(*as_admin(elsewhere, *more))
        assert said.returncode == UNTRUSTED and "HAS CHANGED" in said.stderr
        assert elsewhere.fingerprint in said.stderr and f"distrust {elsewhere.address}" in said.stderr
    elsewhere.ok("context", "distrust", elsewhere.address)
    assert elsewhere.run(*as_admin(elsewhere)).returncode == UNTRUSTED


@pytest.mark.parametrize("answer", ["y", "n"])
def test_on_a_terminal_a_person_decides_whom_to_trust(elsewhere, server, answer):
    settings = elsewhere.environment | {"OPENRDMS_SOCKET": ""}
    words = as_admin(elsewhere, "--trust-on-first-use")
    ended, said = on_a_terminal(server, words, settings, {"[y/N] ": answer + "\n"})
    assert elsewhere.fingerprint in said
    assert ended == (OK if answer == "y" else UNTRUSTED)
    assert elsewhere.contexts.exists() == (answer == "y")


def test_a_certificate_that_the_systems_roots_vouch_for_needs_no_word(elsewhere, server):
    pem = str(server.data_dir / "tls/certificate.pem")
    said = elsewhere.run(*as_admin(elsewhere), SSL_CERT_FILE=pem)
    assert said.returncode == OK and said.stderr == ""
    assert not elsewhere.contexts.exists()


def test_nothing_is_sent_to_a_server_that_is_not_trusted(elsewhere, server, tmp_path):
    """A server that would take anything: it hears a handshake and not one byte more."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.data_dir / "tls/certificate.pem", server.data_dir / "tls/private-key.pem")
    heard = []

    def serve(listener):
        connection, _ = listener.accept()
        try:
            with context.wrap_socket(connection, server_side=True) as secure:
                heard.append(secure.recv(1000))
        except (ssl.SSLError, ConnectionError):
            heard.append(b"")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        said = elsewhere.run("--server", url, "--username", "admin", "session", "list")
        thread.join(20)
    assert said.returncode == UNTRUSTED
    assert heard == [b""]


def test_a_wrong_password_is_told_and_a_user_sees_their_own(elsewhere, server):
    pin = ["--certificate-sha256", elsewhere.fingerprint]
    elsewhere.password.write_text("wrong\n")
    said = elsewhere.run(*as_admin(elsewhere, *pin))
    assert said.returncode == DENIED and "admin" in said.stderr and "wrong" not in said.stderr
    elsewhere.password.write_text(server.passwords["alice"] + "\n")
    whole = ["--server", elsewhere.url, "--username", "alice", *pin]
    assert json.loads(elsewhere.ok(*whole, "-o", "json", "session", "list")) == []
    said = elsewhere.run(*whole, "audit")
    assert said.returncode == DENIED and said.stdout == ""


def test_without_a_file_or_a_terminal_there_is_no_password(elsewhere):
    pin = ["--certificate-sha256", elsewhere.fingerprint]
    said = elsewhere.run(*as_admin(elsewhere, *pin), OPENRDMS_PASSWORD_FILE="")
    assert said.returncode == USAGE and "OPENRDMS_PASSWORD_FILE" in said.stderr
    elsewhere.password.chmod(0o644)
    assert "everybody" in elsewhere.run(*as_admin(elsewhere, *pin)).stderr


@pytest.mark.parametrize("url", ["http://192.0.2.7:5985", "http://example.org", "ftp://127.0.0.1", "127.0.0.1"])
def test_a_password_in_the_clear_goes_nowhere_but_loopback(elsewhere, url):
    said = elsewhere.run("--server", url, "--username", "admin", "session", "list")
    assert said.returncode == USAGE, said


def test_plain_http_on_loopback_will_do(elsewhere, server):
    port = urlsplit(server.ready["wsman_http"]).port
    elsewhere.ok("--server", f"http://localhost:{port}", "--username", "admin", "session", "list")


def test_a_server_that_is_not_there_is_not_reached(elsewhere):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    said = elsewhere.run("--server", f"https://127.0.0.1:{port}", "--username", "admin", "session", "list")
    assert said.returncode == UNREACHED and str(port) in said.stderr


def test_contexts_are_added_used_and_removed(elsewhere):
    add = ["--server", elsewhere.url, "--username", "admin", "--certificate-sha256", elsewhere.fingerprint]
    elsewhere.ok("context", "add", "farm", *add, "--password-file", str(elsewhere.password))
    assert elsewhere.contexts.stat().st_mode & 0o777 == 0o600
    assert elsewhere.contexts.parent.stat().st_mode & 0o777 == 0o700
    assert elsewhere.run("context", "add", "farm", *add).returncode == CONFLICT
    assert elsewhere.ok("context", "current").strip() == "local"

    # by name, by environment, and for good; without any other word the password comes from the context's file
    alone = {"OPENRDMS_PASSWORD_FILE": ""}
    listing = ["-o", "json", "collection", "list"]
    by_name = elsewhere.ok("--context", "farm", *listing, **alone)
    assert [c["Alias"] for c in json.loads(by_name)] == ["pool"]
    assert elsewhere.ok(*listing, OPENRDMS_CONTEXT="farm", **alone) == by_name
    elsewhere.ok("context", "use", "farm")
    assert elsewhere.ok(*listing, **alone) == by_name
    rows = json.loads(elsewhere.ok("-o", "json", "context", "list"))
    assert [(r["Name"], r["Current"]) for r in rows] == [("local", False), ("farm", True)]

    assert elsewhere.run("context", "use", "nowhere").returncode == NOT_FOUND
    assert elsewhere.run("--context", "nowhere", *listing).returncode == NOT_FOUND
    elsewhere.ok("context", "remove", "farm")
    assert elsewhere.ok("context", "current").strip() == "local"
    assert elsewhere.run("context", "remove", "farm").returncode == NOT_FOUND


def test_a_contexts_file_that_others_may_write_is_not_believed(elsewhere):
    elsewhere.ok("context", "add", "farm", "--server", elsewhere.url)
    elsewhere.contexts.chmod(0o620)
    said = elsewhere.run("context", "list")
    assert said.returncode == USAGE and "chmod 600" in said.stderr
    elsewhere.contexts.chmod(0o600)
    os.chown(elsewhere.contexts, 65534, 65534)
    said = elsewhere.run("context", "list")
    assert said.returncode == USAGE and "somebody else's" in said.stderr


def test_a_list_that_never_ends_is_given_up(elsewhere):
    """A list that is needed whole, from a server that always has one more page."""
    users = "<p:OpenRDMS_User/>" * 30_000
    page = (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
        ' xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration"'
        ' xmlns:p="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/OpenRDMS_User"><s:Header/><s:Body><n:PullResponse>'
        f"<n:EnumerationContext>x</n:EnumerationContext><n:Items>{users}</n:Items></n:PullResponse></s:Body></s:Envelope>"
    ).encode()

    class Endless(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endless) as endless:
        threading.Thread(target=endless.serve_forever, daemon=True).start()
        where = ["--server", f"http://127.0.0.1:{endless.server_address[1]}", "--username", "admin"]
        said = elsewhere.run(*where, "user", "delete", "anna", "--force")
        endless.shutdown()
    assert said.returncode == 1 and "does not come to an end" in said.stderr


def test_an_administrator_elsewhere_manages_accounts_too(elsewhere, server):
    pin = ["--server", elsewhere.url, "--username", "admin", "--certificate-sha256", elsewhere.fingerprint]
    server.add_user("gil")
    elsewhere.ok(*pin, "user", "delete", "gil", "--force")
    assert "gil" not in [u["UserName"] for u in server.json("user", "list")]
    (record, *_) = server.json("audit", "--limit", "1")
    assert record["Actor"].endswith("\\admin") and "127.0.0.1" in record["Door"]
