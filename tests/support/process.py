"""A child process whose output goes to a file, so that nothing blocks and every failure can show it."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import wait

# Every log that was written, oldest first: the test runner shows those of a failed test.
LOGS: list[Path] = []


class Process:
    """A running program. Use it in a `with`: leaving that ends it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
        text: str | None = None,
        pass_fds: tuple[int, ...] = (),
    ):
        self.name = name
        self.log_file = log
        LOGS.append(log)
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                pass_fds=pass_fds,
            )
        if text is not None:
            self._child.stdin.write(text.encode())
            self._child.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._child.poll()

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def signal(self, number: int) -> None:
        if self.exit_code is None:
            os.kill(self.pid, number)

    def wait_end(self, limit: float = 20.0) -> int:
        """Its exit code, once it has ended by itself."""
        wait.until(f"{self.name} ends", lambda: self.exit_code is not None, limit)
        return self._child.returncode

    def join(self) -> int:
        """Its exit code, however long it takes."""
        return self._child.wait()

    def stop(self, limit: float = 15.0) -> None:
        """Asks it to end, and makes it end."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.wait_end(limit)
        except wait.NeverHappened:
            self._child.kill()
            self._child.wait()
            raise


def tail(log: Path, lines: int = 60) -> str:
    """The end of a log, for a failure report."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"
