"""The command line on a terminal of its own, as a person has it."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
from pathlib import Path

from .paths import openrdms
from .server import Server


def on_a_terminal(
    server: Server,
    words: list[str],
    environment: dict[str, str] | None = None,
    answers: dict[str, str] | None = None,
    columns: int = 200,
    program: Path | None = Path("openrdms"),
    directory: Path | None = None,
) -> tuple[int, str]:
    """Exit code and everything that the terminal showed. `answers` are typed after the questions that they belong
    to, each once. The words are those of the command line, unless `program` is None."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    settings = {**server.environment, "TERM": "xterm", "NO_COLOR": "", **(environment or {})}
    child = subprocess.Popen(
        words if program is None else [str(openrdms()), *words],
        env=settings,
        cwd=directory,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        # passwords are asked for on the terminal that the program belongs to
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    left = {question.encode(): answer.encode() for question, answer in (answers or {}).items()}
    shown = b""
    deadline = threading.Timer(60, child.kill)
    deadline.start()
    try:
        while True:
            try:
                some = os.read(ours, 4096)
            except OSError:  # the program and with it the terminal's other end is gone
                break
            if not some:
                break
            shown += some
            for question in [q for q in left if q in shown]:
                os.write(ours, left.pop(question))
        return child.wait(20), shown.decode().replace("\r\n", "\n")
    finally:
        deadline.cancel()
        os.close(ours)
