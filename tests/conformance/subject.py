"""Whom the cases ask: an endpoint, an account, and classes that stand for what cases are about.

A subject file says of each role which class it is. Roles are words of the cases:

    many     a class with many instances that can be read: forty or more, so that pages can be turned
    target   a class with a method that is called on an instance
    record   a class whose instances can be made, changed and deleted
    victim   an instance of the target's class that a case may end
    static   a class with a static method that takes an array
    nulls    a class with an instance that has a null array
"""

import base64
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

from .names import CIM_SCHEMA, WMI

SUBJECTS = Path(__file__).parent / "subjects"
OURS = SUBJECTS / "openrdms.toml"


@dataclass
class Account:
    name: str
    password: str

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.name}:{self.password}".encode()).decode()


@dataclass
class Subject:
    """An endpoint."""

    url: str
    account: Account
    other: Account | None = None
    # Of the service, if it runs on this machine and we may look: how much memory it takes.
    pid: int | None = None
    https: str | None = None
    roles: dict[str, dict] = field(default_factory=dict)
    # What it can do, as words that cases need.
    abilities: set[str] = field(default_factory=set)
    # Why it cannot do other things.
    lacks: dict[str, str] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path, url: str, account: Account, **more) -> "Subject":
        with file.open("rb") as stream:
            table = tomllib.load(stream)
        unknown = set(table) - {"name", "abilities", "lacks", "limits", "role"}
        if unknown:
            raise ValueError(f"{file.name}: unknown words {sorted(unknown)}")
        subject = cls(
            url,
            account,
            roles=table.get("role", {}),
            abilities=set(table.get("abilities", [])),
            lacks=table.get("lacks", {}),
            limits=table.get("limits", {}),
            **more,
        )
        subject._begin()
        return subject

    @classmethod
    def of_environment(cls, environment=os.environ) -> "Subject":
        """`OPENRDMS_WSMAN_URL` and its kin; docs/conformance.md lists them."""

        def need(name: str) -> str:
            value = environment.get(f"OPENRDMS_WSMAN_{name}", "")
            if not value:
                raise SystemExit(f"OPENRDMS_WSMAN_{name} is not set; docs/conformance.md tells what it is")
            return value

        may = lambda name: environment.get(f"OPENRDMS_WSMAN_{name}") or None  # noqa: E731
        other = Account(may("OTHER_USER"), may("OTHER_PASSWORD") or "") if may("OTHER_USER") else None
        return cls.read(
            Path(may("SUBJECT") or OURS),
            need("URL"),
            Account(need("USER"), need("PASSWORD")),
            other=other,
            pid=int(may("PID")) if may("PID") else None,
            https=may("HTTPS_URL"),
        )

    def _begin(self) -> None:
        """Variables that need no asking."""
        self.variables["url"] = self.url
        self.variables["user"] = escape(self.account.name)
        for name, value in self.limits.items():
            self.variables[f"limits.{name}"] = str(value)
            self.abilities.add(f"limit {name}")
        for role, about in self.roles.items():
            name, space, keys = about["class"], about["namespace"], about["keys"]
            base = {
                "class": name,
                "lower_class": name.lower(),
                "namespace": space,
                "upper_namespace": space.upper(),
                "backslash_namespace": space.replace("/", "\\"),
                "key": keys[-1],
                "upper_key": keys[-1].upper(),
                "first": keys[0],
                "lower_first": keys[0].lower(),
            }
            for word in ("method", "text_one"):
                if word in about.get("values", {}):
                    base[f"lower_{word}"] = about["values"][word].lower()
            for name, value in {**base, **about.get("values", {})}.items():
                self.variables[f"{role}.{name}"] = str(value)
            self.variables[f"resource_of_{role}_cim"] = f"{CIM_SCHEMA}/{about['class']}"
            self.variables[role] = f"{WMI}/{about['namespace']}/{about['class']}"
            self.abilities.add(f"class {role}")
        if self.other:
            self.abilities.add("other account")
            self.variables["other"] = escape(self.other.name)
        if self.pid:
            self.abilities.add("memory")
        if self.https or self.url.startswith("https:"):
            self.abilities.add("https")

    def found(self, role: str, instance: dict[str, str]) -> None:
        """An instance of a role's class is there to be asked for."""
        about = self.roles[role]
        keys = [(name, instance[name]) for name in about["keys"]]
        selector = lambda n, v: f'<w:Selector Name="{n}">{escape(v)}</w:Selector>'  # noqa: E731
        self.variables[f"{role}.keys"] = "".join(selector(*key) for key in keys)
        self.variables[f"{role}.backward"] = "".join(selector(*key) for key in reversed(keys))
        self.variables[f"{role}.value"] = escape(keys[-1][1])
        self.variables[f"{role}.first_value"] = escape(keys[0][1])
        for name, value in instance.items():
            self.variables[f"{role}.{name}"] = escape(value)
        if text := about.get("values", {}).get("text"):
            self.variables[f"{role}.sample_text"] = escape(instance.get(text, ""))
        self.abilities.add(f"one {role}")
        if len(keys) > 1:
            self.abilities.add(f"keys {role}")

    def missing(self, needs: list[str]) -> str | None:
        """Why something cannot be asked of it."""
        for need in needs:
            if need not in self.abilities:
                return self.lacks.get(need, f"the subject has no: {need}")
        return None
