"""Real MOF files: DMTF's public CIM schema and the files that another reader is tested with."""

import io
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from support.paths import ROOT, TARGET

SOURCES = TARGET / "mof"
# The wrong ones, and where: at the lines that pywbem tells in its own tests, and at the end of the text.
RIGHT = ["test_instance.mof", "test_refs.mof", "test_types.mof", "qualifiers.mof"]
WRONG = {
    "parse_error01.mof": ":16:",
    "parse_error02.mof": ":6:",
    "parse_error03.mof": ":24:",
    "parse_error04.mof": ":4:",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The MOF files out of pywbem's source package, and the schema out of the archive that is in it."""
    packages = list(SOURCES.glob("pywbem-*.tar.gz"))
    if not packages:
        missing = f"no MOF files in {SOURCES}; script/setup --test fetches them"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(f"SKIPPED real MOF files: {missing}")
    into = tmp_path_factory.mktemp("mof")
    with tarfile.open(packages[0]) as package:
        for member in package:
            name = Path(member.name).name
            if "/testmofs/" in member.name and name.endswith(".mof"):
                (into / name).write_bytes(package.extractfile(member).read())
            if name.startswith("cim_schema_") and name.endswith(".zip"):
                schema = package.extractfile(member).read()
    with zipfile.ZipFile(io.BytesIO(schema)) as archive:
        archive.extractall(into / "schema")
    return into


@pytest.fixture(scope="module")
def mof_check() -> Path:
    """The example program of the crate, which reads, prints, reads again, and fills a repository."""
    build = ["cargo", "build", "--quiet", "--locked", "-p", "openrdms-cim", "--example", "mof_check"]
    subprocess.run(build, cwd=ROOT, check=True)
    return TARGET / "debug" / "examples" / "mof_check"


def test_the_public_cim_schema_reads_and_reads_back(mof_check: Path, source: Path):
    [schema] = (source / "schema").glob("cim_schema_*.mof")
    run = subprocess.run([mof_check, schema], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-4000:]
    assert f"{schema}: 1631 classes, 70 qualifiers, 0 instances, 0 errors" in run.stdout
    classes = len(list((source / "schema").glob("*/*.mof")))
    assert classes == 1631, "each class has a file of its own"


@pytest.mark.parametrize("name", RIGHT)
def test_what_another_reader_takes_is_taken(mof_check: Path, source: Path, name: str):
    run = subprocess.run([mof_check, source / name], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("name", WRONG)
def test_what_another_reader_refuses_is_refused_at_its_line(mof_check: Path, source: Path, name: str):
    run = subprocess.run([mof_check, source / name], capture_output=True, text=True)
    assert run.returncode == 1
    assert f"{name}{WRONG[name]}" in run.stdout
