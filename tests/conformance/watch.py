"""What is watched while a case runs: a door that nobody should knock at, and the service's memory."""

import contextlib
import re
import socket
import threading


class Listener:
    """A door on this machine that nobody should knock at."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.asked = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/"

    def _listen(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                self._socket.accept()[0].close()
                self.asked = True

    def close(self) -> None:
        """Whoever had knocked by now has been heard: the last look comes after the stop."""
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(TimeoutError, OSError):
            self._socket.settimeout(0.0)
            self._socket.accept()[0].close()
            self.asked = True
        self._socket.close()


class Memory:
    """The most memory that the service has had resident since we began to look."""

    def __init__(self, pid: int):
        self.pid = pid
        with open(f"/proc/{pid}/clear_refs", "w") as file:
            file.write("5")
        self.before = self._most()

    def _most(self) -> int:
        with open(f"/proc/{self.pid}/status") as file:
            return int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1])

    def grown(self) -> float:
        return (self._most() - self.before) / 1024
