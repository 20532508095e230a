"""Chaos: users who connect, are cut off, disconnected, logged off and messaged, while parts of desktops and
the service itself are killed; after every step what OpenRDMS says is compared with what the kernel knows.

    python tests/chaos.py --seconds 600 --users 20 [--seed N]     a mix of everything
    python tests/chaos.py --kills 200 --users 6 [--seed N]        kills only: how long until the list is true

The seed decides who does what in which step, whatever comes of it: the same seed replays the same decisions.
"""

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
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
    "kill xrdp": 1,
    "kill chansrv": 1,
    "kill xorg": 1,
    "kill supervisor": 1,
    "kill session": 1,
    "kill window manager": 1,
    "kill outer": 1,
}
KILLS = [action for action in ACTIONS if action.startswith("kill ")]
# One step in so many ends with the service killed in the middle of it, and started again.
SERVICE_EVERY = 9


@dataclass
class Report:
    """What went wrong, each kind by itself; everything in it has to be empty."""

    wrong_zeros: list[str] = field(default_factory=list)
    doubles: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)
    shut_out: list[str] = field(default_factory=list)
    steps: int = 0
    done: Counter = field(default_factory=Counter)
    zeros: Counter = field(default_factory=Counter)
    # Seconds from a kill to a list that is true again, and of what.
    times: list[tuple[float, str]] = field(default_factory=list)

    KINDS = ("wrong_zeros", "doubles", "leaks", "untrue", "shut_out")

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
        return "\n".join(lines + self.faults)


class Chaos:
    """A server under attack, and the model of it: which clients are running, and whose."""

    def __init__(self, users: int, seed: int, logs: Path):
        self.random = random.Random(seed)
        self.names = [f"user{n:02}" for n in range(users)]
        self.logs = logs
        self.report = Report()
        self.clients: dict[str, list[FreeRdp]] = {name: [] for name in self.names}
        self.count = 0
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

    # --- decisions -----------------------------------------------------------------------------------------

    def step(self) -> None:
        """Some users do something at the same time; sometimes the service dies meanwhile."""
        self.report.steps += 1
        who = self.random.sample(self.names, self.random.randint(1, min(4, len(self.names))))
        what = self.random.choices(list(ACTIONS), list(ACTIONS.values()), k=len(who))
        dies = self.random.random() < 1 / SERVICE_EVERY
        after = self.random.uniform(0, 0.6)
        decided = ", ".join(f"{action} {name}" for name, action in zip(who, what, strict=True))
        self.where = f"step {self.report.steps}, {decided}"
        self.where += f", service killed after {after:.3f} s" if dies else ""
        self.killed = dies
        began = time.monotonic()
        acting = [self.pool.submit(self.act, name, action) for name, action in zip(who, what, strict=True)]
        if dies:
            wait.until("the moment has come", lambda: time.monotonic() - began > after)
            self.kill_service()
        for done in acting:
            done.result()
        self.report.done.update(what)
        if dies:
            self.server.start()
            self.report.done["kill service"] += 1
        self.check()

    def kills(self, count: int) -> None:
        """Everybody works; one thing after another is killed; the clock runs until the list is true."""
        while len(self.report.times) < count and not self.report.faults:
            self.report.steps += 1
            absent = [name for name in self.names if not self.is_connected(name)]
            self.killed = False
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
                # Told to go, or there because it came later: both are true.
                wait.until(
                    f"{name} is connected or gone",
                    lambda: client.exit_code is not None or self.is_connected(name),
                    CONNECTED_WITHIN,
                )
            case "log off":
                self.log_off(name, lambda session: self.invoke(session, "Logoff"))
            case "log off by command":
                self.log_off(name, self.log_off_by_command)
            case "message":
                self.message(name)
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
            ended = [client.exit_code is not None for client in clients]
            return all(ended) or (sum(ended) == len(clients) - 1 and self.is_connected(name))

        wait.until(f"{self.where}: {name} is connected or sent away", settled, CONNECTED_WITHIN)
        if all(client.exit_code is not None for client in clients) and not self.killed:
            why = [(client.exit_code, client.reason) for client in clients]
            self.report.shut_out.append(f"{self.where}: {name} was sent away: {why}")

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
        """What a method returned; None if it gave a fault, or the service died over it."""
        with self.unless_killed():
            with self.server.management() as management:
                try:
                    return management.invoke(session, method, **parameters)
                except WSManFaultError:
                    return None
        return None

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
        ports = set() if connecting else {p for c in self.clients[name] for p in truth.ports_of(c.pid)}
        if self.invoke(session, "Disconnect") != 0:
            return
        self.report.zeros["Disconnect"] += 1
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
        if how(session) != 0:
            return
        self.report.zeros["Logoff"] += 1
        left = before & {p.pid for d in self.desktops_of(name) for p in d.processes}
        self.zero(not left, f"Logoff of {name}: these still run: {left}")

    def log_off_by_command(self, session: dict) -> int:
        answer = self.server.run("session", "logoff", session["VMHostName"], session["SessionId"], "--force")
        return answer.returncode

    def message(self, name: str) -> None:
        session = self.session(name)
        if session is None:
            return
        if self.invoke(session, "SendMessage", Title="Chaos", Message=f"step {self.report.steps}") != 0:
            return
        self.report.zeros["SendMessage"] += 1
        shown = any("desktop-message" in p.command for d in self.desktops_of(name) for p in d.processes)
        self.zero(shown, f"SendMessage to {name}: no window is there")

    def zero(self, true: bool, text: str) -> None:
        if not true:
            self.report.wrong_zeros.append(f"{self.where}: {text}")

    # --- the truth -----------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        return int(self.server.rdp.rsplit(":", 1)[1])

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

    def differences(self) -> list[tuple[str, str]]:
        """Where the list and the world disagree now, by kind."""
        found: list[tuple[str, str]] = []
        desktops = truth.desktops(self.server.data_dir)
        with self.server.management() as management:
            listed = management.sessions()
        connected = truth.established(self.port)
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
            there = [c for c in self.clients[name] if truth.ports_of(c.pid) & connected]
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
        ids = [session["session_id"] for session in truth.history(self.server.data_dir)]
        if len(ids) != len(set(ids)):
            self.report.doubles.append("a SessionId was used twice")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--users", type=int, default=6)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--kills", type=int, default=None, help="kill so often, instead of the mix")
    options = parser.parse_args()
    tool("xfreerdp")
    # Told to end, it ends what it started, as it does on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos-") as logs:
        chaos = Chaos(options.users, seed, Path(logs))
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
