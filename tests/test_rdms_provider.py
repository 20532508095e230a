"""The deployment's own classes of root/cimv2/rdms, as their clients call them: over WS-Management, and by the command line."""

import uuid

import pytest
from support.classes import Class
from support.management import Management, WSManFaultError

NOT_FOUND = 0x80041002
ACCESS_DENIED = 0x80041003
INVALID_PARAMETER = 0x80041008
NOT_SUPPORTED = 0x8004100C
INVALID_OBJECT = 0x8004100F
INVALID_OPERATION = 0x80041016
ALREADY_EXISTS = 0x80041019
MISSING_PARAMETER = 0x80041036


@pytest.fixture
def admin(server):
    with Management(server.ready["wsman_https"], "admin", server.passwords["admin"]) as management:
        yield management


def refused(call) -> int:
    """The code of the fault that a call is answered with."""
    with pytest.raises(WSManFaultError) as fault:
        call()
    return fault.value.code & 0xFFFFFFFF


def test_settings_are_written_and_read_as_public_scripts_do(server, admin):
    settings = Class(admin, "Win32_RDMSDeploymentSettings")
    database = settings.call("GetStringProperty", Key="DatabaseConnectionString")
    assert database == {"ReturnValue": 0, "Value": None}, "not in high availability mode"
    key = "DeploymentRedirectorServer"
    assert settings.call("SetStringProperty", Key=key, Value="rds.example.com") == {"ReturnValue": 0}
    assert settings.call("GetStringProperty", Key=key.upper())["Value"] == "rds.example.com"
    environment = Class(admin, "Win32_RDMSEnvironment")
    assert environment.call("GetClientAccessName")["ClientAccessName"] == "rds.example.com"
    assert environment.call("SetClientAccessName", ClientAccessName="a b")["ReturnValue"] == INVALID_PARAMETER

    assert settings.call("SetInt32Property", Key="Weight", Value="-7")["ReturnValue"] == 0
    assert settings.call("GetInt32Property", Key="weight") == {"ReturnValue": 0, "Value": "-7"}
    assert settings.call("SetStringArrayDeploymentSetting", Key="List", Value=["ä", "b"])["ReturnValue"] == 0
    assert settings.call("GetStringArrayDeploymentSetting", Key="List")["Value"] == ["ä", "b"]
    assert settings.call("RemoveDeploymentSetting", Key="List")["ReturnValue"] == 0
    assert settings.call("RemoveDeploymentSetting", Key="List")["ReturnValue"] == NOT_FOUND
    assert settings.call("SetConnectionString", ConnectionString="x")["ReturnValue"] == NOT_SUPPORTED
    assert refused(lambda: settings.call("SetStringProperty", Key="x")) == MISSING_PARAMETER

    # and by the command line, which is asked to go ahead
    word = ["cim", "invoke", "root/cimv2/rdms:Win32_RDMSDeploymentSettings"]
    assert server.json(*word, "SetExportPath", "DirectoryPath=/srv/export", "--force") == {"ReturnValue": 0}
    told = server.json(*word, "GetExportPath", "--force")
    assert told == {"ReturnValue": 0, "DirectoryPath": "/srv/export"}


def test_the_node_that_answers_is_the_active_server_and_a_server_of_the_deployment(server, admin):
    environment, nodes = Class(admin, "Win32_RDMSEnvironment"), Class(admin, "Win32_RDMSJoinedNode")
    name = environment.call("GetActiveServer")["ServerName"]
    assert environment.call("SetActiveServer") == {"ReturnValue": 0}
    [node] = nodes.list()
    assert (node["FQDN"], node["IsRdcb"], node["IsRdvh"], node["IsRdg"]) == (name, "true", "true", "false")
    assert nodes.call("GetJoinedNodeCount", roleType="5") == {"ReturnValue": 0, "Count": "1"}
    joined = f"n{uuid.uuid4().hex[:8]}.example.com"
    assert nodes.call("Join", NodeFQDN=joined, NodeSID="S-1-5-21-1-2-3-1001")["ReturnValue"] == 0
    assert nodes.call("Join", NodeFQDN=joined.upper(), NodeSID=None)["ReturnValue"] == ALREADY_EXISTS
    assert nodes.get({"FQDN": joined})["SID"] == "S-1-5-21-1-2-3-1001"
    assert nodes.call("Unjoin", {"FQDN": name})["ReturnValue"] == INVALID_OPERATION
    path = f'root/cimv2/rdms:Win32_RDMSJoinedNode.FQDN="{joined}"'
    assert server.json("cim", "invoke", path, "Unjoin", "--force") == {"ReturnValue": 0}
    assert refused(lambda: nodes.get({"FQDN": joined})) == NOT_FOUND


