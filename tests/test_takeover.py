"""Many clients of one user at once: the last one wins, the others are told."""

from contextlib import ExitStack

from support import truth, wait
from support.clients import FreeRdp
from support.screen import Screen

CLIENTS = 10
TOLD = "ERRINFO_DISCONNECTED_BY_OTHER_CONNECTION"  # 0x00000005


def test_ten_clients_of_one_user_at_once_end_as_one_session_and_nine_that_were_told(server, tmp_path):
    with ExitStack() as stack:
        screen = stack.enter_context(Screen(tmp_path, (640, 480)))
        clients: list[FreeRdp] = []
        for number in range(CLIENTS):
            logs = tmp_path / f"client-{number}"
            logs.mkdir()
            client = FreeRdp(server.rdp, "alice", server.passwords["alice"], screen, logs)
            clients.append(stack.enter_context(client))
        wait.until(
            "all but one have ended", lambda: sum(c.exit_code is not None for c in clients) == CLIENTS - 1, 60
        )
        (last,) = (c for c in clients if c.exit_code is None)
        # One that was told before it saw a desktop ends with another exit code, and the same reason.
        assert [c.reason for c in clients if c is not last] == [TOLD] * (CLIENTS - 1)
        server.wait_state("alice", "Active")
        last.desktop()
        assert truth.ports_of(last.pid) == truth.established(int(server.rdp.rsplit(":", 1)[1]))
        assert len(truth.desktops(server.data_dir)) == 1
        # Not even one that began and was ended again.
        assert len(truth.history(server.data_dir)) == 1
        assert last.exit_code is None
    server.log_everybody_off()
