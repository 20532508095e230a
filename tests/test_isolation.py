"""Two users never see each other's desktop."""

import os

import pytest
from support import processes
from support.screen import share
from support.terminal import GREEN, MAGENTA, Terminal


def test_two_users_see_their_own_screens_and_homes(server, desk):
    alice = Terminal(server, desk.freerdp("alice"), "alice")
    bob = Terminal(server, desk.freerdp("bob"), "bob")
    alice.ask("echo of-alice > ~/secret")
    bob.ask("echo of-bob > ~/secret")
    assert alice.ask("cat ~/secret") == "of-alice"
    assert bob.ask("cat ~/secret") == "of-bob"
    homes = bob.ask("ls /home"), alice.ask("ls /home")
    assert homes == ("bob", "alice")

    alice.paint(MAGENTA)
    bob.paint(GREEN)
    assert share(alice.screen.picture(), GREEN[1]) == 0
    assert share(bob.screen.picture(), MAGENTA[1]) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="started as a user, everything runs as that user")
def test_each_user_has_an_unprivileged_uid_of_their_own(server, desk):
    for user in ("alice", "bob"):
        Terminal(server, desk.freerdp(user), user)
    uids = {user: {p.uid for p in processes.of_desktops(server.data_dir, user)} for user in ("alice", "bob")}
    assert 0 not in uids["alice"] | uids["bob"], "nothing of a desktop runs as root of this machine"
    assert len(uids["alice"]) == len(uids["bob"]) == 1
    assert uids["alice"] != uids["bob"]


def test_one_sandbox_cannot_open_the_display_of_another(server, desk):
    alice = Terminal(server, desk.freerdp("alice"), "alice")
    bob = Terminal(server, desk.freerdp("bob"), "bob")
    # Whatever numbers the displays have: bob tries alice's, by its file and by its abstract name, with his own
    # cookie and without one. What he can open is his own desktop only, so his mark is what he finds there.
    display = alice.ask("echo $DISPLAY")
    alice.ask("xprop -root -f WHOSE 8s -set WHOSE alice")
    bob.ask("xprop -root -f WHOSE 8s -set WHOSE bob")
    assert "alice" in alice.ask("xprop -root WHOSE")
    number = display.split(":")[1].split(".")[0]
    for attempt in (f"DISPLAY=:{number}", f"DISPLAY=unix/:{number}", f"DISPLAY=127.0.0.1:{number}"):
        for cookie in ("", "XAUTHORITY=/dev/null "):
            assert "alice" not in bob.ask(f"{cookie}{attempt} xprop -root WHOSE")
    sockets = bob.ask("grep -o '@\\?/tmp/.X11-unix/X[0-9]*' /proc/net/unix | sort -u").split()
    assert len(sockets) == 1 and not sockets[0].startswith("@"), "one display, and no abstract socket"


def test_a_sandbox_sees_neither_others_processes_nor_the_data_directory(server, desk):
    alice = Terminal(server, desk.freerdp("alice"), "alice")
    bob = Terminal(server, desk.freerdp("bob"), "bob")
    alice.ask("exec -a of-alice-only sleep 1000 & disown")
    assert "of-alice-only" in alice.ask("cat /proc/*/cmdline | tr '\\0' ' '")
    assert "of-alice-only" not in bob.ask("cat /proc/*/cmdline | tr '\\0' ' '")
    assert bob.ask(f"ls {server.data_dir}/homes; echo $?").endswith("2")
    assert bob.ask("touch /usr/bin/x; echo $?").endswith("1")