def test_an_application_and_its_file_type_are_published(server, admin):
    applications = Class(admin, "Win32_RDMSPublishedApplication")
    types, data = Class(admin, "Win32_RDMSFileTypeAssociation"), Class(admin, "Win32_RDMSManagementData")
    pool = server.json("collection", "list")[0]["Alias"]
    keys = {"AppAlias": "Editor", "PoolName": pool}
    icon = [str(byte) for byte in range(256)]
    applications.create(**keys, AppPath="/usr/bin/editor", IconContents=icon, SecurityDescriptor="D:(A;;GX;;;WD)")
    assert refused(lambda: applications.create(**keys, AppPath="/bin/x")) == ALREADY_EXISTS
    shown = applications.get(keys)
    assert (shown["DisplayName"], shown["IconContents"], shown["Folder"]) == ("Editor", icon, None)
    applications.put(keys, shown | {"Folder": "Tools & more", "CommandLineSetting": "1"})
    assert applications.get(keys)["Folder"] == "Tools & more"
    wrong = refused(lambda: applications.put(keys, {"SecurityDescriptor": "D:(A;;GX;;;WD"}))
    assert wrong == INVALID_PARAMETER
    types.create(**keys, ExtName=".txt", IsPrimaryHandler="true")
    assert [found["ExtName"] for found in types.list()] == [".txt"]
    assert data.call("SynchronizeAllPublishingData") == {"ReturnValue": 0}
    assert data.call("SynchronizePublishingData", Context=pool.upper()) == {"ReturnValue": 0}
    assert data.call("SynchronizePublishingData", Context="nowhere")["ReturnValue"] == NOT_FOUND
    query = "SELECT AppAlias FROM Win32_RDMSPublishedApplication WHERE CommandLineSetting = 1"
    found = server.json("cim", "query", query, "-n", "root/cimv2/rdms")
    assert [one["AppAlias"] for one in found] == ["Editor"]
    # the same version: nothing had changed
    records = server.json("audit", "--limit", "20")
    versions = {r["Detail"] for r in records if "Synchronize" in r["Action"] and r["Result"] == 0}
    assert versions == {"version 1"}
    applications.delete(keys)
    assert types.list() == applications.list() == []


def test_an_entry_of_a_collection_and_the_state_of_a_server_are_compared_and_set(server, admin):
    pool = server.json("collection", "list")[0]["Alias"]
    entries = Class(admin, "Win32_RDSHCollection")

    def set_entry(comparand: str, new: str) -> tuple:
        out = entries.call(
            "KeyValueCompareAndSet", {"Alias": pool}, Key="Lock", Comparand=comparand, NewValue=new
        )
        return out["ReturnValue"], out["InitialValue"]

    assert set_entry("free", "mine") == (0, None)
    assert set_entry("free", "theirs") == (INVALID_OBJECT, "mine")
    assert set_entry("mine", "free") == (0, "mine")
    assert entries.call("KeyValueGet", {"Alias": pool}, Key="LOCK")["Value"] == "free"
    assert entries.call("KeyValueDelete", {"Alias": pool}, Key="Lock")["ReturnValue"] == 0
    assert entries.call("KeyValueGet", {"Alias": pool}, Key="Lock") == {"ReturnValue": NOT_FOUND, "Value": None}

    servers = Class(admin, "Win32_RDSHServer")
    [host] = servers.list()
    keys = {"Name": host["Name"]}
    turned = servers.call("TestAndSetState", keys, Comparand="3", NewState="10")
    assert turned == {"ReturnValue": 0, "InitState": "3"}
    assert server.json("host", "list")[0]["State"] == "Drained"
    again = servers.call("TestAndSetState", keys, Comparand="3", NewState="10")
    assert again == {"ReturnValue": INVALID_OBJECT, "InitState": "10"}
    assert servers.call("SetInt32Property", keys, Key="DrainMode", Value="0")["ReturnValue"] == 0
    assert servers.get(keys)["ServerState"] == "3"
    assert servers.call("GetPendingStartServerList", maxServers="5")["ReturnValue"] == 0


