"""Chaos: users who connect, are cut off, disconnected, logged off and messaged, while parts of desktops and
the service itself are killed, the service stands still and the store cannot be written; after every step what
OpenRDMS says is compared with what the kernel knows.

    python tests/chaos.py --seconds 600 --users 20 [--seed N]     a mix of everything
    python tests/chaos.py --kills 200 --users 6 [--seed N]        kills only: how long until the list is true

The seed decides who does what in which step, whatever comes of it: the same seed replays the same decisions.
"""

import argparse
import contextlib
import itertools
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import requests
from support import process, truth, wait
from support.clients import FreeRdp
from support.management import ACTIVE, DISCONNECTED, WSManFaultError
from support.paths import tool
from support.screen import Screen
from support.server import Server, make_data_dir, remove
from support.store_faults import DATABASE, FAULTS, DiskFull, Fault, Impossible, mounted

# The list is right within 5 s, whatever dies.
TRUE_WITHIN = 5.0
# What a client may take from its start to a desktop: FreeRDP gives up 9 s after Client Info.
CONNECTED_WITHIN = 20.0
COLLECTION = "chaos"

# Who does what how often. Parts of desktops are killed by name, see `truth.PARTS`.
ACTIONS = {
    "connect": 10,
    "connect three times at once": 1,
    "kill client": 3,
    "end client": 2,
    "disconnect": 4,
    "disconnect while connecting": 1,
    "log off": 3,
    "log off by command": 1,
    "message": 2,
    "set limits": 1,
    "kill xrdp": 1,
    "kill chansrv": 1,
    "kill xorg": 1,
    "kill supervisor": 1,
    "kill session": 1,
    "kill window manager": 1,
    "kill outer": 1,
}
KILLS = [action for action in ACTIONS if action.startswith("kill ")]
# What happens to the service in the middle of a step. Its lease is for 3 s.
SERVICE = {
    "": 30,
    "killed": 4,
    "killed for longer than its lease": 1,
    "stopped for longer than its lease": 1,
}
LONGER_THAN_A_LEASE = 4.0
# What is wrong with the store from before a step to after it.
STORE = {"": 24, **dict.fromkeys(FAULTS, 1)}
# The code of a method, and the exit code of a command.
WBEM_E_NOT_AVAILABLE, UNAVAILABLE = 0x80041009, 5


