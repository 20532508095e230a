"""How long a returning user waits for their screen: measured and printed. A busy machine is no failure."""

import statistics
import time

from support.clients import FreeRdp
from support.screen import Screen, share
from support.server import leave
from support.terminal import GREEN, Terminal

TIMES = 10


def test_a_returning_user_is_on_their_screen_every_time(server, desk, tmp_path, capsys):
    first = desk.freerdp("alice")
    Terminal(server, first, "alice").paint(GREEN)
    leave(server, first, "alice")
    took = []
    for turn in range(TIMES):
        logs = tmp_path / f"turn-{turn}"
        logs.mkdir()
        # A new screen each time: what is on it comes from this connection. It is up before the clock starts.
        with Screen(logs) as screen:
            began = time.monotonic()
            with FreeRdp(server.rdp, "alice", server.passwords["alice"], screen, logs):
                screen.wait_picture("the user's own screen", lambda picture: share(picture, GREEN[1]) > 0.05)
                took.append(time.monotonic() - began)
        server.wait_state("alice", "Disconnected")
    assert len(took) == TIMES
    median = statistics.median(took)
    with capsys.disabled():
        print(f"\nfrom the client's start to the pixels: median {median:.2f} s, most {max(took):.2f} s")
