"""Runs cases against a subject."""

import contextlib
import secrets
from dataclasses import dataclass

from . import check, message, names, rules
from .case import Case, Step
from .check import Wrong
from .exchange import Exchange
from .message import Unknown
from .reply import Message, NotXml
from .subject import Subject
from .watch import Listener, Memory
from .wire import Answer, Closed, Hangs

# What a server may have taken of an endless body when it refuses: its own limit, and what is in the buffers
# of both systems.
SENT_AT_MOST = 16 * 1024 * 1024


@dataclass(frozen=True)
class Outcome:
    """What became of a case: `why` is None if it holds."""

    case: Case
    why: str | None = None
    skipped: str | None = None


class _Variables(dict):
    """`fresh.NAME` is a name that nothing has yet, the same within a case."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or str(name).startswith("fresh.")

    def __missing__(self, name: str) -> str:
        if not name.startswith("fresh."):
            raise Unknown(name)
        self[name] = f"c-{secrets.token_hex(5)}"
        return self[name]


class Run:
    """One case, being run."""

    def __init__(self, subject: Subject, case: Case):
        self.subject = subject
        self.case = case
        self.variables = _Variables(subject.variables)
        self.lists: dict[str, list[str]] = {}
        self.exchange = Exchange(subject, self.variables)
        self.listener: Listener | None = None

    def outcome(self) -> Outcome:
        if why := self.subject.missing(self.case.needs):
            return Outcome(self.case, skipped=why)
        if any("{listener}" in step.envelope for step in self.case.steps):
            self.listener = Listener()
            self.variables["listener"] = self.listener.url
        number = 0
        try:
            for number, step in enumerate(self.case.steps, 1):
                self.step(step)
            if self.listener:
                self.listener.close()
                if self.listener.asked:
                    raise Wrong("the server asked for what an external entity named")
        except Unknown as unknown:
            role = unknown.name.partition(".")[0]
            if role in self.subject.roles and role != unknown.name:
                return Outcome(self.case, skipped=f"the subject file gives no {unknown.name}")
            return Outcome(self.case, why=f"step {number}: {unknown}")
        except (Wrong, Closed, Hangs, NotXml, OSError) as error:
            return Outcome(self.case, why=f"step {number}: {type(error).__name__}: {error}")
        finally:
            self.exchange.drop()
            if self.listener:
                self.listener.close()
        return Outcome(self.case)

    def step(self, step: Step) -> None:
        if step.until:
            return self._until(step)
        rounds = self.lists[step.each] if step.each else [""] * step.times
        for value in rounds:
            self.variables["each"] = message.escape(value)
            self._once(step)

    def _until(self, step: Step) -> None:
        for _ in range(step.most):
            parsed = self._once(step)
            with contextlib.suppress(Wrong):
                check.holds(step.until, Answer(200, "", {}, b""), parsed, self.variables, self.lists)
                return
        raise Wrong(f"not within {step.most} times: {step.until}")

    def _once(self, step: Step) -> Message | None:
        self.variables["message_id"] = message.fresh_id()
        memory = Memory(self.subject.pid) if step.memory is not None and self.subject.pid else None
        try:
            answer = self.exchange.of(step)
        except (Closed, ConnectionError) as error:
            self.exchange.drop()
            if not step.may_be_closed:
                raise Closed(str(error)) from error
            answer = None
        if memory and memory.grown() > step.memory:
            raise Wrong(f"the service grew by {memory.grown():.0f} MiB, and may by {step.memory}")
        if answer is None:
            return None
        return self._judge(step, answer)

    def _judge(self, step: Step, answer: Answer) -> Message | None:
        parsed, problem = None, None
        if answer.body and "xml" in answer.headers.get("content-type", "xml"):
            about = message.resource(step, self.variables)
            parsed = Message(answer.body, {"p": about} if about else {})
        try:
            if answer.sent > SENT_AT_MOST:
                raise Wrong(f"the server took {answer.sent} bytes of an endless body before it refused")
            self._status(step, answer)
            self._general(step, answer, parsed)
            if step.fault:
                self._fault(step.fault, parsed)
            for line in step.check:
                check.holds(line, answer, parsed, self.variables, self.lists)
        except Wrong as wrong:
            problem = wrong
        if problem:
            shown = (parsed.text if parsed else answer.body.decode("latin-1"))[:3000]
            raise Wrong(f"{problem}\n  the reply was {answer.status}: {shown}")
        for name, path in step.keep.items():
            self.variables[name] = self._kept(parsed, path)
        for name, path in step.collect.items():
            values = self.lists.setdefault(name, [])
            values.extend(parsed.values(message.filled(path, self.variables)))
        return parsed

    def _kept(self, parsed: Message | None, path: str) -> str:
        path = message.filled(path, self.variables)
        if parsed is None:
            raise Wrong(f"no message to take {path} from")
        if path.startswith("xml "):
            return parsed.inside(path[4:])
        values = parsed.values(path)
        if not values:
            raise Wrong(f"the reply has no {path}, which the next step needs")
        return message.escape(values[0])

    def _status(self, step: Step, answer: Answer) -> None:
        wanted = step.status or (500 if step.fault else 200)
        if wanted == "refused":
            good = answer.status >= 400
        elif isinstance(wanted, list):
            good = answer.status in wanted
        else:
            good = answer.status == wanted
        if not good:
            raise Wrong(f"status {answer.status}, not {wanted}")

    def _general(self, step: Step, answer: Answer, parsed: Message | None) -> None:
        if parsed is not None:
            rules.no_accident(parsed, step.fault)
        if step.lenient:
            return
        if step.http.method != "HEAD":
            rules.of_http(answer)
        if parsed is None:
            if step.fault:
                raise Wrong("the reply has no fault in it")
            return
        utf16 = step.http.charset.startswith("utf-16")
        rules.of_message(answer, parsed, self.variables["message_id"], utf16)
        action = message.action(step, self.variables)
        identify = parsed.count("s:Body/id:IdentifyResponse") > 0
        if answer.status == 200 and action and not step.envelope and not identify:
            told = parsed.values("s:Header/a:Action")
            if told != [f"{action}Response"]:
                raise Wrong(f"the reply's Action is {told}, not {action}Response")

    @staticmethod
    def _fault(wanted: str, parsed: Message | None) -> None:
        if parsed is None or not parsed.count("s:Body/s:Fault"):
            raise Wrong(f"no fault, but {wanted} was expected")
        code = "s:Body/s:Fault/s:Code"
        details = [text.removeprefix(names.FAULT_DETAIL) for text in parsed.values("//w:FaultDetail")]
        found = [parsed.qname(f"{code}/s:Value"), parsed.qname(f"{code}/s:Subcode/s:Value"), *details]
        for part, is_so in zip(wanted.split(), [*found, None, None], strict=False):
            if is_so not in part.split("|"):
                raise Wrong(f"the fault is {found}, not {wanted}")


def discover(subject: Subject) -> None:
    """Asks the subject for an instance of each role's class, so that cases have keys to ask for."""
    for role, about in subject.roles.items():
        if f"one {role}" in subject.abilities or about.get("made_by_cases"):
            continue
        step = Step(
            action="Enumerate",
            on=role,
            body="<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>100</w:MaxElements></n:Enumerate>",
            status=200,
        )
        run = Run(subject, Case("discovery", role, "-", [step]))
        try:
            found = run._once(step).find("s:Body/n:EnumerateResponse/w:Items/*")
        except (Wrong, Closed, Hangs, NotXml, OSError) as error:
            subject.lacks[f"one {role}"] = f"{about['class']} cannot be listed: {str(error)[:200]}"
            continue
        finally:
            run.exchange.drop()
        instances = [{e.tag.rpartition("}")[2]: e.text or "" for e in each} for each in found]
        wanted = about.get("where", {})
        fitting = [i for i in instances if all(i.get(n) == v for n, v in wanted.items())]
        if fitting:
            subject.found(role, fitting[0])
        else:
            subject.lacks[f"one {role}"] = f"{about['class']} has no instance (that fits {wanted})"


def run(subject: Subject, case: Case) -> Outcome:
    return Run(subject, case).outcome()
