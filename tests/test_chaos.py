"""Two minutes of chaos; `tests/chaos.py` goes on for as long, and with as many users, as one likes."""

import os
import secrets

from chaos import Chaos

SECONDS = 90
USERS = 6
KILLS = 12
# From a single kill to a list that is true again. The promise is 5 s and is measured by `chaos.py --kills 200`; a
# machine that is busy with other things gets twice that here.
LIMIT = 10.0


def seed() -> int:
    """The same in CI every time, so that a red run is about the change; another one everywhere else."""
    return 2026 if os.environ.get("CI") else secrets.randbelow(1 << 32)


def test_whatever_happens_the_list_is_true_and_no_answer_is_a_lie(tmp_path, capsys):
    chosen = seed()
    with capsys.disabled():
        print(f"\nagain: python tests/chaos.py --seconds {SECONDS} --users {USERS} --seed {chosen}")
    report = Chaos(USERS, chosen, tmp_path).run(seconds=SECONDS)
    with capsys.disabled():
        print(report)
    assert report.faults == []
    # It did look behind answers.
    assert min(report.zeros[method] for method in ("Disconnect", "Logoff")) > 0


def test_after_a_single_kill_the_list_is_true_within_seconds(tmp_path, capsys):
    chosen = seed()
    with capsys.disabled():
        print(f"\nagain: python tests/chaos.py --kills {KILLS} --users 3 --seed {chosen}")
    report = Chaos(3, chosen, tmp_path).run(kills=KILLS)
    with capsys.disabled():
        print(report)
    assert report.faults == []
    assert len(report.times) == KILLS and max(report.times)[0] < LIMIT
