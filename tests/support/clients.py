"""Two independent RDP clients: FreeRDP and rdesktop. Each runs on a screen of its own."""

import re
from pathlib import Path

from . import wait
from .paths import tool
from .process import Process
from .screen import Screen, is_desktop


class Client(Process):
    """An RDP client on a screen."""

    def __init__(
        self, name: str, command: list[str], log: Path, screen: Screen, home: Path, text: str | None = None
    ):
        home.mkdir(exist_ok=True)
        environment = {"DISPLAY": screen.display, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")}
        super().__init__(name, command, log, environment, text)
        self.screen = screen

    def stop(self, limit: float = 15.0) -> None:
        # What was seen last, for whoever looks into a failure.
        self.screen.save(self.log_file.with_suffix(".png"))
        super().stop(limit)

    def desktop(self, limit: float = 30.0):
        """Waits until the desktop is on the screen, and returns the picture. Fails at once if the client ends."""

        def look():
            assert self.exit_code is None, f"{self.name} ended with {self.exit_code}:\n{self.log}"
            picture = self.screen.picture()
            return picture if is_desktop(picture) else None

        return wait.until(f"{self.name} shows a desktop", look, limit)


class FreeRdp(Client):
    """xfreerdp, over TLS alone or with NLA."""

    def __init__(
        self,
        address: str,
        user: str,
        password: str,
        screen: Screen,
        logs: Path,
        security: str = "tls",
        route: str | None = None,
        extra: tuple[str, ...] = (),
        prefix: tuple[str, ...] = (),
        name: str = "xfreerdp",
    ):
        width, height = screen.size
        command = [*prefix, tool("xfreerdp"), f"/v:{address}", f"/u:{user}", f"/p:{password}"]
        command.append(f"/sec:{security}")
        command += ["/cert:ignore", f"/size:{width}x{height}", "/bpp:32", "-decorations", "-grab-keyboard"]
        command += ["-clipboard", "/log-level:INFO", *extra]
        if route is not None:
            command.append(f"/load-balance-info:{route}")
        super().__init__(name, command, logs / f"{name}.log", screen, logs / "home")

    @property
    def reason(self) -> str | None:
        """Why the connection ended, in the client's own words: the last ERRINFO_… or ERRCONNECT_… it logged."""
        said = re.findall(r"\b(ERR(?:INFO|CONNECT)_[A-Z0-9_]+)", self.log)
        return said[-1] if said else None

    def refused(self, limit: float = 30.0) -> tuple[int, str | None]:
        """Waits for its end: the exit code and the reason."""
        return self.wait_end(limit), self.reason


class Rdesktop(Client):
    """rdesktop, which shares no code with FreeRDP. It speaks TLS without NLA."""

    def __init__(
        self, address: str, user: str, password: str, screen: Screen, logs: Path, name: str = "rdesktop"
    ):
        width, height = screen.size
        command = [tool("rdesktop"), "-u", user, "-p", password, "-g", f"{width}x{height}", "-a", "32", "-D"]
        command += ["-r", "clipboard:off", "-r", "sound:off", address]
        # It asks whether to trust the certificate, and takes the answer from standard input.
        super().__init__(name, command, logs / f"{name}.log", screen, logs / "home", text="yes\n")


def route_to(collection: str) -> str:
    """The routing token by which a client asks for a collection."""
    return f"tsv://MS Terminal Services Plugin.1.{collection}"
