"""Subscribers are told of what happens to sessions: everything, in order, and only what is theirs to know."""

import http.server
import queue
import signal
import ssl
import threading
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from support import certificates
from support.events import (
    ACK,
    ALL_CLASSES,
    CREATED,
    DELETED,
    EARLIEST,
    MODIFIED,
    PUSH,
    PUSH_WITH_ACK,
    A,
    E,
    Event,
    Fault,
    S,
    Subscriber,
    W,
)
from support.management import ACTIVE, DISCONNECTED


@pytest.fixture(scope="module")
def trusted(tmp_path_factory):
    """A certificate, and its key, that the server's system vouches for."""
    return certificates.for_this_machine(tmp_path_factory.mktemp("trusted"))


@pytest.fixture(scope="module")
def server_settings(trusted):
    """Events may be pushed to this machine, and to nowhere else."""
    return {"OPENRDMS_MANAGEMENT_PUSH_TO": "127.0.0.1", "SSL_CERT_FILE": str(trusted[0])}


def subscriber(server, user="admin", door="wsman_http", **more) -> Subscriber:
    return Subscriber(server.ready[door], user, server.passwords[user], **more)


def ended(events: list[Event]) -> bool:
    return any(event.kind == DELETED for event in events)


def comes_and_goes(server, desk, user="alice") -> None:
    """A user connects, is disconnected by an administrator, and logged off."""
    client = desk.freerdp(user, size=(640, 480))
    client.desktop()
    session = server.wait_state(user, "Active")
    server.cli("session", "disconnect", "--uid", session["Uid"], "--force")
    client.wait_end()
    server.cli("session", "logoff", "--uid", session["Uid"], "--force")


def demote(server, user: str) -> None:
    """An administrator takes the role from another."""
    uri = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/openrdms/OpenRDMS_User"
    keys = {"DomainName": "OPENRDMS", "UserName": user}
    selectors = "".join(f'<w:Selector Name="{name}">{value}</w:Selector>' for name, value in keys.items())
    with subscriber(server, resource=uri) as admin:
        body = f'<p:SetRole_INPUT xmlns:p="{uri}"><p:Role>user</p:Role></p:SetRole_INPUT>'
        admin.send(f"{uri}/SetRole", body, f"<w:SelectorSet>{selectors}</w:SelectorSet>")
        admin.answer()


@pytest.mark.parametrize("door", ["wsman_http", "wsman_https"])
def test_a_session_s_whole_life_is_told_in_order(server, desk, door):
    with subscriber(server, door=door) as watcher:
        watcher.subscribe()
        comes_and_goes(server, desk)
        events = watcher.until(ended)
    assert [event.kind for event in events[:1] + events[-1:]] == [CREATED, DELETED]
    assert {event.kind for event in events[1:-1]} == {MODIFIED}
    for before, after in zip(events, events[1:-1], strict=False):
        assert after.previous == before.target, "nothing is missing in between"
    states = [int(event.target["ConnectState"]) for event in events]
    assert [states.index(state) for state in (ACTIVE, DISCONNECTED)] == sorted(
        states.index(state) for state in (ACTIVE, DISCONNECTED)
    )
    for event in events:
        assert event.target["UserName"] == "alice"
        assert event.target["CollectionId"] == "pool"
        assert event.target["VMHostName"] and event.target["VMName"]


def test_our_own_class_says_why_a_session_has_ended(server, desk):
    with subscriber(server, resource=ALL_CLASSES, namespace="root/openrdms") as watcher:
        watcher.subscribe("SELECT * FROM __InstanceDeletionEvent WHERE TargetInstance ISA 'OpenRDMS_Session'")
        comes_and_goes(server, desk)
        (event,) = watcher.until(ended)
    assert event.target["StateReason"] == "logged off by an administrator"
    assert event.target["UserName"] == "alice" and event.target["Uid"]


def test_what_happens_to_a_desktop_is_told_by_events_about_no_instance(server, desk):
    state_changed, idle = "32", "64"
    with subscriber(server, resource=ALL_CLASSES, namespace="root/cimv2/terminalservices") as watcher:
        watcher.subscribe("SELECT * FROM Win32_SessionBrokerTargetEvent WHERE FarmName = 'pool'")
        comes_and_goes(server, desk)
        events = watcher.until(lambda told: any(event.values["ChangeType"] == idle for event in told))
    assert {event.kind for event in events} == {"Win32_SessionBrokerTargetEvent"}
    # it starts, runs, and is being ended
    assert [event.values["ChangeType"] for event in events] == [state_changed] * 3 + [idle]
    assert len({event.values["TargetName"] for event in events}) == 1
    assert {event.values["PluginName"] for event in events} == {"VMResource"}


