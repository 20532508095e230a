"""An OpenRDMS of our own: free ports, its own data directory, driven through its command line."""

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from . import processes, wait
from .clients import Client
from .management import DISCONNECTED, SESSION, Management
from .paths import openrdms
from .process import Process


class CommandFailed(AssertionError):
    """The command line said no."""

    def __init__(self, arguments: tuple[str, ...], result: subprocess.CompletedProcess):
        super().__init__(
            f"openrdms {' '.join(arguments)} ended with {result.returncode}\n{result.stdout}{result.stderr}"
        )
        self.result = result


def make_data_dir(where: Path = Path("/tmp")) -> Path:
    """A short path (socket names end at 108 bytes), which the unprivileged users of desktops may walk through."""
    path = Path(tempfile.mkdtemp(prefix="openrdms-", dir=where))
    path.chmod(0o711)
    return path


class Server:
    """`openrdms serve`. Leaving the `with` logs every desktop off, stops it and looks that nothing is left."""

    def __init__(
        self,
        data_dir: Path,
        logs: Path,
        settings: dict[str, str] | None = None,
        prefix: tuple[str, ...] = (),
    ):
        self.data_dir = data_dir
        self.prefix = prefix
        self.logs = logs
        self.settings = {
            "OPENRDMS_RDP_LISTEN": "127.0.0.1:0",
            "OPENRDMS_MANAGEMENT_HTTP": "127.0.0.1:0",
            "OPENRDMS_MANAGEMENT_HTTPS": "127.0.0.1:0",
            **(settings or {}),
        }
        # Doors that are held open for the service, by name, as systemd does it.
        self.held: dict[str, socket.socket] = {}
        self.passwords: dict[str, str] = {}
        self.process: Process | None = None
        self.ready: dict[str, str] = {}

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()

    def start(self, limit: float = 30.0) -> None:
        ready_file = self.data_dir / "ready.json"
        ready_file.unlink(missing_ok=True)
        command = [*self.prefix, openrdms(), "serve", "--data-dir", self.data_dir, "--ready-file", ready_file]
        held = tuple(door.fileno() for door in self.held.values())
        if held:
            # a shell's own process is the service's, so it can say whom they are for
            moved = " ".join(f"{number}<&{fd}-" for number, fd in enumerate(held, 3))
            names = ":".join(self.held)
            said = f"LISTEN_PID=$$ LISTEN_FDS={len(held)} LISTEN_FDNAMES={names}"
            command = ["bash", "-c", f'{said} exec "$@" {moved}', "bash", *command]
        log = self.logs / "server.log"
        self.process = Process("openrdms serve", command, log, self.settings, pass_fds=held)

        def is_ready() -> bool:
            assert self.process.exit_code is None, f"openrdms serve ended:\n{self.process.log}"
            return ready_file.exists()

        wait.until("openrdms serve is ready", is_ready, limit)
        self.ready = json.loads(ready_file.read_text())

    def stop(self) -> int:
        """SIGTERM, as a service manager does it: desktops live on. Its exit code."""
        self.process.signal(signal.SIGTERM)
        return self.process.wait_end(20)

    def close(self) -> None:
        """Ends everything. What had to be killed is a failure, but nothing is left behind either way."""
        try:
            if self.process and self.process.exit_code is None:
                self.log_everybody_off()
                self.stop()
        finally:
            if self.process:
                self.process.stop()
            left = processes.end_desktops(self.data_dir)
        assert not left, f"after everybody was logged off these were still there: {left}"

    @property
    def rdp(self) -> str:
        return self.ready["rdp"]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "OPENRDMS_SOCKET": self.ready["socket"]}

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess:
        """The command line, whatever it answers."""
        return subprocess.run(
            [str(openrdms()), *arguments],
            env=self.environment,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def cli(self, *arguments: str, text: str | None = None) -> str:
        """The command line, which has to say yes."""
        result = self.run(*arguments, text=text)
        if result.returncode != 0:
            raise CommandFailed(arguments, result)
        return result.stdout

    def json(self, *arguments: str):
        return json.loads(self.cli("-o", "json", *arguments))

    def add_user(self, name: str, role: str = "user") -> str:
        """A new account with a random password, which is returned."""
        password = secrets.token_urlsafe(12)
        self.cli("user", "add", name, "--role", role, "--password-stdin", text=password + "\n")
        self.passwords[name] = password
        return password

    def add_collection(self, alias: str, size: int = 2, users: tuple[str, ...] = ()) -> None:
        allowed = [word for user in users for word in ("--user", user)]
        self.cli("collection", "create", alias, "--size", str(size), *allowed)

    def populate(self) -> None:
        """What most tests need: an administrator, three users and a collection of three desktops."""
        self.add_user("admin", "admin")
        for name in ("alice", "bob", "carol"):
            self.add_user(name)
        self.add_collection("pool", 3)

    def management(self, user: str = "admin", door: str = "wsman_http", uri: str = SESSION) -> Management:
        return Management(self.ready[door], user, self.passwords[user], uri)

    def session_of(self, user: str) -> dict | None:
        """The live session of a user, as the command line tells it."""
        found = [s for s in self.json("session", "list") if (s["UserName"] or "").lower() == user.lower()]
        return found[0] if found else None

    def wait_state(self, user: str, state: str, limit: float = 20.0) -> dict:
        def look():
            session = self.session_of(user)
            return session if session and session["State"] == state else None

        return wait.until(f"the session of {user} is {state}", look, limit)

    def wait_no_session(self, user: str, limit: float = 20.0) -> None:
        wait.until(f"{user} has no session", lambda: self.session_of(user) is None, limit)

    def arrivals(self, user: str) -> list[str]:
        """How the clients of a user have come, oldest first: `Person`, or `Automatic` with a cookie."""
        proved = [line for line in self.process.log.splitlines() if "a user is proved" in line]
        return [re.search(r"arrival=(\w+)", line)[1] for line in proved if f"\\{user} " in line]

    def log_everybody_off(self) -> None:
        for session in self.json("session", "list"):
            with contextlib.suppress(CommandFailed):  # it may have ended by itself just now
                self.cli("session", "logoff", "--uid", session["Uid"], "--force")

    def in_home(self, name: str, limit: float = 20.0) -> str:
        """The text of a file that a program in some desktop writes into its home, once it is there whole (it
        ends with a line feed)."""

        def look() -> list[str]:
            texts = [path.read_text() for path in self.data_dir.glob(f"homes/*/*/{name}")]
            return [text for text in texts if text.endswith("\n")]

        return wait.until(f"a desktop writes {name} into its home", look, limit)[0].strip()


def leave(server: Server, client: Client, user: str) -> dict:
    """An administrator disconnects a user; the client ends. The session as it was."""
    with server.management() as management:
        session = management.session_of(user)
        assert management.invoke(session, "Disconnect") == 0
        assert management.state(session) == DISCONNECTED
    client.wait_end()
    return session


def remove(data_dir: Path) -> None:
    shutil.rmtree(data_dir)
