"""Every case of the conformance suite against a service of our own."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from conformance.case import Case, load
from conformance.run import Outcome, discover, run
from conformance.subject import OURS, Account, Subject
from support.clients import FreeRdp
from support.screen import Screen
from support.server import Server

CASES = load()
# Those that wait for a limit begin first, beside the others, and are asked last.
CASES.sort(key=lambda case: case.slow)


@pytest.fixture(scope="module")
def empty(server: Server) -> Subject:
    """A service of our own with two accounts: an administrator and somebody else."""
    subject = Subject.read(
        OURS,
        server.ready["wsman_http"],
        Account("admin", server.passwords["admin"]),
        other=Account("conf-01", server.add_user("conf-01")),
        pid=server.process.pid,
        https=server.ready["wsman_https"],
    )
    discover(subject)
    return subject


@pytest.fixture(scope="module")
def slow(empty: Subject) -> Iterator[dict[str, Future[Outcome]]]:
    """The cases that wait for a limit, which need no more than that. They wait while the others run."""
    with ThreadPoolExecutor(32) as pool:
        yield {case.id: pool.submit(run, empty, case) for case in CASES if case.slow}


@pytest.fixture(scope="module")
def subject(
    empty: Subject, slow: dict[str, Future[Outcome]], server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Subject:
    """The same with a list of accounts, and two sessions whose clients have gone."""
    names = {f"conf-{number:02}" for number in range(50)} | {"conf-target", "conf-victim"}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(server.add_user, sorted(names - set(server.passwords))))
    for user in ("conf-target", "conf-victim"):
        logs = tmp_path_factory.mktemp(user)
        with ExitStack() as stack:
            screen = stack.enter_context(Screen(logs, (1024, 768)))
            client = FreeRdp(server.rdp, user, server.passwords[user], screen, logs)
            stack.enter_context(client).desktop()
        server.wait_state(user, "Disconnected")
    discover(empty)
    return empty


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_conformance(subject: Subject, slow: dict[str, Future[Outcome]], case: Case):
    outcome = slow[case.id].result() if case.slow else run(subject, case)
    if outcome.skipped:
        # Our own service has all that cases need.
        pytest.fail(f"left out: {outcome.skipped}")
    assert outcome.why is None, f"{case.source}\n{outcome.why}"
