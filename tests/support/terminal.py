"""The terminal in a desktop, reached the way its user reaches it: keys in, pixels and files out."""

import secrets

from . import processes, wait
from .clients import Client
from .screen import share
from .server import Server

# Colours of the 256-colour palette that no theme uses, and what they look like.
MAGENTA, GREEN, CYAN = (201, (255, 0, 255)), (46, (0, 255, 0)), (51, (0, 255, 255))


class Terminal:
    """A user's terminal, as one client shows it."""

    def __init__(self, server: Server, client: Client, user: str):
        client.desktop()
        # The window is there before its shell is; what is typed then waits in the terminal.
        wait.until(
            f"a shell runs in the desktop of {user}",
            lambda: any("bash" in p.command for p in processes.of_desktops(server.data_dir, user)),
        )
        self.server = server
        self.client = client
        self.screen = client.screen

    def ask(self, command: str, limit: float = 20.0) -> str:
        """Types a command and returns what it printed."""
        answer = "answer-" + secrets.token_hex(4)
        # Moved into place when whole, and never empty.
        self.screen.type(f"({command}; echo) >~/.a 2>&1; mv ~/.a ~/{answer}")
        return self.server.in_home(answer, limit)

    def shell_pid(self) -> int:
        return int(self.ask("echo $$"))

    def paint(self, colour: tuple[int, tuple[int, int, int]]) -> None:
        """Fills the terminal with a colour, and waits until the client shows it."""
        self.screen.type(f"clear; printf '\\e[48;5;{colour[0]}m\\e[2J'")
        self.wait_painted(colour)

    def wait_painted(self, colour: tuple[int, tuple[int, int, int]]) -> None:
        last = 0.0

        def painted(picture) -> bool:
            # a part of it may be there before the rest: it has to be as much as at the last look
            nonlocal last
            before, last = last, share(picture, colour[1])
            return last > 0.05 and last == before

        self.screen.wait_picture(f"a terminal painted {colour[1]}", painted)
