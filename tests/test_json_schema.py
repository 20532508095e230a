"""What the OpenAPI document says is so: the document is a good one, and schemathesis holds the service to it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from support.json import Json

HERE = Path(__file__).parent
CHECKED_IN = HERE.parent / "schema/openapi.json"


@pytest.fixture
def api(server):
    with Json(server.ready["wsman_http"], "admin", server.passwords["admin"]) as api:
        yield api


def test_the_document_is_a_good_one_and_is_what_is_checked_in(api):
    document = api.get("openapi.json")
    OpenAPIV31SpecValidator(document).validate()
    assert document == json.loads(CHECKED_IN.read_text())


def test_a_wrong_document_would_be_noticed(api):
    document = api.get("openapi.json")
    document["paths"]["/api/v1"]["get"]["responses"] = {}
    del document["info"]["title"]
    assert list(OpenAPIV31SpecValidator(document).iter_errors())


def schemathesis(api: Json, where: Path, *arguments: str) -> str:
    """Runs it with all its checks; every failure is one."""
    schema = where / "openapi.json"
    schema.write_text(json.dumps(api.get("openapi.json")))
    unserved = [
        entry["name"] for entry in api.get()["classes"] if api.request("GET", entry["name"]).status_code == 501
    ]
    # a stream of events has no end; and it learns names from answers, and takes its own account away
    accounts = r"/OpenRDMS_User/\{DomainName\}"
    # to make a machine is to connect to it, and this makes up addresses
    machines = "/(OpenRDMS_Host|Win32_RDSHServer)$"
    left_out = "|".join(["/events$", accounts, machines, *(f"/{name}(/|$)" for name in unserved)])
    parts = urlsplit(api.root)
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("--no-color", "--config-file", str(HERE / "support/schemathesis.toml")),
        *("run", str(schema), "--url", f"{parts.scheme}://{parts.netloc}", "--seed", "1"),
        *("--checks", "all", "--continue-on-failure", "--exclude-path-regex", left_out),
        *arguments,
    ]
    environment = {**os.environ, "NO_PROXY": "*", "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, timeout=400)
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr
    return ran.stdout


def test_schemathesis_finds_nothing_as_administrator(server, api, tmp_path):
    phases = ("--phases", "examples,coverage,fuzzing", "--max-examples", "2")
    said = schemathesis(api, tmp_path, "--auth", f"admin:{server.passwords['admin']}", *phases)
    assert "Coverage" in said and "Fuzzing" in said, said
    assert api.request("GET").status_code == 200, "the account that it used is still there"
    assert server.json("host", "list"), "and so is the service"


def test_schemathesis_gets_nothing_unproved(api, tmp_path):
    with_nobody = Json(api.root)
    assert with_nobody.request("GET").status_code == 401
    before = api.list("OpenRDMS_Collection"), api.list("OpenRDMS_Audit", limit=1)
    # without the header it makes up names and passwords, each of which costs a hash
    nobody = ("--header", "Authorization: none")
    said = schemathesis(api, tmp_path, "--phases", "coverage", "--mode", "positive", *nobody)
    assert "401/403" in said, said
    assert (api.list("OpenRDMS_Collection"), api.list("OpenRDMS_Audit", limit=1)) == before
