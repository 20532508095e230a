"""`openrdms export` and `import`: a deployment as one file, and the commands that make what is in it."""

import base64

import pytest
from support import process
from support.server import CommandFailed, Server, make_data_dir, remove

USAGE = 2


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A deployment with something in every part of the file."""
    yield from served(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another, with the same accounts and nothing else."""
    yield from served(tmp_path_factory.mktemp("other"))


def served(logs):
    data_dir = make_data_dir()
    process.LOGS.clear()
    try:
        with Server(data_dir, logs, {"OPENRDMS_NODE_HOST_NAME": "desk"}) as server:
            server.add_user("admin", "admin")
            server.add_user("alice")
            yield server
    finally:
        remove(data_dir)


@pytest.fixture(scope="module")
def file(server, tmp_path_factory):
    server.cli("collection", "create", "own", "--kind", "personal", "--size", "2", "--idle-limit", "30m")
    server.cli("collection", "create", "pool", "--user", "alice", "--name", 'The "pool"', "--rollback")
    server.cli("desktop", "assign", "own-002", "alice")
    # whatever speaks RDP over TLS is a machine
    server.cli("host", "add", "pc7", "--address", server.rdp, "--collection", "pool", "--weight", "7")
    server.cli("app", "publish", "pool", "editor", "--path", "/usr/bin/editor", "--arguments", "-n 'ä'")
    path = 'root/cimv2/rdms:Win32_RDMSPublishedApplication.AppAlias="editor",PoolName="pool"'
    server.cli("cim", "set", path, "IconContents=0", "IconContents=255", "Folder=@@home", "--force")
    words = ["PoolName=pool", "AppAlias=editor", "ExtName=.txt", "IsPublished=true", "-n", "root/cimv2/rdms", "-f"]
    server.cli("cim", "create", "Win32_RDMSFileTypeAssociation", *words)
    server.cli("setting", "set", "Text", "two\nlines", "--collection", "pool")
    server.cli("setting", "set", "Weight", "-7", "--type", "number", "--host", "desk")
    server.cli("setting", "set", "Floors", "ground", "first", "--type", "list")
    joined = "root/cimv2/rdms:Win32_RDMSJoinedNode"
    server.cli("cim", "invoke", joined, "Join", "NodeFQDN=gate.example.org", "NodeSID=S-1-5-21-1-2-3-1001", "--force")
    server.cli("cim", "set", f'{joined}.FQDN="gate.example.org"', "OSVersion=13", "--force")
    path = tmp_path_factory.mktemp("file") / "deployment.toml"
    path.write_text(server.cli("export"))
    return path


def steps(server: Server, file, *words: str) -> list[str]:
    return [step["Step"] for step in server.json("import", str(file), *words)]


def test_another_deployment_becomes_what_the_file_says_and_stays_so(server, other, file):
    assert "password" not in file.read_text().replace("there are no passwords", "")
    before = other.cli("export")
    planned = steps(other, file, "--dry-run")
    assert "make collection pool" in planned and "make assignment own own-002 OPENRDMS alice" in planned
    # behind what is served and before the rest, which may fail
    assert planned[planned.index("serve what is offered") - 1].startswith("make file_type pool editor")
    assert planned[-1].startswith("set setting") and "make server gate.example.org" in planned
    assert other.cli("export") == before, "a dry run does nothing"
    assert steps(other, file, "--force") == planned
    assert other.cli("export") == file.read_text()
    assert steps(other, file) == [], "it is all there; nobody is asked"
    [app] = other.json("app", "list", "--collection", "pool")
    assert (app["IconContents"], app["Folder"], app["CommandLineSetting"]) == ([0, 255], "@home", 2)
    assert [row["UserName"] for row in other.json("assignment", "list", "--user", "ALICE")] == ["alice"]
    assert other.json("setting", "get", "weight", "--host", "desk")["Value"] == -7


def test_what_differs_is_changed_and_what_is_not_said_stays(server, file, tmp_path):
    part = tmp_path / "part.toml"
    part.write_text('format = 1\n[[collection]]\nAlias = "OWN"\nIdleLimitSeconds = 60\nShowInPortal = true\n')
    before = server.json("collection", "show", "own")
    assert steps(server, part, "--force")[0] == "change collection OWN: IdleLimitSeconds"
    after = server.json("collection", "show", "own")
    assert after == before | {"IdleLimitSeconds": 60}
    server.cli("import", str(file), "--force")
    assert server.cli("export") == file.read_text()


def test_who_may_use_a_collection_is_changed_by_a_file(server, file):
    server.add_user("carol")
    text = "format = 1\n[[collection]]\nAlias = 'pool'\nUsers = ['OPENRDMS\\carol']\n"
    server.cli("import", "-", "--force", text=text)
    assert server.json("collection", "show", "pool")["Users"] == ["OPENRDMS\\carol"]
    for users, said in (("['nobody']", "no account"), ("[]", "cannot be made empty")):
        with pytest.raises(CommandFailed, match=said):
            server.cli("import", "-", "--force", text=f"format = 1\n[[collection]]\nAlias = 'pool'\nUsers = {users}\n")
    server.cli("import", str(file), "--force")
    server.cli("user", "delete", "carol", "--force")
    assert server.cli("export") == file.read_text()