def test_what_an_older_broker_told_is_told_too(server, admin):
    [farm] = Class(admin, "Win32_SessionDirectoryCluster", "root/cimv2").list()
    [host] = Class(admin, "Win32_SessionDirectoryServer", "root/cimv2").list()
    assert (farm["NumberOfServers"], host["ClusterName"]) == ("1", farm["ClusterName"])
    assert Class(admin, "Win32_SessionDirectorySession", "root/cimv2").list() == []


def test_terminal_services_are_the_same_collections_and_hosts_once_more(server, admin):
    namespace = "root/cimv2/terminalservices"
    pool = server.json("collection", "list")[0]["Alias"]
    farms = Class(admin, "Win32_SessionBrokerFarm", namespace).list()
    assert {"PluginName": "VMResource", "FarmName": pool} in farms
    targets = Class(admin, "Win32_SessionBrokerTarget", namespace)
    first = targets.list()[0]
    assert targets.get({"PluginName": "VMResource", "Guid": first["TargetName"]}) == first

    settings, keys = Class(admin, "Win32_TSSessionSetting", namespace), {"TerminalName": pool}
    before = settings.get(keys)["IdleSessionLimit"]
    for limit in ["60000", before]:
        set_limit = settings.call("TimeLimit", keys, SessionLimitType="IdleSessionLimit", ValueLimit=limit)
        assert set_limit["ReturnValue"] == 0
        assert settings.get(keys)["IdleSessionLimit"] == limit
    vms = Class(admin, "Win32_TSVm", namespace)
    assert vms.call("Export", {"VmName": first["TargetName"]}, ExportFolderPath="/x")["ReturnValue"] == NOT_SUPPORTED

    host = Class(admin, "Win32_TSVirtualDesktopServerSettings", namespace)
    [only] = host.list()
    assert host.get({}) == only, "a single instance has no name"


def test_namespaces_are_found_from_the_root_on(admin):
    found, todo = set(), ["root"]
    while todo:
        namespace = todo.pop()
        below = Class(admin, "__NAMESPACE", namespace).list()
        todo += [f"{namespace}/{one['Name']}" for one in below]
        found.add(namespace)
    assert found >= {"root/cimv2/rdms", "root/cimv2/terminalservices", "root/openrdms"}


def test_a_user_is_told_nothing_of_the_deployment(server):
    with Management(server.ready["wsman_https"], "alice", server.passwords["alice"]) as management:
        settings = Class(management, "Win32_RDMSDeploymentSettings")
        assert refused(lambda: settings.call("GetStringProperty", Key="x")) == ACCESS_DENIED
        assert refused(lambda: settings.call("SetBaseVHDPath", DirectoryPath="/x")) == ACCESS_DENIED
        for name in ["JoinedNode", "PublishedApplication", "FileTypeAssociation"]:
            assert refused(Class(management, f"Win32_RDMS{name}").list) == ACCESS_DENIED, name


def test_the_declarations_of_all_thirteen_classes_are_told(server):
    listed = server.cli("cim", "classes", "root/cimv2/rdms").splitlines()
    names = [line.split()[0] for line in listed if line.startswith("Win32_")]
    assert len(names) == 13, listed
    for name in names:
        assert f"class {name}" in server.cli("cim", "mof", name, "-n", "root/cimv2/rdms")
    members = server.cli("cim", "class", "Win32_RDMSVirtualDesktop", "-n", "root/cimv2/rdms")
    assert "RemoveUserAssignment" in members
