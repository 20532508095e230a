"""What is written down works: the console blocks of README.md, and the examples of every command's help.

The examples run in the order of the commands against one server with a host called desk, an administrator, alice
in a session, and a collection pool1. Only what differs by nature is taken for equal: times, ages, the client.
"""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from support import process
from support.paths import openrdms
from support.server import Server, make_data_dir, remove
from support.terminal_program import on_a_terminal

README = Path(__file__).parents[1] / "README.md"
DONE, NOT_FOUND, CONFLICT = 0, 3, 6

# Examples that do not end with 0 here, and why.
OTHERWISE = {
    "openrdms session logoff --state disconnected --in-state-for 2d --all -f": NOT_FOUND,  # none so old
    "openrdms session forget --host desk2 --state lost --all": NOT_FOUND,  # no such host
    "openrdms collection create pool1 --size 4": CONFLICT,  # it is there
    "openrdms desktop assign own-001 alice": NOT_FOUND,  # no such desktop
    "openrdms desktop unassign own-001": NOT_FOUND,
    "openrdms job show 5b1f8c11-7b7c-4a51-9a39-2f3a5b1f8c11": NOT_FOUND,  # no such job
    "openrdms job cancel 5b1f8c11-7b7c-4a51-9a39-2f3a5b1f8c11 --force": NOT_FOUND,
    "openrdms user add alice": CONFLICT,  # she is there
    "openrdms user add admin --role admin --password-stdin < password": CONFLICT,  # and so is he
    "openrdms user delete alice": CONFLICT,  # she has a session
    "openrdms context distrust desk.example.org:5986": NOT_FOUND,  # nothing was accepted
}
# What `job run` is given.
JOB = """<ProvisioningJob xmlns="urn:openrdms:jobs:1" Collection="pool1"><AddDesktop Name="lab-1"/></ProvisioningJob>"""
# The node of the examples.
NODE = "7b7c2a0e-5a1f-4a51-9a39-2f3a5b1f8c11"
# They do not end, need another machine's shell, or would write outside of the test; other tests have them.
ELSEWHERE = ("serve", "session watch", "cim watch", "completion", "config check", "config show")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    data_dir = make_data_dir()
    process.LOGS.clear()
    try:
        with Server(data_dir, tmp_path_factory.mktemp("server"), {"OPENRDMS_NODE_HOST_NAME": "desk"}) as server:
            server.add_user("admin", "admin")
            server.add_user("alice")
            server.add_collection("pool1", 3)
            yield server
    finally:
        remove(data_dir)


class Person:
    """Types lines, on a terminal, in a directory and a home of their own."""

    def __init__(self, server: Server, home: Path):
        self.server = server
        self.home = home
        (home / "bin").mkdir()
        (home / "bin/openrdms").symlink_to(Path(openrdms()).absolute())
        for name in ("password", "lab.secret"):
            (home / name).write_text("correct horse\n")
        (home / "job.xml").write_text(JOB)
        self.environment = {
            "HOME": str(home),
            "XDG_CONFIG_HOME": "",
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
            "NO_COLOR": "1",
        }

    def types(self, line: str) -> tuple[int, str]:
        answers = {"[y/N] ": "y\n", "Password: ": "correct horse\n", "Again: ": "correct horse\n"}
        program = ["sh", "-c", line]
        return on_a_terminal(self.server, program, self.environment, answers, program=None, directory=self.home)


@pytest.fixture
def person(server, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return Person(server, home)


def ensure_active(server, desk, user: str) -> int:
    session = server.session_of(user)
    if session is None or session["State"] != "Active":
        desk.freerdp(user).desktop()
        session = server.wait_state(user, "Active")
    return session["SessionId"]


def blocks() -> list[list[tuple[str, list[str]]]]:
    """The console blocks: each a list of lines that are typed, and what is printed after each."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README.read_text(), re.DOTALL):
        steps: list[tuple[str, list[str]]] = []
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
        found.append(steps)
    return found


def plain(lines: list[str], number: int) -> list[str]:
    """What is left of output that is the same every time. Columns are as wide as they need to be."""
    text = "\n".join(lines)
    text = re.sub(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)
    text = re.sub(r"\S+ \([0-9.]+\)(?= *$)", "CLIENT", text, flags=re.MULTILINE)
    text = re.sub(r"\b(\d+[hmd])?\d+[smh]\b", "AGE", text)
    text = text.replace(f"session {number} ", "session 1 ")
    text = re.sub(rf"(?<=desk) +{number}\b", " 1", text)
    return [re.sub(r" +", " ", line).rstrip() for line in text.splitlines()]


def test_the_readme_has_blocks_that_are_run():
    assert sum(len(steps) for steps in blocks()) >= 9


def test_what_the_readme_shows_is_what_is_printed(server, desk, person):
    for steps in blocks():
        number = ensure_active(server, desk, "alice")
        for line, expected in steps:
            typed = re.sub(r"(?<= disconnect )1$", str(number), line)
            ended, said = person.types(typed)
            assert ended == DONE, said
            assert plain(said.splitlines(), number) == plain(expected, 1), line


def examples() -> list[tuple[str, str]]:
    """Command and line, in the order of the help."""

    def look(path: list[str]) -> list[tuple[str, str]]:
        words = [str(openrdms()), *path, "--help"]
        wide = {**os.environ, "COLUMNS": "200"}
        text = subprocess.run(words, env=wide, capture_output=True, text=True, check=True, timeout=20).stdout
        _, _, commands = text.partition("\nCommands:\n")
        inner = re.findall(r"^  ([a-z-]+) ", commands.partition("\n\n")[0], re.MULTILINE)
        if inner:
            return [found for name in inner for found in look([*path, name])]
        _, _, lines = text.partition("\nExamples:\n")
        return [(" ".join(path), line.strip()) for line in lines.splitlines() if line.strip()]

    return look([])


def test_every_example_of_the_help_does_what_it_says(server, desk, person):
    ran = 0
    for command, line in examples():
        if command in ELSEWHERE or " --watch" in line:
            continue
        if command.startswith(("session", "cim")):
            number = ensure_active(server, desk, "alice")
        typed = re.sub(r"(?<= )17\b", str(number), line).replace(NODE, server.json("node", "list")[0]["Id"])
        # whatever speaks RDP over TLS is a machine
        ended, said = person.types(typed.replace("192.0.2.7", server.rdp))
        assert ended == OTHERWISE.get(line, DONE), (line, said)
        ran += 1
    assert ran > 40
    assert all(shlex.split(line) for line in OTHERWISE)


def test_exit_codes_of_the_readme_are_those_of_the_help():
    words = [str(openrdms()), "--help"]
    text = subprocess.run(words, capture_output=True, text=True, check=True, timeout=20).stdout
    told = re.sub(r"\s+", " ", text.partition("Exit codes: ")[2]).strip().rstrip(".")
    rows = re.findall(r"^\| (\d) \| (.+) \|$", README.read_text(), re.MULTILINE)
    assert told == ", ".join(f"{code} {means}" for code, means in rows)