def test_none_of_a_hundred_changes_is_missing(server, desk):
    """Every modification begins where the one before it ended, with pulls of every size in between."""
    client = desk.freerdp("bob", size=(640, 480))
    client.desktop()
    session = server.wait_state("bob", "Active")
    server.cli("session", "disconnect", "--uid", session["Uid"], "--force")
    client.wait_end()
    with subscriber(server, resource=ALL_CLASSES, namespace="root/openrdms") as watcher:
        watcher.subscribe("SELECT * FROM __InstanceModificationEvent WHERE TargetInstance.UserName = 'bob'")
        found: list[Event] = []
        while len(found) < 100:
            client = desk.freerdp("bob", size=(640, 480))
            client.desktop()
            server.cli("session", "disconnect", "--uid", session["Uid"], "--force")
            client.wait_end()
            found += watcher.pull(count=len(found) % 7 + 1)
    steady = {"AsOf", "IdleSeconds"}
    for before, after in zip(found, found[1:], strict=False):
        assert {k: v for k, v in after.previous.items() if k not in steady} == {
            k: v for k, v in before.target.items() if k not in steady
        }


def test_a_bookmark_survives_kill_9_of_the_service(server, desk):
    with subscriber(server) as watcher:
        watcher.subscribe()
        client = desk.freerdp("alice", size=(640, 480))
        client.desktop()
        first = watcher.until(lambda events: any(int(e.target["ConnectState"]) == ACTIVE for e in events))
        bookmark = watcher.bookmark

    server.process.signal(signal.SIGKILL)
    assert server.process.wait_end() == -signal.SIGKILL
    client.wait_end()
    server.start()

    with subscriber(server) as watcher:
        watcher.context = "uuid:00000000-0000-4000-8000-000000000000"
        with pytest.raises(Fault) as fault:
            watcher.pull()
        assert fault.value.subcode == "InvalidEnumerationContext", "subscriptions do not outlive the process"
        watcher.subscribe(bookmark=bookmark)
        session = server.wait_state("alice", "Disconnected")
        server.cli("session", "logoff", "--uid", session["Uid"], "--force")
        rest = watcher.until(ended)
    assert rest[0].kind == MODIFIED and rest[0].previous == first[-1].target, "it goes on where it was"
    for before, after in zip(rest, rest[1:-1], strict=False):
        assert after.previous == before.target


def test_a_user_is_told_of_their_own_sessions_only(server, desk):
    with subscriber(server, "bob") as bob, subscriber(server) as admin:
        bob.subscribe()
        admin.subscribe()
        comes_and_goes(server, desk, "alice")
        comes_and_goes(server, desk, "bob")
        seen = bob.until(ended)
        everything = admin.until(lambda events: sum(event.kind == DELETED for event in events) == 2)
    assert {event.target["UserName"] for event in seen} == {"bob"}
    assert {event.target["UserName"] for event in everything} == {"alice", "bob"}


def test_an_account_that_is_no_administrator_any_more_is_told_no_more(server, desk):
    server.add_user("dora", "admin")
    with subscriber(server, "dora") as dora:
        dora.subscribe()
        dora.ask(timeout="PT2S")
        demote(server, "dora")
        comes_and_goes(server, desk)
        with pytest.raises(Fault) as fault:
            dora.told()
        assert fault.value.subcode == "TimedOut", "the wait that began before has found nothing for a user"
        with pytest.raises(Fault) as fault:
            dora.pull(timeout="PT1S")
        assert fault.value.subcode == "TimedOut"
    server.cli("user", "delete", "dora", "--force")


def test_a_pull_waits_beats_and_times_out(server):
    with subscriber(server) as watcher:
        watcher.subscribe(delivery="<w:Heartbeats>PT1S</w:Heartbeats>")
        assert watcher.pull() is None
        assert watcher.pull() is None
        watcher.unsubscribe()
        watcher.subscribe()
        with pytest.raises(Fault) as fault:
            watcher.pull(timeout="PT1S")
        assert fault.value.subcode == "TimedOut"


def test_a_subscription_lives_as_long_as_it_is_renewed(server):
    with subscriber(server) as watcher:
        assert watcher.subscribe(expires="P400D").expires == "P1DT0H0M0S", "nobody stays for ever"
        _, body = watcher.about("GetStatus", "<e:GetStatus/>")
        assert body.findtext(f".//{{{E}}}Expires").startswith("P0DT23H59M")
        _, body = watcher.about("Renew", "<e:Renew><e:Expires>PT2S</e:Expires></e:Renew>")
        assert body.findtext(f".//{{{E}}}Expires") == "P0DT0H0M2S"
        with pytest.raises(Fault) as fault:
            watcher.pull()
        assert fault.value.subcode == "InvalidEnumerationContext", "it has expired while somebody waited"
        for action, body, subcode in (
            ("Renew", "<e:Renew/>", "UnableToRenew"),
            ("GetStatus", "<e:GetStatus/>", "InvalidMessage"),
            ("Unsubscribe", "<e:Unsubscribe/>", "InvalidMessage"),
        ):
            with pytest.raises(Fault) as fault:
                watcher.about(action, body)
            assert fault.value.subcode == subcode


