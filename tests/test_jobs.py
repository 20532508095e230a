"""Provisioning jobs that outlive their service, and updates of collections with real users in them."""

import datetime
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from support import processes, wait
from support.paths import openrdms
from support.screen import share
from support.server import CommandFailed
from support.terminal import CYAN, Terminal

COLLECTION = "root/cimv2/rdms:Win32_RDMSVirtualDesktopCollection"
POOL = f'{COLLECTION}.Alias="pool"'
NAMESPACE = "urn:openrdms:jobs:1"
SCHEMA = Path(__file__).parents[1] / "schema" / "jobs.xsd"
RUNNING, COMPLETED = 0, 1
INVALID_PARAMETER, NOT_FOUND, NOT_SUPPORTED = "WBEM_E_INVALID_PARAMETER", "WBEM_E_NOT_FOUND", "WBEM_E_NOT_SUPPORTED"


def invoke(server, path: str, method: str, *words: str) -> dict:
    return server.json("cim", "invoke", path, method, *words, "--force")


def checked(text: str) -> str:
    """The text, as far as it is what the schema says."""
    linter = shutil.which("xmllint")
    assert linter, "script/setup installs it"
    done = subprocess.run([linter, "--noout", "--schema", SCHEMA, "-"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return text


def execute(server, alias: str, inside: str) -> str:
    job = checked(f'<ProvisioningJob xmlns="{NAMESPACE}" Collection="{alias}">{inside}</ProvisioningJob>')
    done = invoke(server, COLLECTION, "ProvisioningJobExecute", f"JobInputXml={job}")
    assert done["ReturnValue"] == 0
    return done["JobGuid"]


def report(server, guid: str) -> ET.Element:
    done = invoke(server, COLLECTION, "ProvisioningJobGetReport", f"JobGuid={guid}")
    assert done["ReturnValue"] == 0
    return ET.fromstring(checked(done["JobReportXml"]))


def listed(server, kind: int) -> list[str]:
    return invoke(server, COLLECTION, "ProvisioningEnumerateJobs", f"JobType={kind}")["JobGuids"] or []


def desktops(server, alias: str) -> list[str]:
    return [row["Name"] for row in server.json("desktop", "list", "--collection", alias)]


def row_of(server, guid: str) -> dict:
    """The job as it is on the disk."""
    with sqlite3.connect(f"file:{server.data_dir}/openrdms.sqlite?mode=ro", uri=True) as store:
        key = guid.strip("{}")
        [(row,)] = store.execute("SELECT row FROM document WHERE kind = 'job' AND key = ?", (key,))
    return json.loads(row)


def ended_steps(row: dict) -> int:
    return sum(step["state"]["name"] == "ended" for step in row["steps"])


def test_a_job_goes_on_after_its_service_was_killed(server):
    count = 100
    server.cli("collection", "create", "farm", "--size", "2")
    guid = execute(server, "farm", f'<AddDesktops Count="{count}"/>')
    end = time.monotonic() + 20
    while ended_steps(row_of(server, guid)) < 3:  # as often as it can be asked: the middle does not last
        assert time.monotonic() < end, row_of(server, guid)["state"]
    server.process.signal(signal.SIGKILL)
    assert server.process.wait_end() == -signal.SIGKILL
    left = row_of(server, guid)
    assert left["state"]["name"] == "running" and 3 <= ended_steps(left) < count, "it was killed in the middle"
    server.start()
    wait.until("the job is done", lambda: report(server, guid).get("State") == "Completed", 60)
    told = report(server, guid)
    assert (told.get("Progress"), told.get("Ended"), len(told)) == ("100", str(count), count)
    assert {step.get("State") for step in told} <= {"Done", "AlreadySo"}
    assert desktops(server, "farm") == sorted(f"farm-{number:03}" for number in range(1, count + 3))
    assert server.json("collection", "show", "farm")["Size"] == count + 2
    assert guid in listed(server, COMPLETED) and guid not in listed(server, RUNNING)
    server.cli("collection", "delete", "farm", "--force")


def test_a_desktop_that_a_job_made_is_one_that_a_user_gets(server, desk):
    server.cli("collection", "create", "late", "--size", "0")
    guid = execute(server, "late", '<AddDesktop Name="fresh"/>')
    wait.until("the job is done", lambda: report(server, guid).get("State") == "Completed")
    client = desk.freerdp("alice", route="tsv://MS Terminal Services Plugin.1.late")
    assert server.wait_state("alice", "Active")["DesktopName"] == "fresh"
    guid = execute(server, "late", '<RemoveDesktop Name="fresh"/>')
    wait.until("the job waits", lambda: [step.get("State") for step in report(server, guid)] == ["Held"])
    assert server.session_of("alice")["State"] == "Active", "nobody is put out by a job"
    server.cli("session", "logoff", "--user", "alice", "--force")
    client.wait_end()
    wait.until("the job is done", lambda: report(server, guid).get("State") == "Completed")
    assert desktops(server, "late") == []
    server.cli("collection", "delete", "late", "--force")


def refused(server, path: str, method: str, *words: str) -> str:
    with pytest.raises(CommandFailed) as failed:
        server.cli("cim", "invoke", path, method, *words, "--force")
    return str(failed.value)


def test_jobs_that_cannot_be_are_refused(server):
    entity = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'
    assert INVALID_PARAMETER in refused(server, COLLECTION, "ProvisioningJobExecute", f"JobInputXml={entity}")
    order = server.data_dir / "order.xml"
    too_many = '<AddDesktops Count="501"/>'
    order.write_text(f'<ProvisioningJob xmlns="{NAMESPACE}" Collection="pool">\n{too_many}</ProvisioningJob>')
    with pytest.raises(CommandFailed, match=r"line 2, column \d+: Count is 1 to 500 \(WBEM_E_INVALID_PARAMETER\)"):
        server.cli("job", "run", str(order))
    nothing = "JobGuid=11111111-2222-3333-4444-555555555555"
    assert NOT_FOUND in refused(server, COLLECTION, "ProvisioningJobCancel", nothing)
    prepare = refused(server, COLLECTION, "ProvisioningPrepJob", "VMName=gold", "Password=Correct-Horse-1")
    assert NOT_SUPPORTED in prepare
    everywhere = [prepare, server.process.log]
    with sqlite3.connect(f"file:{server.data_dir}/openrdms.sqlite?mode=ro", uri=True) as store:
        everywhere += [row for (row,) in store.execute("SELECT row FROM audit")]
    assert any("ProvisioningPrepJob" in text for text in everywhere)
    said = [re.sub(r"invoke .*?--force", "", text) for text in everywhere]  # the test's own command line
    assert not any("Correct-Horse-1" in text for text in said)


def ordered(alias: str, inside: str) -> str:
    return f'<ProvisioningJob xmlns="{NAMESPACE}" Collection="{alias}">{inside}</ProvisioningJob>'


def test_the_command_line_tells_a_job_that_failed_from_a_good_one(server, tmp_path):
    for alias in ("good", "bad"):
        server.cli("collection", "create", alias, "--size", "1")
    said = server.run("job", "run", "-", "--wait", text=ordered("good", '<AddDesktop Name="good-x"/>'))
    assert said.returncode == 0 and "has ended: Completed, 0 of 1 steps failed" in said.stdout
    file = tmp_path / "job.xml"
    file.write_text(ordered("bad", '<AddDesktop Name="bad-x"/><AddDesktop Name="good-001"/>'))
    said = server.run("-o", "json", "job", "run", str(file), "--wait")
    assert said.returncode == 1 and "has ended: Failed, 1 of 2 steps failed" in said.stderr
    done = json.loads(said.stdout)
    assert done["Result"] == "failed" and done["JobGuid"] in said.stderr
    (good,) = server.json("job", "list", "--collection", "good")
    (bad,) = server.json("job", "list", "--collection", "bad")
    assert (good["State"], good["FailedSteps"], good["Collection"]) == ("Completed", 0, "good")
    assert (bad["State"], bad["FailedSteps"], bad["Progress"], bad["Steps"]) == ("Failed", 1, 100, 2)
    heading, row = server.cli("job", "list", "--collection", "bad").splitlines()
    assert heading.split() == ["JOB", "COLLECTION", "STATE", "PROGRESS", "FAILED", "CREATED"]
    assert row.split()[:5] == [bad["JobGuid"], "bad", "Failed", "100%", "1"] and row.endswith("Z")
    shown = server.json("job", "show", bad["JobGuid"])
    assert [(step["Step"], step["Name"], step["State"]) for step in shown["Desktops"]] == [
        ("AddDesktop", "bad-x", "Done"),
        ("AddDesktop", "good-001", "Failed"),
    ]
    table = server.cli("job", "show", bad["JobGuid"])
    assert re.search(r"^State +Failed$", table, re.MULTILINE) and shown["Desktops"][1]["Error"] in table
    xml = ET.fromstring(checked(server.cli("job", "show", bad["JobGuid"], "--xml")))
    assert xml.get("State") == "Failed"
    for alias in ("good", "bad"):
        server.cli("collection", "delete", alias, "--force")


def test_a_job_is_waited_for_also_while_its_service_is_away(server, desk):
    server.cli("collection", "create", "slow", "--size", "1")
    desk.freerdp("alice", route="tsv://MS Terminal Services Plugin.1.slow")
    server.wait_state("alice", "Active")
    words, pipe = [openrdms(), "job", "run", "-", "--wait"], subprocess.PIPE
    waits = subprocess.Popen(words, env=server.environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    try:
        waits.stdin.write(ordered("slow", '<RemoveDesktop Name="slow-001"/>'))
        waits.stdin.close()
        states = lambda: [job["State"] for job in server.json("job", "list", "--collection", "slow")]  # noqa: E731
        wait.until("the job runs", lambda: states() == ["Running"])
        server.stop()
        server.start()
        assert states() == ["Running"] and waits.poll() is None
        server.cli("session", "logoff", "--user", "alice", "--force")
        assert waits.wait(60) == 0, waits.stderr.read()
        assert "has ended: Completed" in waits.stdout.read()
    finally:
        waits.kill()
    server.cli("collection", "delete", "slow", "--force")


def test_an_update_is_shown_and_called_off(server):
    server.cli("collection", "create", "new", "--size", "1")
    assert NOT_FOUND in server.run("job", "show-update", "new").stderr
    server.cli("job", "update", "new", "--start", "1h", "--deadline", "2h", "--force")
    update = server.json("job", "show-update", "new")
    assert update["State"] == "Scheduled" and update["StartTime"] < update["ForceLogOffTime"]
    assert "--force" in server.run("job", "cancel-update", "new").stderr
    server.cli("job", "cancel-update", "new", "-f")
    assert server.json("job", "show-update", "new") == update | {"State": "Cancelled"}
    server.cli("collection", "delete", "new", "--force")


def cim_time(seconds: float) -> str:
    at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return at.strftime("%Y%m%d%H%M%S.%f+000")


def schedule(server, start: float, deadline: float, warning: int) -> None:
    job = checked(f'<UpdateJob xmlns="{NAMESPACE}" WarningSeconds="{warning}"/>')
    words = [f"StartTime={cim_time(start)}", f"ForceLogOffTime={cim_time(deadline)}", f"JobInputXml={job}"]
    assert invoke(server, POOL, "SchedulePatch", *words) == {"ReturnValue": 0}


def by_policy(server) -> list[dict]:
    with sqlite3.connect(f"file:{server.data_dir}/openrdms.sqlite?mode=ro", uri=True) as store:
        rows = [json.loads(row) for (row,) in store.execute("SELECT row FROM audit ORDER BY rowid")]
    return [row for row in rows if row["actor"] == "policy"]


def test_a_user_is_warned_of_an_update_and_logged_off_at_its_deadline(server, desk):
    client = desk.freerdp("alice")
    terminal = Terminal(server, client, "alice")
    terminal.paint(CYAN)
    client.screen.wait_picture("the whole terminal is painted", lambda p: share(p, CYAN[1]) > 0.5)
    old = server.session_of("alice")
    schedule(server, 1, 9, 7)
    client.screen.wait_picture("a window over the terminal", lambda p: share(p, CYAN[1]) < 0.45)
    assert server.session_of("alice")["State"] == "Active", "the warning comes first"
    client.wait_end()
    server.wait_no_session("alice")
    assert processes.of_desktops(server.data_dir, "alice") == []
    # whoever logs on after the start is left alone
    again = desk.freerdp("alice")
    again.desktop()
    new = server.wait_state("alice", "Active")
    assert new["Uid"] != old["Uid"]
    patch = wait.until("the update is complete", lambda: completed(server), 30)
    assert patch["JobGuid"].startswith("{")
    assert server.session_of("alice")["Uid"] == new["Uid"]
    logoff = next(row for row in by_policy(server) if row["action"] == "Logoff")
    assert (logoff["outcome"], logoff["subject"].split("\\")[-1]) == ("Done", "alice")
    assert any(row["action"] == "Update" for row in by_policy(server))


def completed(server) -> dict | None:
    told = invoke(server, POOL, "GetPatchProperties")
    return told if told["State"] == 2 else None


def test_an_update_that_is_called_off_logs_nobody_off(server, desk):
    client = desk.freerdp("bob")
    client.desktop()
    uid = server.wait_state("bob", "Active")["Uid"]
    schedule(server, 0, 3, 0)
    assert invoke(server, POOL, "GetPatchProperties")["State"] in (0, 1)
    assert invoke(server, POOL, "CancelPatch") == {"ReturnValue": 0}
    assert NOT_FOUND in refused(server, POOL, "CancelPatch")
    # the deadline of the next one is later than that of this one was, and concerns nobody of now
    schedule(server, -3600, 4, 0)
    wait.until("the next update is complete", lambda: completed(server), 30)
    assert server.session_of("bob")["Uid"] == uid and client.exit_code is None