def test_only_what_an_import_has_changed_is_published(server, file, tmp_path):
    app = ["PoolName=pool", "AppAlias=late", "AppPath=/usr/bin/late", "-n", "root/cimv2/rdms", "--force"]
    server.cli("cim", "create", "Win32_RDMSPublishedApplication", *app)
    whole = tmp_path / "whole.toml"
    whole.write_text(server.cli("export"))
    assert steps(server, whole) == [], "what is there already waits for whoever offered it"
    server.cli("app", "withdraw", "pool", "late", "--force")
    assert steps(server, whole, "--force") == ["make application pool late", "serve what is offered"]
    server.cli("app", "withdraw", "pool", "late", "--force")


def test_users_are_the_same_with_and_without_their_domain(server, file):
    text = "format = 1\n[[collection]]\nAlias = 'pool'\nUsers = ['alice', 'OPENRDMS\\admin']\n"
    server.cli("import", "-", "--force", text=text)
    assert set(server.json("collection", "show", "pool")["Users"]) == {"OPENRDMS\\alice", "OPENRDMS\\admin"}
    assert "nothing to do" in server.cli("import", "-", text=text.replace("alice", "Alice"))
    server.cli("import", str(file), "--force")
    assert server.cli("export") == file.read_text()


def test_settings_of_the_machine_that_a_file_comes_from_are_left_out(server, file):
    text = file.read_text().replace('"host desk"', '"host away"')
    assert text != file.read_text()
    said = server.run("import", "-", "--force", text=text)
    assert said.returncode == 0 and "the host away is not there; its settings are left out" in said.stderr
    assert "nothing to do" in said.stdout
    here = text.replace('"host away"', '"host pc7"')
    assert "set setting host pc7 Weight" in server.cli("import", "-", "--dry-run", text=here)
    moved = here.replace("pc7", "pc8")
    planned = server.cli("import", "-", "--dry-run", text=moved)
    assert "make machine pc8" in planned and "set setting host pc8 Weight" in planned


def test_a_machine_takes_its_desktop_along(server, file):
    """What is said of a desktop is held against where its machine will be."""
    text = "format = 1\n[[machine]]\nName = 'pc7'\nCollectionAlias = 'own'\n[[assignment]]\nCollectionAlias = 'own'\n"
    text += "DesktopName = 'pc7'\nUserDomain = 'OPENRDMS'\nUserName = 'admin'\n"
    assert "make assignment own pc7 OPENRDMS admin" in server.cli("import", "-", "--dry-run", text=text)


def named(section: str, *lines: str) -> str:
    return "\n".join(["format = 1", f"[[{section}]]", *lines])