def test_unsubscribing_ends_the_wait(server):
    with subscriber(server) as watcher, subscriber(server) as other, subscriber(server, "bob") as bob:
        watcher.subscribe()
        watcher.ask()
        bob.identifier = other.identifier = watcher.identifier
        with pytest.raises(Fault):
            bob.unsubscribe()
        other.unsubscribe()
        with pytest.raises(Fault) as fault:
            watcher.told()
        assert fault.value.subcode == "InvalidEnumerationContext"


def test_a_client_that_lost_its_connection_misses_nothing(server, desk):
    with subscriber(server) as watcher:
        watcher.subscribe()
        watcher.ask()
        watcher.hang_up()
        comes_and_goes(server, desk)
        events = watcher.until(ended)
    assert events[0].kind == CREATED


@pytest.mark.parametrize(
    ("subscription", "subcode"),
    [
        ({"query": "SELECT * FROM Win32_VirtualDesktopSession"}, "CannotProcessFilter"),
        ({"query": "SELECT * FORM __InstanceCreationEvent"}, "CannotProcessFilter"),
        ({"bookmark": "change:999999999"}, "InvalidBookmark"),
        ({"bookmark": "17"}, "InvalidBookmark"),
        ({"mode": "urn:other"}, "DeliveryModeRequestedUnavailable"),
        ({"expires": "PT0S"}, "InvalidExpirationTime"),
        ({"mode": PUSH, "delivery": "<e:NotifyTo><a:Address>http://192.0.2.1/</a:Address></e:NotifyTo>"},
         "EventDeliverToUnusable"),
        ({"mode": PUSH, "delivery": "<e:NotifyTo><a:Address>file:///etc/passwd</a:Address></e:NotifyTo>"},
         "EventDeliverToUnusable"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_refused(server, subscription, subcode):
    with subscriber(server) as watcher:
        with pytest.raises(Fault) as fault:
            watcher.subscribe(**subscription)
        assert fault.value.subcode == subcode


def test_the_earliest_bookmark_tells_of_everything_that_is_known(server, desk):
    comes_and_goes(server, desk)
    with subscriber(server) as watcher:
        watcher.subscribe(bookmark=EARLIEST)
        events = watcher.until(ended)
    assert events[0].kind == CREATED


def test_one_account_does_not_have_all_subscriptions(server):
    with subscriber(server, "carol") as carol, subscriber(server, "bob") as bob:
        made = []
        with pytest.raises(Fault) as fault:
            for _ in range(1000):
                made.append(carol.subscribe().identifier)
        assert fault.value.subcode == "QuotaLimit"
        assert len(made) == 50
        bob.subscribe().unsubscribe()
        for carol.identifier in made:
            carol.unsubscribe()


class Listener:
    """An HTTP server that events are pushed to."""

    def __init__(self, certificate: tuple[Path, Path] | None = None):
        self.messages: queue.Queue[ET.Element] = queue.Queue()
        self.answers = iter(())
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                content = self.rfile.read(int(self.headers["Content-Length"]))
                envelope = ET.fromstring(content)
                status = next(listener.answers, 200)
                body = listener.acknowledge(envelope) if status == 200 else b""
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                if status == 200:
                    listener.messages.put(envelope)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        scheme = "https" if certificate else "http"
        self.address = f"{scheme}://127.0.0.1:{self.server.server_address[1]}/events"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def acknowledge(self, envelope: ET.Element) -> bytes:
        if envelope.find(f".//{{{W}}}AckRequested") is None:
            return b""
        message_id = envelope.findtext(f".//{{{A}}}MessageID")
        return (
            f'<s:Envelope xmlns:s="{S}" xmlns:a="{A}"><s:Header><a:Action>{ACK}</a:Action>'
            f"<a:RelatesTo>{message_id}</a:RelatesTo></s:Header><s:Body/></s:Envelope>"
        ).encode()

    def next(self) -> ET.Element:
        return self.messages.get(timeout=20)

    def endpoint(self, name: str) -> str:
        reference = '<a:ReferenceProperties><t:Mine xmlns:t="urn:t">7</t:Mine></a:ReferenceProperties>'
        return f"<e:{name}><a:Address>{self.address}</a:Address>{reference}</e:{name}>"


def action(message: ET.Element) -> str:
    return message.findtext(f".//{{{A}}}Action").rsplit("/", 1)[-1]


@pytest.mark.parametrize("mode", [PUSH, PUSH_WITH_ACK])
def test_events_are_pushed_in_order_and_again_until_they_arrive(server, desk, mode):
    with Listener() as listener, subscriber(server) as watcher:
        listener.answers = iter([503, 200, 503, 503])
        retry = '<w:ConnectionRetry Total="5">PT0.1S</w:ConnectionRetry>'
        watcher.subscribe(mode=mode, delivery=listener.endpoint("NotifyTo") + retry)
        assert watcher.context is None, "what is pushed is not pulled"
        comes_and_goes(server, desk)
        events, bookmarks = [], []
        while not ended(events):
            message = listener.next()
            assert action(message) == "Event"
            assert message.findtext(".//{urn:t}Mine") == "7"
            bookmarks.append(message.findtext(f".//{{{W}}}Bookmark"))
            events.append(Event(message.find(f"{{{S}}}Body")[0]))
        watcher.unsubscribe()
        assert events[0].kind == CREATED
        for before, after in zip(events, events[1:-1], strict=False):
            assert after.previous == before.target
        # a bookmark that came with a push is good for a subscription that pulls
        again = watcher.subscribe(bookmark=bookmarks[0]).until(ended)
        assert [e.values for e in again] == [e.values for e in events[1:]]


def test_what_did_not_arrive_is_not_sent_again_to_whom_it_may_no_longer_be_told(server, desk):
    server.add_user("finn", "admin")
    sent = threading.Event()

    def never():
        while True:
            sent.set()
            yield 503

    with Listener() as listener, Listener() as told, subscriber(server, "finn") as watcher:
        listener.answers = never()
        retry = '<w:ConnectionRetry Total="20">PT1S</w:ConnectionRetry>'
        delivery = listener.endpoint("NotifyTo") + retry
        watcher.subscribe(mode=PUSH, delivery=delivery, more=told.endpoint("EndTo"))
        desk.freerdp("alice", size=(640, 480)).desktop()
        assert sent.wait(20)
        server.cli("user", "delete", "finn", "--force")
        assert told.next().findtext(f".//{{{E}}}Status").endswith("/SourceCanceling")


def test_events_go_over_tls_to_whom_the_system_vouches_for(server, trusted, tmp_path):
    once = '<w:ConnectionRetry Total="0">PT0S</w:ConnectionRetry><w:Heartbeats>PT1S</w:Heartbeats>'
    with Listener(trusted) as listener, subscriber(server) as watcher:
        watcher.subscribe(mode=PUSH, delivery=listener.endpoint("NotifyTo") + once)
        assert action(listener.next()) == "Heartbeat"
        watcher.unsubscribe()
    stranger = certificates.for_this_machine(tmp_path)
    with Listener(stranger) as listener, Listener(trusted) as told, subscriber(server) as watcher:
        more = told.endpoint("EndTo")
        watcher.subscribe(mode=PUSH, delivery=listener.endpoint("NotifyTo") + once, more=more)
        assert told.next().findtext(f".//{{{E}}}Status").endswith("/DeliveryFailure")
        assert listener.messages.empty()


def test_heartbeats_are_pushed(server):
    with Listener() as listener, subscriber(server) as watcher:
        beat = "<w:Heartbeats>PT1S</w:Heartbeats>"
        watcher.subscribe(mode=PUSH, delivery=listener.endpoint("NotifyTo") + beat)
        assert [action(listener.next()) for _ in range(2)] == ["Heartbeat"] * 2
        watcher.unsubscribe()


def test_the_end_of_a_pushed_subscription_is_told(server, desk):
    server.add_user("emil", "admin")
    with Listener() as listener, subscriber(server, "emil") as watcher:
        watcher.subscribe(mode=PUSH, delivery=listener.endpoint("NotifyTo"), more=listener.endpoint("EndTo"))
        server.cli("user", "delete", "emil", "--force")
        message = listener.next()
        assert action(message) == "SubscriptionEnd"
        assert message.findtext(f".//{{{E}}}Status").endswith("/SourceCanceling")
        assert message.findtext(f".//{{{E}}}Identifier") == watcher.identifier

        admin = subscriber(server)
        admin.subscribe(mode=PUSH, delivery=listener.endpoint("NotifyTo"), more=listener.endpoint("EndTo"))
        admin.hang_up()
        assert server.stop() == 0
        message = listener.next()
        assert message.findtext(f".//{{{E}}}Status").endswith("/SourceShuttingDown")
    server.start()
