"""Fixtures: a server a test module, screens and clients a test; everything ends with what it belongs to."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from support import process  # noqa: E402
from support.clients import FreeRdp, Rdesktop  # noqa: E402
from support.needs import lacking  # noqa: E402
from support.paths import openrdms  # noqa: E402
from support.screen import Screen  # noqa: E402
from support.server import Server, make_data_dir, remove  # noqa: E402

TOOLS = [
    "xfreerdp",
    "rdesktop",
    "Xvfb",
    "xdotool",
    "bwrap",
    "xrdp",
    "openbox",
    "tint2",
    "xterm",
    "dbus-run-session",
]


def pytest_sessionstart(session: pytest.Session) -> None:
    try:
        openrdms()
    except FileNotFoundError as missing:  # nothing can be tested: say so once, not once a test
        pytest.exit(str(missing), returncode=1)


@pytest.fixture(scope="session", autouse=True)
def tools() -> None:
    """What a machine lacks is a failure in CI, and elsewhere a skip that says why."""
    missing = [name for name in TOOLS if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") is None]
    if missing:
        lacking(f"not installed: {', '.join(missing)}; script/setup installs them")


@pytest.fixture(scope="module")
def server_settings() -> dict[str, str]:
    """A module overrides this to configure its server by environment."""
    return {}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, server_settings: dict[str, str]) -> Iterator[Server]:
    """A server with an administrator, three users and a collection of three desktops."""
    data_dir = make_data_dir()
    process.LOGS.clear()
    try:
        with Server(data_dir, tmp_path_factory.mktemp("server"), server_settings) as server:
            server.populate()
            yield server
    finally:
        remove(data_dir)


class Desk:
    """Connects users of one server with clients on screens of their own."""

    def __init__(self, server: Server, logs: Path, stack: ExitStack):
        self.server = server
        self.logs = logs
        self._stack = stack
        self._count = 0

    def _place(self, size: tuple[int, int]) -> tuple[Screen, Path]:
        self._count += 1
        logs = self.logs / f"client-{self._count}"
        logs.mkdir()
        return self._stack.enter_context(Screen(logs, size)), logs

    def freerdp(
        self,
        user: str,
        password: str | None = None,
        size: tuple[int, int] = (1024, 768),
        address: str | None = None,
        **more,
    ) -> FreeRdp:
        screen, logs = self._place(size)
        password = self.server.passwords[user] if password is None else password
        return self._stack.enter_context(
            FreeRdp(address or self.server.rdp, user, password, screen, logs, **more)
        )

    def rdesktop(
        self,
        user: str,
        password: str | None = None,
        size: tuple[int, int] = (1024, 768),
        address: str | None = None,
    ) -> Rdesktop:
        screen, logs = self._place(size)
        password = self.server.passwords[user] if password is None else password
        return self._stack.enter_context(Rdesktop(address or self.server.rdp, user, password, screen, logs))


@pytest.fixture
def desk(server: Server, tmp_path: Path) -> Iterator[Desk]:
    """Clients for one test. Afterwards they are gone, and so are the sessions: tests do not see each other."""
    with ExitStack() as stack:
        yield Desk(server, tmp_path, stack)
    server.log_everybody_off()


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    start = len(process.LOGS)
    yield
    del process.LOGS[start:]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Callable:
    """A failure shows what server and clients said."""
    report = yield
    if report.failed:
        for log in process.LOGS:
            report.sections.append(
                (f"the end of {log} (a client leaves its last picture beside it)", process.tail(log))
            )
    return report
