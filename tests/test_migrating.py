"""docs/migrating-scripts.md: its shell lines and its Python are run as they stand, its CIM lines by the messages they send."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import process
from support.management import Management
from support.paths import openrdms
from support.server import Server, make_data_dir, remove
from test_cmdlets import run_cim

PAGE = Path(__file__).parents[1] / "docs" / "migrating-scripts.md"
KEYS = {
    "Win32_VirtualDesktopSession": ["VMHostName", "SessionId"],
    "Win32_RDSHServer": ["Name"],
    "Win32_RDSHCollection": ["Alias"],
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def shell_lines() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines()]


def cim_lines() -> list[str]:
    """What comes behind each `# after`, but for the connection itself, which pypsrp makes."""
    after = [block.partition("# after")[2].split("\n", 1)[1] for block in blocks("powershell")]
    return [line for text in after for line in text.splitlines() if re.match(r"(Get|Invoke)-Cim", line)]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    data_dir = make_data_dir()
    process.LOGS.clear()
    try:
        with Server(data_dir, tmp_path_factory.mktemp("server"), {"OPENRDMS_NODE_HOST_NAME": "desk"}) as server:
            server.add_user("admin", "admin")
            server.add_user("alice")
            server.cli("collection", "create", "pool1", "--kind", "personal")
            server.cli("desktop", "assign", "pool1-001", "alice")
            yield server
    finally:
        remove(data_dir)


@pytest.fixture
def session(server):
    """Alice is logged on, and her host takes sessions."""
    server.cli("host", "undrain", "desk")
    server.cli("desktop", "start", "pool1-001")
    return server.session_of("alice")


@pytest.fixture
def environment(server, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/openrdms").symlink_to(Path(openrdms()).absolute())
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login admin password {server.passwords['admin']}\n")
    address = server.ready["wsman_http"].removesuffix("/wsman")
    more = {"DESK": address, "PASSWORD": server.passwords["admin"], "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    return {**server.environment, **more, "no_proxy": "*"}


@pytest.mark.parametrize("line", shell_lines())
def test_a_shell_line_does_what_it_says(line, session, environment, tmp_path):
    done = subprocess.run(
        ["sh", "-c", line], env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "wmiCode" not in done.stdout
    if "UserName=alice" in line:
        assert '"alice"' in done.stdout


@pytest.mark.parametrize("line", cim_lines())
def test_a_cim_line_is_answered(line, session, server):
    with Management(server.ready["wsman_http"], "admin", server.passwords["admin"]) as management:
        assert run_cim(line, management, KEYS.__getitem__) is None


def test_the_python_prints_the_session(session, environment):
    [program] = blocks("python")
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"desk {session['SessionId']} alice\n"


def test_the_page_shows_something_of_each_kind():
    assert len(shell_lines()) >= 8 and len(cim_lines()) >= 8