@dataclass
class Report:
    """What went wrong, each kind by itself; everything in it has to be empty."""

    wrong_zeros: list[str] = field(default_factory=list)
    doubles: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)
    shut_out: list[str] = field(default_factory=list)
    # What was acknowledged and is not so any more.
    lost: list[str] = field(default_factory=list)
    # What this machine cannot do, and why: no fault.
    skipped: list[str] = field(default_factory=list)
    steps: int = 0
    done: Counter = field(default_factory=Counter)
    zeros: Counter = field(default_factory=Counter)
    # Seconds from a kill to a list that is true again, and of what.
    times: list[tuple[float, str]] = field(default_factory=list)

    KINDS = ("wrong_zeros", "doubles", "leaks", "untrue", "shut_out", "lost")

    @property
    def faults(self) -> list[str]:
        return [f"{kind}: {text}" for kind in self.KINDS for text in getattr(self, kind)]

    def __str__(self) -> str:
        counts = ", ".join(f"{len(getattr(self, kind))} {kind.replace('_', ' ')}" for kind in self.KINDS)
        times = sorted(self.times)
        lines = [
            f"{self.steps} steps: {dict(self.done.most_common())}",
            f"zeros, each looked behind: {dict(self.zeros)}",
            counts,
        ]
        if times:
            median, (most, what) = times[len(times) // 2][0], times[-1]
            lines.append(
                f"{len(times)} kills; from the kill to the true list: median {median:.2f} s, "
                f"p100 {most:.2f} s ({what})"
            )
        return "\n".join(self.skipped + lines + self.faults)


class Chaos:
    """A server under attack, and the model of it: which clients are running, and whose."""

    def __init__(self, users: int, seed: int, logs: Path, show: bool = False):
        self.random = random.Random(seed)
        self.names = [f"user{n:02}" for n in range(users)]
        self.logs = logs
        self.show = show
        self.report = Report()
        self.clients: dict[str, list[FreeRdp]] = {name: [] for name in self.names}
        self.count = 0
        # Whether the service dies or stands still in this step, and what is wrong with the store.
        self.killed = self.stopped = False
        self.fault: Fault | None = None
        self.faults: dict[str, Fault] = {}
        # What was acknowledged: sessions that were logged off, methods that must be in the audit trail, and
        # what the limit may be, which is one value unless a change of it had no answer.
        self.logged_off: set[tuple[str, str]] = set()
        self.audited: Counter = Counter()
        self.warning = {60}
        self.warnings = itertools.count(61)
        self.one_at_a_time = threading.Lock()
        # Uids that nobody else on this machine uses, so that what is left of them can be counted.
        first = 30_000_000 + os.getpid() % 100_000 * 100
        self.uids = range(first, first + users + 1)

    def run(self, seconds: float | None = None, kills: int | None = None) -> Report:
        data_dir = make_data_dir()
        settings = {
            "OPENRDMS_LOCAL_UID_FIRST": str(self.uids.start),
            "OPENRDMS_LOCAL_UID_COUNT": str(len(self.uids)),
            "OPENRDMS_LOG_LEVEL": "info",
        }
        try:
            with (
                self.store_in(data_dir),
                Server(data_dir, self.logs, settings) as self.server,
                Screen(self.logs, (320, 240)) as self.screen,
                ThreadPoolExecutor(8) as self.pool,
            ):
                try:
                    self.server.add_user("admin", "admin")
                    for name in self.names:
                        self.server.add_user(name)
                    self.server.add_collection(COLLECTION, len(self.names))
                    self.descriptors = truth.descriptors(self.server.process.pid)
                    if kills is not None:
                        self.kills(kills)
                    else:
                        end = time.monotonic() + (seconds or 0)
                        while time.monotonic() < end and not self.report.faults:
                            self.step()
                    self.finish()
                finally:
                    for name in self.names:
                        for client in self.clients[name]:
                            self.end_client(client, signal.SIGKILL)
        finally:
            remove(data_dir)
        return self.report

    @contextlib.contextmanager
    def store_in(self, data_dir: Path) -> Iterator[None]:
        """The database, and nothing else of the data, lies where it can be made to fail."""
        with contextlib.ExitStack() as stack:
            try:
                store = stack.enter_context(mounted("32m", image=True))
            except Impossible as why:
                self.report.skipped.append(f"SKIPPED a store on a full disk: {why}")
                directory = tempfile.TemporaryDirectory(prefix="openrdms-store-", dir="/tmp")
                store = Path(stack.enter_context(directory))
                possible = {name: kind for name, kind in FAULTS.items() if kind is not DiskFull}
            else:
                possible = FAULTS
            for name, kind in possible.items():
                try:
                    fault = kind(store)
                    fault.try_out()
                    self.faults[name] = fault
                except Impossible as why:
                    self.report.skipped.append(f"SKIPPED a {name} store: {why}")
            (data_dir / DATABASE).symlink_to(store / DATABASE)
            yield

    # --- decisions -----------------------------------------------------------------------------------------

    def step(self) -> None:
        """Some users do something at the same time; sometimes something happens to the service or its store."""
        self.report.steps += 1
        who = self.random.sample(self.names, self.random.randint(1, min(4, len(self.names))))
        what = self.random.choices(list(ACTIONS), list(ACTIONS.values()), k=len(who))
        service = self.random.choices(list(SERVICE), list(SERVICE.values()))[0]
        after = self.random.uniform(0, 0.6)
        store = self.random.choices(list(STORE), list(STORE.values()))[0]
        lasts = self.random.uniform(0, 6)
        decided = [f"{action} {name}" for name, action in zip(who, what, strict=True)]
        decided += [f"service {service} after {after:.3f} s"] if service else []
        decided += [f"store {store}, for {lasts:.3f} s more"] if store else []
        self.where = f"step {self.report.steps}, {', '.join(decided)}"
        if self.show:
            print(self.where, flush=True)
        self.killed, self.stopped = service.startswith("killed"), service.startswith("stopped")
        with self.store_fault(store):
            steady = self.steady(dict(zip(who, what, strict=True)))
            began = time.monotonic()
            acting = [self.pool.submit(self.act, name, action) for name, action in zip(who, what, strict=True)]
            if service:
                self.pause(began + after)
                self.disturb_service(service)
            for done in acting:
                done.result()
            if self.fault and not self.killed:
                self.pause(time.monotonic() + lasts)
                self.check_without_store(steady)
        self.report.done.update(what)
        if self.killed:
            self.server.start()
        if service:
            self.report.done[f"service {service}"] += 1
        self.check()

    def pause(self, moment: float) -> None:
        wait.until("the moment has come", lambda: time.monotonic() >= moment)

    def disturb_service(self, how: str) -> None:
        if self.killed:
            self.kill_service()
        else:
            self.server.process.signal(signal.SIGSTOP)
        if how.endswith("for longer than its lease"):
            self.pause(time.monotonic() + LONGER_THAN_A_LEASE)
        if self.stopped:
            self.server.process.signal(signal.SIGCONT)

    @contextlib.contextmanager
    def store_fault(self, name: str) -> Iterator[None]:
        self.fault = self.faults.get(name)
        if self.fault is None:
            yield
            return
        self.fault.begin()
        try:
            yield
        finally:
            fault, self.fault = self.fault, None
            fault.end()
        self.report.done[f"store {name}"] += 1

    @property
    def unwritable(self) -> bool:
        """Whether nothing at all can be written now."""
        return self.fault is not None and self.fault.total

    def steady(self, acts: dict[str, str]) -> list[FreeRdp]:
        """The clients that stay connected whatever is asked for while nothing can be written."""
        if self.fault is None:
            return []

        def stays(name: str) -> bool:
            return name not in acts or (self.fault.total and not acts[name].startswith(("kill", "end")))

        return [client for name in self.names if stays(name) for client in self.connected(name)]

    def check_without_store(self, steady: list[FreeRdp]) -> None:
        """Lists answer, and who is connected stays so."""
        try:
            with self.server.management() as management:
                management.sessions()
        except (requests.exceptions.RequestException, WSManFaultError) as why:
            self.report.untrue.append(f"{self.where}: the list did not answer: {why}")
        connected = [client for name in self.names for client in self.connected(name)]
        if cut := [client.log_file.parent.name for client in steady if client not in connected]:
            self.report.shut_out.append(f"{self.where}: cut off while the store was away: {cut}")

    def kills(self, count: int) -> None:
        """Everybody works; one thing after another is killed; the clock runs until the list is true."""
        while len(self.report.times) < count and not self.report.faults:
            self.report.steps += 1
            absent = [name for name in self.names if not self.is_connected(name)]
            self.where = f"kill {len(self.report.times) + 1}: before it"
            list(self.pool.map(self.connect, absent))
            self.check()
            name, action = self.random.choice(self.names), self.random.choice([*KILLS, "kill service"])
            self.where = f"kill {len(self.report.times) + 1}: {action} {name}"
            began = time.monotonic()
            if action == "kill service":
                self.kill_service()
                self.server.start()
            else:
                self.act(name, action)
            self.report.done[action] += 1
            self.check()
            self.report.times.append((time.monotonic() - began, action))

    # --- actions -------------------------------------------------------------------------------------------

    def act(self, name: str, action: str) -> None:
        match action:
            case "connect":
                self.connect(name)
            case "connect three times at once":
                clients = [self.start_client(name) for _ in range(3)]
                self.wait_connected(name, clients)
            case "kill client":
                for client in self.clients[name]:
                    self.end_client(client, signal.SIGKILL)
            case "end client":
                for client in self.clients[name]:
                    self.end_client(client, signal.SIGTERM)
            case "disconnect":
                self.disconnect(name)
            case "disconnect while connecting":
                client = self.start_client(name)
                wait.until("the client has begun", lambda: client.exit_code is not None or self.session(name))
                self.disconnect(name, connecting=True)

                def settled() -> bool:
                    # Told to go, or there because it came later: both are true.
                    return client.exit_code is not None or self.is_connected(name)

                if self.fault:
                    self.wait_refused(name, [client], settled)
                else:
                    wait.until(f"{name} is connected or gone", settled, CONNECTED_WITHIN)
            case "log off":
                self.log_off(name, lambda session: self.invoke(session, "Logoff"))
            case "log off by command":
                self.log_off(name, self.log_off_by_command)
            case "message":
                self.message(name)
            case "set limits":
                self.set_limits()
            case "kill outer":
                inside = {p.pid for d in self.desktops_of(name) for p in d.processes}
                outer = [p for p in truth.of_uids(self.uids) if p.pid not in inside and "bwrap" in p.command]
                uids = {p.uid for d in self.desktops_of(name) for p in d.processes}
                self.kill(p for p in outer if p.uid in uids)
            case _:
                part = action.removeprefix("kill ")
                self.kill(p for d in self.desktops_of(name) for p in d.part(part))

    def kill(self, victims) -> None:
        for victim in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim.pid, signal.SIGKILL)

    def kill_service(self) -> None:
        self.server.process.signal(signal.SIGKILL)
        self.server.process.wait_end()

    def start_client(self, name: str) -> FreeRdp:
        self.count += 1
        logs = self.logs / f"client-{self.count}"
        logs.mkdir()
        password = self.server.passwords[name]
        client = FreeRdp(self.server.rdp, name, password, self.screen, logs)
        process.LOGS.remove(client.log_file)
        self.clients[name].append(client)
        return client

    def end_client(self, client: FreeRdp, number: int) -> None:
        client.signal(number)
        client.wait_end()

    def connect(self, name: str) -> None:
        self.wait_connected(name, [self.start_client(name)])

    def wait_connected(self, name: str, clients: list[FreeRdp]) -> None:
        """Waits until the user has a desktop; all clients gone and the service alive: shut out."""

        def settled() -> bool:
            # One of these is left, and it has taken over from whoever was there before.
            left = self.running(name)
            gone = not any(client in left for client in clients)
            return gone or (len(left) == 1 and self.is_connected(name))

        if self.fault:
            self.wait_refused(name, clients, settled)
            return
        wait.until(f"{self.where}: {name} is connected or sent away", settled, CONNECTED_WITHIN)
        if all(client.exit_code is not None for client in clients) and not self.killed and not self.stopped:
            why = [(client.exit_code, client.reason) for client in clients]
            self.report.shut_out.append(f"{self.where}: {name} was sent away: {why}")

    def wait_refused(self, name: str, clients: list[FreeRdp], settled) -> None:
        """While the store is away nobody new is let in, unless it can be written a little."""

        def sent_away() -> bool:
            return all(client.exit_code is not None for client in clients)

        done = sent_away if self.unwritable else lambda: sent_away() or settled()
        try:
            wait.until(f"{name} is sent away", done, CONNECTED_WITHIN)
        except wait.NeverHappened:
            self.report.untrue.append(f"{self.where}: {name} was let in, and nothing can be written")

    def is_connected(self, name: str) -> bool:
        session = self.session(name)
        return session is not None and int(session["ConnectState"]) == ACTIVE

    def session(self, name: str) -> dict | None:
        """A user's session by the list; None also while there is nobody to ask."""
        with self.unless_killed():
            with self.server.management() as management:
                return management.session_of(name)
        return None

    def invoke(self, session: dict, method: str, **parameters: str) -> int | None:
        """What a method returned, or the code of its fault; None if the service died over it."""
        with self.unless_killed():
            with self.server.management() as management:
                try:
                    return management.invoke(session, method, **parameters)
                except WSManFaultError as fault:
                    return fault.code or -1
        return None

    def refused(self, code: int | None, text: str) -> None:
        """What would have to be written says that it cannot be."""
        if self.unwritable and code not in (WBEM_E_NOT_AVAILABLE, None):
            kind = self.report.untrue if code else self.report.wrong_zeros
            kind.append(f"{self.where}: {text} answered {code:#x} while nothing can be written")

    def done(self, method: str) -> None:
        """A method returned 0."""
        self.report.zeros[method] += 1
        # While the store is away the record waits, and is gone if the service dies before it is back.
        if not self.fault:
            self.audited[method] += 1

    @contextlib.contextmanager
    def unless_killed(self):
        try:
            yield
        except (requests.exceptions.RequestException, KeyError):
            # A service that nobody killed answers.
            if not self.killed:
                raise

    def disconnect(self, name: str, connecting: bool = False) -> None:
        session = self.session(name)
        if session is None:
            return
        ports = set() if connecting else {p for c in self.running(name) for p in truth.ports_of(c.pid)}
        code = self.invoke(session, "Disconnect")
        if int(session["ConnectState"]) == ACTIVE:
            self.refused(code, f"Disconnect of {name}")
        if code != 0:
            return
        self.done("Disconnect")
        self.zero(
            not ports & truth.established(self.port), f"Disconnect of {name}: a client is still connected"
        )
        if self.killed:
            return
        now = self.desktop_processes(name)
        self.zero(bool(now), f"Disconnect of {name}: the desktop does not run")
        row = self.session(name)
        stands = row is not None and (connecting or int(row["ConnectState"]) == DISCONNECTED)
        self.zero(stands, f"Disconnect of {name}: the list says {row}")

    def log_off(self, name: str, how) -> None:
        session = self.session(name)
        if session is None:
            return
        before = self.desktop_processes(name)
        code = how(session)
        self.refused(code, f"Logoff of {name}")
        if code != 0:
            return
        self.done("Logoff")
        self.logged_off.add((session["VMHostName"], session["SessionId"]))
        left = before & {p.pid for d in self.desktops_of(name) for p in d.processes}
        self.zero(not left, f"Logoff of {name}: these still run: {left}")

    def log_off_by_command(self, session: dict) -> int:
        return self.command("session", "logoff", session["VMHostName"], session["SessionId"], "--force")

    def command(self, *words: str) -> int:
        """What a command ended with, in the words of methods where they say the same."""
        code = self.server.run(*words).returncode
        return WBEM_E_NOT_AVAILABLE if code == UNAVAILABLE else code

    def set_limits(self) -> None:
        """A new value every time, of a limit that touches nobody here."""
        with self.one_at_a_time:
            warning = next(self.warnings)
            self.warning.add(warning)
            code = self.command("collection", "limits", COLLECTION, "--limit-warning", f"{warning}s")
            self.refused(code, "SetLimits")
            if code == 0:
                self.done("SetLimits")
                self.warning = {warning}

    def message(self, name: str) -> None:
        session = self.session(name)
        if session is None:
            return
        if self.invoke(session, "SendMessage", Title="Chaos", Message=f"step {self.report.steps}") != 0:
            return
        self.done("SendMessage")
        shown = any("desktop-message" in p.command for d in self.desktops_of(name) for p in d.processes)
        self.zero(shown, f"SendMessage to {name}: no window is there")

    def zero(self, true: bool, text: str) -> None:
        if not true:
            self.report.wrong_zeros.append(f"{self.where}: {text}")

    # --- the truth -----------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        return int(self.server.rdp.rsplit(":", 1)[1])

    def running(self, name: str) -> list[FreeRdp]:
        """A user's clients that have not ended: another process may have the number of one that has."""
        return [client for client in self.clients[name] if client.exit_code is None]

    def connected(self, name: str) -> list[FreeRdp]:
        """Those of a user's clients whose connection the server holds open."""
        established = truth.established(self.port)
        return [client for client in self.running(name) if truth.ports_of(client.pid) & established]

    def desktops_of(self, name: str) -> list[truth.Desktop]:
        return [d for d in truth.desktops(self.server.data_dir).values() if d.user == name]

    def desktop_processes(self, name: str) -> set[int]:
        return {p.pid for d in self.desktops_of(name) for p in d.processes}

    def check(self) -> None:
        """Waits until the list and the world agree; what does not within the limit is a fault."""
        end = time.monotonic() + TRUE_WITHIN
        while differences := self.differences():
            if time.monotonic() > end:
                for kind, text in differences:
                    getattr(self.report, kind).append(f"{self.where}: {text}")
                return
        self.check_acknowledged()

    def check_acknowledged(self) -> None:
        now = self.server.json("collection", "limits", COLLECTION)[0]["LimitWarningSeconds"]
        if now not in self.warning:
            self.report.lost.append(f"{self.where}: the limit is {now} and should be one of {self.warning}")
        self.warning = {now}

    def differences(self) -> list[tuple[str, str]]:
        """Where the list and the world disagree now, by kind."""
        found: list[tuple[str, str]] = []
        desktops = truth.desktops(self.server.data_dir)
        with self.server.management() as management:
            listed = management.sessions()
        by_user = Counter(session["UserName"] for session in listed)
        for name, times in by_user.items():
            if times > 1:
                found.append(("doubles", f"{name} has {times} sessions"))
        for desktop in desktops.values():
            if len(desktop.homes) > 1 or len(desktop.namespaces) > 1:
                twice = f"{desktop.homes} {desktop.namespaces}"
                found.append(("doubles", f"{desktop.name} is run twice: {twice}"))
        homes = Counter(home for desktop in desktops.values() for home in desktop.homes)
        found += [("doubles", f"{home} is in {n} desktops") for home, n in homes.items() if n > 1]

        names = {s["VMName"]: s["UserName"] for s in listed}
        running = {d.name: d.user for d in desktops.values()}
        for name, user in running.items() - names.items():
            found.append(("leaks", f"desktop {name} of {user} runs, and no session knows of it"))
        for name, user in names.items() - running.items():
            found.append(("untrue", f"{user} has a session in {name}, and nothing runs there"))
        for session in listed:
            name = session["UserName"]
            there = self.connected(name)
            state = int(session["ConnectState"])
            if (state, len(there)) not in ((ACTIVE, 1), (DISCONNECTED, 0)):
                found.append(("untrue", f"{name}'s state is {state}, and {len(there)} clients are connected"))
        inside = {p.pid for d in desktops.values() for p in d.processes}
        # Each desktop has, or had, one process outside: that which waits for the sandbox.
        may_wait = [p.uid for d in desktops.values() for p in d.part("supervisor")]
        for left in truth.of_uids(self.uids):
            if left.pid in inside:
                continue
            if left.uid in may_wait and "bwrap" in left.command:
                may_wait.remove(left.uid)
            else:
                found.append(("leaks", f"{left} belongs to no desktop"))
        found += [("leaks", f"{path} was only begun") for path in truth.drafts(self.server.data_dir)]
        # Until its lease is renewed, up to a second after the store is back, the host takes nobody new.
        states = [] if found else [host["State"] for host in self.server.json("host", "list")]
        found += [("untrue", f"the host is {state}") for state in states if state != "Up"]
        return found

    def finish(self) -> None:
        """Everybody is logged off: now nothing may be left of anything."""
        if self.report.faults:
            return
        self.where, self.killed = "at the end", False
        for name in self.names:
            for client in self.clients[name]:
                self.end_client(client, signal.SIGKILL)
        self.check()
        self.server.log_everybody_off()
        self.check()
        left = truth.of_uids(self.uids)
        if left:
            self.report.leaks.append(f"after everybody was logged off: {left}")
        now = 0

        def closed() -> bool:
            nonlocal now
            now = truth.descriptors(self.server.process.pid)
            return now <= self.descriptors + 8

        with contextlib.suppress(wait.NeverHappened):
            wait.until("the service has closed what it opened", closed, TRUE_WITHIN)
        if not closed():
            self.report.leaks.append(f"the service began with {self.descriptors} descriptors and has {now}")
        history = truth.history(self.server.data_dir)
        ids = [session["session_id"] for session in history]
        if len(ids) != len(set(ids)):
            self.report.doubles.append("a SessionId was used twice")
        for session in history:
            key = session["host"], str(session["session_id"])
            if key in self.logged_off and session["state"]["reason"] != {"name": "administrator"}:
                self.report.lost.append(f"the Logoff of {key}, which is {session['state']}")
        done = (row for row in truth.audit(self.server.data_dir) if row["outcome"] == "Done")
        if less := self.audited - Counter(row["action"].split(".")[-1] for row in done):
            self.report.lost.append(f"not in the audit trail: {less}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--users", type=int, default=6)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--kills", type=int, default=None, help="kill so often, instead of the mix")
    parser.add_argument("--show", action="store_true", help="print each step before it is taken")
    options = parser.parse_args()
    tool("xfreerdp")
    # Told to end, it ends what it started, as it does on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos-") as logs:
        chaos = Chaos(options.users, seed, Path(logs), options.show)
        report = chaos.report
        try:
            chaos.run(options.seconds, options.kills)
        finally:
            print(report)
        if report.faults:
            print(process.tail(Path(logs) / "server.log", 80))
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