APP = ("PoolName = 'pool'", "AppAlias = 'e'", "AppPath = '/e'")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (named("collection", "Alias = 'b a d'"), "collection b a d: 'b a d' is not a valid collection alias"),
        (named("collection", "Alias = 'n'", "Kind = 'Foo'"), "collection n: Kind is Pooled or Personal or AutoPersonal"),
        (named("collection", "Alias = 'n'", "LimitAction = 'Foo'"), "LimitAction is Disconnect or Logoff, not 'Foo'"),
        (named("collection", "Alias = 'n'", "SecurityDescriptor = 'Foo'"), "collection n: SecurityDescriptor: "),
        (named("desktop", "Name = 'a b'", "CollectionAlias = 'pool'"), "desktop a b: 'a b' is not a valid desktop name"),
        (named("machine", "Name = 'm'", "Address = 'a:b:c'"), "machine m: 'a:b:c' is not a valid address"),
        (named("machine", "Name = 'm'", "CertificateSha256 = 'ab'"), "CertificateSha256 is 64 hexadecimal digits"),
        (named("machine", "Name = 'm'", "Logon = 'Foo'"), "Logon is Ask or Forward"),
        (named("machine", "Name = 'm'", "RelativeWeight = 0"), "RelativeWeight is 1 to 10000"),
        (named("machine", "Name = 'desk'", "Logon = 'Ask'"), "machine desk: it is the host of a node"),
        (named("account", "DomainName = 'OPENRDMS'", "UserName = 'alice'", "Role = 'Foo'"), "Role is user or admin"),
        (named("application", *APP[:2]), "application pool e: AppPath is missing"),
        (named("application", *APP, "SecurityDescriptor = 'Foo'"), "SecurityDescriptor: "),
        (named("application", *APP, "CommandLineSetting = 3"), "CommandLineSetting is 0 to 2"),
        (named("file_type", *APP[:2], "ExtName = '.e'"), "file_type pool e .e: the collection offers no application e"),
        (named("file_type", APP[0], "AppAlias = 'editor'", "ExtName = 'e'"), "ExtName is a dot and what follows it"),
        (named("server", "FQDN = 's'", "SID = 'Foo'"), "server s: SID: "),
        (named("setting", "Owner = 'collection gone'", "Name = 'x'", "Number = 1"), "there is no collection gone"),
        (named("setting", "Owner = 'collection pool'", "Name = 'IdleSessionLimit'", "Text = 'x'"), "milliseconds"),
        (named("setting", "Owner = 'host desk'", "Name = 'RelativeWeight'", "Number = 5"), "only a machine has it"),
        (named("setting", "Owner = 'host desk'", "Name = 'DrainMode'", "Number = 1"), "DrainMode is 0"),
        (
            named("assignment", "CollectionAlias = 'pool'", "DesktopName = 'pool-001'", "UserDomain = 'OPENRDMS'")
            + "\nUserName = 'alice'",
            "the collection is pooled",
        ),
        (
            named("assignment", "CollectionAlias = 'own'", "DesktopName = 'own-001'", "UserDomain = 'OPENRDMS'")
            + "\nUserName = 'alice'",
            "openrdms\\alice has the desktop own-002 of the collection",
        ),
        ("format = 1\n[collection]\nAlias = 'x'", "'collection' is a list"),
        ("format = 1\ncollection = ['x']", "collection 1 is not a table"),
        (named("collection", "Alias = 5"), "collection 1: Alias is not a text"),
        ("format = 2", "format = 1"),
        ("format = 1\n[[colection]]\nAlias = 'x'", "no section 'colection'"),
        ("format = 1\n[[collection]]\nAlias = 'new'\nIdle = 5", "no 'Idle'"),
        ("format = 1\n[[collection]]\nAlias = 'new'\nRollback = 'yes'", "Rollback is not a true or false"),
        ("format = 1\n[[collection]]\nDisplayName = 'x'", "Alias is missing"),
        ("format = 1\n[[collection]]\nAlias = 'new'\n[[collection]]\nAlias = 'NEW'", "twice"),
        ("format = 1\n[[collection]]\nAlias = 'new'\nUsers = ['OPENRDMS\\nobody']", "no account"),
        ("format = 1\n[[collection]]\nAlias = 'new'\n[[collection]]\nAlias = 'pool'\nKind = 'Personal'", "Kind cannot"),
        ("format = 1\n[[collection]]\nAlias = 'new'\n[[desktop]]\nName = 'd'\nCollectionAlias = 'old'", "no collection"),
        ("format = 1\n[[setting]]\nOwner = 'host desk'\nName = 'x'\nList = ['a']", "only the deployment"),
        ("format = 1\n[[application]]\nPoolName = 'pool'\nAppAlias = 'e'\nIconContents = '!'", "base64"),
        ("format = 1\n[[collection]]\nAlias = 'new'\nUsers = []", "cannot be made empty"),
        ("format = 1\n[[setting]]\nOwner = 'deployment'\nName = 'x'\nList = []", "cannot be made empty"),
        ("format = \n", "nothing was changed"),
        ("x" * (33 << 20), "longer than"),
    ],
)
def test_a_mistake_in_the_file_is_told_and_changes_nothing(server, file, text, said):
    before = server.cli("export")
    with pytest.raises(CommandFailed) as failed:
        server.cli("import", "-", "--force", text=text)
    assert failed.value.result.returncode == USAGE
    assert failed.value.result.stderr.count(said) == 1, failed.value.result.stderr
    assert server.cli("export") == before


def test_a_desktop_of_somebody_else_is_not_taken_away(server, file, tmp_path):
    server.add_user("bob")
    taken = 'CollectionAlias = "own"\nDesktopName = "own-002"\nUserDomain = "OPENRDMS"\nUserName = "bob"\n'
    with pytest.raises(CommandFailed, match=r"the desktop is openrdms\\alice's"):
        server.cli("import", "-", "--force", text=f"format = 1\n[[assignment]]\n{taken}")
    server.cli("user", "delete", "bob", "--force")


def test_settings_are_listed_read_written_and_removed(server, file):
    listed = {(row["Owner"], row["Name"]): row for row in server.json("setting", "list")}
    assert listed["host desk", "Weight"]["Number"] == -7
    assert listed["deployment", "Floors"]["List"] == ["ground", "first"]
    assert [row["Name"] for row in server.json("setting", "list", "--collection", "pool")] == ["Text"]
    limit = ["IdleSessionLimit", "--collection", "own"]
    assert server.json("setting", "get", *limit)["Value"] == 1_800_000
    server.cli("setting", "set", "Gone", "x")
    server.cli("setting", "unset", "gone")
    for words in (["get", "Gone"], ["unset", "Gone"]):
        with pytest.raises(CommandFailed, match="WBEM_E_NOT_FOUND"):
            server.cli("setting", *words)
    with pytest.raises(CommandFailed, match="only the deployment"):
        server.cli("setting", "set", "x", "a", "b", "--type", "list", "--host", "desk")


def test_an_icon_is_text_in_the_file(file):
    assert base64.b64encode(bytes([0, 255])).decode() in file.read_text()
