"""A session host as administrators run them: Debian's xrdp with sesman, accounts of its own, a desktop a user.

It lives in namespaces of its own (mounts and processes), so that its accounts and its sessions are nobody else's, and goes
with all that runs there when it is left. It needs root, because sesman logs users on.
"""

import os
import secrets
import socket
import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from . import certificates, wait
from .needs import lacking
from .paths import tool
from .process import Process

# What a desktop there looks like, and nothing else does.
COLOUR = (0x30, 0xA0, 0x50)

SESSION = """#!/bin/sh
xsetroot -solid '#30a050'
# the pointer is in the middle, and the keys go where it is
exec xterm -geometry 80x24+250+200
"""

XRDP = """[Globals]
ini_version=1
fork=true
port=tcp://127.0.0.1:{port}
tcp_nodelay=true
security_layer=tls
certificate={etc}/certificate.pem
key_file={etc}/key.pem
ssl_protocols=TLSv1.2, TLSv1.3
autorun=Xorg
allow_channels=true
max_bpp=32
use_fastpath=both
[Logging]
LogFile=/var/log/xrdp.log
LogLevel=INFO
EnableSyslog=false
[Channels]
cliprdr=true
[Xorg]
name=Xorg
lib=libxup.so
username=ask
password=ask
ip=127.0.0.1
port=-1
code=20
"""

SESMAN = """[Globals]
ListenAddress=127.0.0.1
ListenPort={sesman}
EnableUserWindowManager=false
DefaultWindowManager={etc}/startwm.sh
ReconnectScript=/bin/true
[Security]
AllowRootLogin=false
MaxLoginRetry=4
AlwaysGroupCheck=false
[Sessions]
X11DisplayOffset={display}
MaxSessions=50
KillDisconnected=false
Policy=Default
[Logging]
LogFile=/var/log/sesman.log
LogLevel=INFO
EnableSyslog=false
[Xorg]
param=/usr/lib/xorg/Xorg
param=-config
param=xrdp/xorg.conf
param=-noreset
param=-nolisten
param=tcp
param=-nolisten
param=local
param=-logfile
param=/tmp/xorg.%s.log
"""

# Everything of the machine but what has to be its own.
START = """mkdir -p /run/xrdp/sockdir /tmp/.X11-unix /run/user && chmod 1777 /tmp /tmp/.X11-unix /run/xrdp/sockdir
/usr/sbin/xrdp-sesman --nodaemon --config /etc/xrdp/sesman.ini & sesman=$!
/usr/sbin/xrdp --nodaemon --config /etc/xrdp/xrdp.ini & xrdp=$!
trap 'kill $xrdp $sesman' TERM
while :; do
    wait $xrdp
    [ -e /etc/xrdp/stopped ] || break
    while [ -e /etc/xrdp/stopped ]; do sleep 0.1; done
    /usr/sbin/xrdp --nodaemon --config /etc/xrdp/xrdp.ini & xrdp=$!
done
"""


def hashed(password: str) -> str:
    """As /etc/shadow has it."""
    command = [tool("openssl"), "passwd", "-6", "-stdin"]
    return subprocess.run(command, input=password, text=True, capture_output=True, check=True).stdout.strip()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class SessionHost:
    """Leaving the `with` ends it and every session on it."""

    # Each has displays of its own, whoever else numbers displays on this machine.
    _displays = 400

    def __init__(self, directory: Path, name: str, users: dict[str, str]):
        if os.geteuid() != 0:
            lacking("session hosts need root: sesman logs users on")
        self.name = name
        self.directory = directory / name
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.users = users
        self.process: Process | None = None

    def __enter__(self):
        etc, homes = self.directory / "etc", self.directory / "home"
        for made in (etc, homes, self.directory / "log"):
            made.mkdir(parents=True)
        self._make_accounts(homes)
        self.certificate = certificates.make(etc, rsa.generate_private_key(65537, 2048))
        SessionHost._displays += 20
        places = {"etc": "/etc/xrdp", "port": self.port, "sesman": free_port(), "display": self._displays}
        (etc / "xrdp.ini").write_text(XRDP.format(**places))
        (etc / "sesman.ini").write_text(SESMAN.format(**places))
        (etc / "startwm.sh").write_text(SESSION)
        (etc / "startwm.sh").chmod(0o755)
        for kept in ("xrdp_keyboard.ini", "km-00000409.ini", "rsakeys.ini"):
            (etc / kept).write_bytes(Path("/etc/xrdp", kept).read_bytes())
        command = [tool("bwrap"), "--unshare-pid", "--die-with-parent", "--cap-add", "ALL", "--bind", "/", "/"]
        command += ["--dev-bind", "/dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/run"]
        command += ["--bind", self.directory / "log", "/var/log", "--bind", homes, "/home", "--bind", etc, "/etc/xrdp"]
        for file in ("passwd", "group", "shadow"):
            command += ["--bind", self.directory / file, f"/etc/{file}"]
        command += ["--", "/bin/sh", "-c", START]
        self.process = Process(f"session host {self.name}", command, self.directory / "host.log")
        self.wait_up()
        return self

    def __exit__(self, *_):
        # process 1 of the namespace goes, and with it everything
        self.process.stop()

    def _make_accounts(self, homes: Path) -> None:
        files = {file: Path(f"/etc/{file}").read_text() for file in ("passwd", "group", "shadow")}
        for uid, (user, password) in enumerate(self.users.items(), 61_000):
            files["passwd"] += f"{user}:x:{uid}:{uid}::/home/{user}:/bin/bash\n"
            files["group"] += f"{user}:x:{uid}:\n"
            files["shadow"] += f"{user}:{hashed(password)}:19000:0:99999:7:::\n"
            (homes / user).mkdir(mode=0o700)
            os.chown(homes / user, uid, uid)
        for file, text in files.items():
            (self.directory / file).write_text(text)
            (self.directory / file).chmod(0o600 if file == "shadow" else 0o644)

    def wait_up(self) -> None:
        def answers() -> bool:
            assert self.process.exit_code is None, f"the session host ended:\n{self.process.log}"
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                return False
            return True

        wait.until(f"xrdp of {self.name} accepts connections", answers)

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in (self.directory / "log").glob("*.log"))

    def sessions(self) -> int:
        """How many sessions sesman has begun."""
        return self.logs().count("++ created session")

    def ask(self, client, user: str, command: str, limit: float = 20.0) -> str:
        """Types a command into the terminal of a client and returns what it printed into its home there."""
        answer = "answer-" + secrets.token_hex(4)
        client.screen.type(f"({command}; echo) >~/.a 2>&1; mv ~/.a ~/{answer}")
        path = self.directory / "home" / user / answer
        wait.until(f"{user} writes {answer}", path.exists, limit)
        return path.read_text().strip()

    def wait_desktop(self, client, limit: float = 30.0) -> None:
        """Waits until a client shows a desktop of this machine's kind."""

        def look() -> bool:
            assert client.exit_code is None, f"{client.name} ended with {client.exit_code}:\n{client.log}"
            return client.screen.share(COLOUR) > 0.3

        wait.until(f"{client.name} shows a desktop of {self.name}", look, limit)
