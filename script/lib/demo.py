"""The running half of script/demo: every step is really checked, and the first that fails ends it."""

import secrets
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageChops
from support import processes, wait
from support.clients import FreeRdp
from support.management import ACTIVE, DISCONNECTED
from support.paths import TARGET
from support.process import LOGS, tail
from support.screen import Screen
from support.server import Server, make_data_dir, remove
from support.terminal import Terminal

USER, COLLECTION = "alice", "demo"
WORDS = ["kestrel", "marigold", "lantern", "harbour", "juniper", "meadow", "compass", "thistle"]
STATES = {0: "Active", 4: "Disconnected", 7: "Reset", 8: "Down", 9: "Init"}
PICTURES = TARGET / "demo"
# A panel's clock moves on by itself: pictures are compared between these margins.
MARGIN = 48

_start = time.monotonic()


def step(text: str) -> None:
    print(f"\n[{time.monotonic() - _start:5.1f} s] {text}", flush=True)


def show(text: str) -> None:
    print(f"          {text}", flush=True)


def check(what: str, happened: bool) -> None:
    """A thing that the demo promises."""
    if not happened:
        raise AssertionError(f"this did not happen: {what}")
    show(f"✓ {what}")


def take(screen: Screen, name: str) -> Image.Image:
    picture = screen.save(PICTURES / name)
    show(f"picture: {PICTURES / name}")
    return picture


def inner(picture: Image.Image) -> Image.Image:
    return picture.crop((0, MARGIN, picture.width, picture.height - MARGIN))


def settled(screen: Screen, unlike: Image.Image | None = None) -> Image.Image:
    """A picture that stays as it is for a while, and (if wanted) differs from another one."""
    last, since = inner(screen.picture()), time.monotonic()

    def look() -> Image.Image | None:
        nonlocal last, since
        picture = screen.picture()
        if ImageChops.difference(inner(picture), last).getbbox():
            last, since = inner(picture), time.monotonic()
        changed = unlike is None or ImageChops.difference(last, inner(unlike)).getbbox()
        return picture if changed and time.monotonic() - since > 0.7 else None

    return wait.until("the screen has changed and come to rest", look)


def connect(server: Server, screen: Screen, logs: Path, name: str) -> FreeRdp:
    client = FreeRdp(server.rdp, USER, server.passwords[USER], screen, logs, security="nla", name=name)
    show(f"xfreerdp /v:{server.rdp} /u:{USER} /p:… /sec:nla    (on a screen of its own, {screen.display})")
    return client


def describe(session: dict) -> str:
    keys = (
        "VMHostName",
        "SessionId",
        "VMName",
        "CollectionId",
        "DomainName",
        "UserName",
        "ClientMachineName",
    )
    return "  ".join(f"{key}={session[key]}" for key in keys)


def state(number: int) -> str:
    return f"{number} ({STATES[number]})"


def demo(server: Server, first_screen: Screen, second_screen: Screen, logs: Path) -> None:
    word = secrets.choice(WORDS)

    step("OpenRDMS is running with an empty data directory; now an administrator, a user and a collection")
    server.add_user("admin", "admin")
    server.add_user(USER)
    server.add_collection(COLLECTION, 2)
    show(f"RDP {server.rdp}   WS-Management {server.ready['wsman_http']} and {server.ready['wsman_https']}")
    print(server.cli("collection", "list"))

    step(f"{USER} connects with xfreerdp")
    client = connect(server, first_screen, logs, "first")
    Terminal(server, client, USER)
    check("a desktop is on the screen", True)

    step(f"{USER} types `echo $$` and the word '{word}' into the desktop's terminal")
    before = settled(first_screen)
    first_screen.type("echo $$ | tee ~/pid")
    pid = int(server.in_home("pid"))
    first_screen.type(f"echo 'the word is {word}' | tee ~/word")
    check(f"the shell got the word (its pid is {pid})", server.in_home("word") == f"the word is {word}")
    after = settled(first_screen, unlike=before)
    typed = ImageChops.difference(inner(before), inner(after)).getbbox()
    check("what was typed is on the screen", typed is not None)
    take(first_screen, "1-connected.png")

    with server.management() as management:
        step("The administrator lists the sessions through WS-Management (pypsrp) and disconnects this one")
        session = management.session_of(USER)
        check("Win32_VirtualDesktopSession lists the session", session is not None)
        show(describe(session))
        state_before = management.state(session)
        code = management.invoke(session, "Disconnect")
        state_after = management.state(session)
        show(f"ConnectState before: {state(state_before)}")
        show(f"Disconnect() ReturnValue: {code}")
        show(f"ConnectState after:  {state(state_after)}")
        as_promised = (state_before, code, state_after) == (ACTIVE, 0, DISCONNECTED)
        check("Disconnect returned 0, and the state went from Active to Disconnected", as_promised)
        exit_code, reason = client.refused()
        show(f"the client's own words: {reason}, exit code {exit_code}")
        check("the client was told why", (exit_code, reason) == (1, "ERRINFO_RPC_INITIATED_DISCONNECT"))
        check("the shell runs on with no client", processes.alive_inside(server.data_dir, pid, "bash"))

        step(f"{USER} comes back")
        client = connect(server, second_screen, logs, "second")
        Terminal(server, client, USER)

        def same_word(picture: Image.Image) -> bool:
            return (
                ImageChops.difference(inner(picture).crop(typed), inner(after).crop(typed)).getbbox() is None
            )

        second_screen.wait_picture("the same word", same_word)
        check(f"the same word is on the screen, pixel by pixel ('{word}')", True)
        second_screen.type("echo $$ | tee ~/pid-again")
        check(f"the same shell answers (pid {pid})", int(server.in_home("pid-again")) == pid)
        same = management.session_of(USER)
        check(
            f"it is the same session, SessionId {session['SessionId']}",
            same["SessionId"] == session["SessionId"],
        )
        quiet = settled(second_screen)
        take(second_screen, "2-reconnected.png")

        step("The administrator sends a message")
        text = "Please save your work: this desktop restarts at 18:00."
        code = management.invoke(session, "SendMessage", Title="Maintenance", Message=text)
        check(f"SendMessage() ReturnValue: {code}", code == 0)
        settled(second_screen, unlike=quiet)
        check("its window is on the screen", True)
        take(second_screen, "3-message.png")

        step("The administrator logs the session off")
        code = management.invoke(session, "Logoff")
        check(f"Logoff() ReturnValue: {code}", code == 0)
        check("the session is not listed any more", management.session_of(USER) is None)
        check("no process of the desktop is left", processes.of_desktops(server.data_dir, USER) == [])
        exit_code, reason = client.refused()
        show(f"the client's own words: {reason}, exit code {exit_code}")


def main() -> int:
    data_dir = make_data_dir()
    step("OpenRDMS starts")
    with tempfile.TemporaryDirectory(prefix="openrdms-demo-") as logs:
        logs = Path(logs)
        first, second = logs / "first", logs / "second"
        first.mkdir()
        second.mkdir()
        try:
            with Server(data_dir, logs) as server, Screen(first) as one, Screen(second) as two:
                demo(server, one, two, logs)
        except Exception as error:  # whatever it was, the logs say more
            for log in LOGS:
                print(f"\n--- the end of {log.name}\n{tail(log)}", file=sys.stderr)
            print(f"\nscript/demo FAILED: {error}", file=sys.stderr)
            return 1
        finally:
            remove(data_dir)
    step(f"All of it happened. Pictures are in {PICTURES}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
