"""The company around one person: its systems, tools, support, workers, and a backup."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from redis import Redis

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.links.tokens import Link
from preference_center.core.staff import Role
from preference_center.destinations.connect import ConnectorFactory
from preference_center.destinations.erase import erase_due
from preference_center.destinations.process import ingest_webhooks
from preference_center.destinations.push import sync
from preference_center.destinations.rules.states import DestinationStatus
from preference_center.destinations.store import destinations
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.integrations.base.contract import (
    Capabilities,
    EraseMode,
    PushItem,
    PushOutcome,
    PushResult,
)
from preference_center.ledger.spool.replayer import SpoolReplayer
from preference_center.rights.requests.clocks import run_clocks
from preference_center.rights.requests.steps import find_request_by_reference
from preference_center.web.emails import send_due_emails
from tests.clock import Clock
from tests.destinations.erasing_tool import ErasingTool, erasing
from tests.infra.smtp.sending import at
from tests.infra.smtp.stub import SmtpStub
from tests.ledger.spool.conftest import Database
from tests.life.person import EXTERNAL_ID, FIRST, FIRST_ADDRESS, FORMS, LOCALE, NUMBER, SECOND
from tests.web.api.sender import Sender, consent, evidence, make_sender, opt_out
from tests.web.console.staff import staff
from workers import jobs
from workers.scheduler import purge_expired, tick

if TYPE_CHECKING:
    from flask import Flask

TOPICS = ("acme.news", "acme.offers")
SECRET = "long-and-random-secret"
_LINK = re.compile(r"/(m|c|rights/(open|address|moved))/")


class KeepingTool(ErasingTool):
    """Its opt-outs outlive a deletion."""

    capabilities: ClassVar[Capabilities] = erasing(EraseMode.KEEPS_OPT_OUT, confirms_erasure=True)


@dataclass
class Company:
    """What happens at the company, on real PostgreSQL and Redis, with stand-in tools."""

    app: Flask
    clock: Clock
    admin_url: str
    """Its database, as its operator reaches it."""
    smtp: SmtpStub
    smtp_port: int
    folder: Path
    """Where operators write files."""
    spool: SpoolReplayer
    tools: dict[str, ErasingTool] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    sender: Sender = field(init=False)

    def __post_init__(self) -> None:
        self.sender = make_sender(self.app)
        for name, tool, kind, settings in (
            ("letters", KeepingTool(), "mailchimp", {"webhook_secret": SECRET}),
            ("crm", ErasingTool(), "tool", {}),
        ):
            self.tools[name] = tool
            tool.before = _answer_with_id(tool)
            self.numbers[name] = self._connect(name, kind, settings)

    def _connect(self, name: str, kind: str, settings: Mapping[str, str]) -> int:
        def work(connection: Connection) -> int:
            number = destinations.insert_destination(
                connection,
                services().keys,
                name=name,
                kind=kind,
                settings=settings,
                channels=frozenset({Channel.EMAIL}),
                mapping={},
                sends=frozenset(TOPICS),
                sends_service=False,
                now=services().now(),
            )
            destinations.set_status(connection, number, DestinationStatus.ACTIVE)
            return number

        with self.app.app_context():
            return run_in_transaction(work)

    # --- systems

    def sign_up(self) -> None:
        """The shop knows her, and has her consent."""
        addresses = [{"address": FIRST}, {"address": NUMBER, "channel": "sms"}]
        body = {"external_id": EXTERNAL_ID, "locale": LOCALE, "addresses": addresses}
        assert self.sender.post("/v1/contacts", body).status_code == 200
        said = evidence(wording="Yes, zqwording", occurred_at=self.clock().isoformat())
        given = consent(address=FIRST, topic="acme.news", evidence=said, own_act=True)
        headers = {"Idempotency-Key": "sign-up"}
        answer = self.sender.client.post(
            "/v1/consents", json=given, headers=self.sender.headers | headers
        )
        assert answer.status_code == 200, answer.text
        for tool in self.tools.values():
            tool.add(FIRST.lower())

    def opt_out_by_phone(self) -> None:
        """Support writes one down."""
        body = opt_out(address=FIRST, scope="acme.offers", received_at=self.clock().isoformat())
        assert self.sender.post("/v1/opt-outs", body).status_code == 200
        words = ("--via", "phone", "--scope", "acme.sms", "--channel", "sms")
        self.cli("opt-out", *words, typed=NUMBER)

    def import_list(self, *addresses: str) -> None:
        """An old list of opt-outs, uploaded and applied."""
        plan = {"preset": "addresses", "only": "opt-outs", "scopes": {"list": "acme.offers"}}
        import_id = self.sender.post("/v1/imports", plan).get_json()["id"]
        path = f"/v1/imports/{import_id}"
        headers = self.sender.headers | {"Content-Type": "text/csv"}
        content = "\n".join(["nobody", *addresses]).encode()
        assert self.sender.client.put(f"{path}/file", data=content, headers=headers).is_json
        self._job(import_id)
        planned = self.sender.client.get(path, headers=self.sender.headers).get_json()
        self.sender.post(f"{path}/apply", {"plan": planned["plan"]})
        self._job(import_id)
        applied = self.sender.client.get(path, headers=self.sender.headers).get_json()
        assert applied["state"] == "applied"

    def _job(self, import_id: str) -> None:
        with self.app.app_context():
            jobs.continue_import(import_id)

    def mail_arrives(self, text: str, sender: str) -> None:
        """A reply that a person has to read."""
        from preference_center.inbound.ingest import ingest_mail

        mail = (
            f"From: Zqfullname Life <{sender}>\r\nTo: stop@acme.example\r\n"
            f"Subject: Hello\r\n\r\n{text}\r\n"
        ).encode()
        with self.app.app_context():
            ingest_mail(mail, ["stop@acme.example"], services().now(), size=len(mail))

    def webhook_arrives(self, address: str) -> None:
        """A tool reports that she unsubscribed there."""
        form = {
            "type": "unsubscribe",
            "fired_at": f"{self.clock():%Y-%m-%d %H:%M:%S}",
            "data[email]": address,
            "data[id]": "zqidattool",
            "data[reason]": "manual",
        }
        answer = self.sender.client.post(f"/in/letters/{SECRET}", data=form)
        assert answer.status_code == 204

    def allowed(self) -> set[tuple[str, str]]:
        """What may be sent to her: marketing to any form of a mailbox, other mail to her own."""
        asked = [(name, form) for name in ("newsletter.monthly", "offers.weekly") for form in FORMS]
        asked += [("invoice", own) for own in (FIRST, SECOND)]
        return {(name, who) for name, who in asked if self.sender.ask(name, who)["allow"]}

    def database_is_away(self) -> AbstractContextManager[None]:
        """Inside, nothing can be written to it."""
        return Database(self.admin_url).read_only()

    def replay_spool(self) -> None:
        """What was spooled is recorded, once the database is there."""
        with self.app.app_context():
            assert self.spool.run_once().recorded == 1

    # --- support and operators

    def cli(self, *words: str, typed: str = "") -> str:
        """The output of a command that succeeds."""
        result = self.app.test_cli_runner().invoke(args=list(words), input=f"{typed}\n")
        assert result.exit_code == 0, result.output
        shown = str(result.output).replace(typed, "", 1)  # what a terminal echoes
        assert FIRST_ADDRESS.exact not in shown.lower()  # I12
        return shown

    def support_looks(self) -> None:
        """Staff look her up, and place a legal hold that ends."""
        self._press("/people", Role.SUPPORT, who=FIRST, reason="called")
        hold = {"channel": "email", "address": FIRST, "reference": "case-1", "ground": "claims"}
        self._press("/requests/holds/place", Role.COMPLIANCE, **hold)
        ended = {"reference": "case-1", "confirmed": "yes"}
        self._press("/requests/holds/end", Role.COMPLIANCE, name="ada", **ended)

    def _press(self, path: str, role: Role, name: str = "grace", **form: str) -> None:
        """What somebody on staff sends at the console, which takes it."""
        answer = staff(self.app, role, name=name).post(f"/console{path}", **form)
        assert answer.status_code == 303, answer.text
        assert FIRST_ADDRESS.exact not in answer.location.lower()  # I12

    def support_completes(self, reference: str) -> None:
        """Two facts were right, and nothing is owed."""
        with self.app.app_context():
            path = f"/v1/rights/{find_request_by_reference(reference).id}"
        facts = ["last_order", "subscriptions"]
        known = {"result": "confirmed", "proof": "recent_dealings", "facts": facts}
        assert self.sender.post(f"{path}/identify", known).status_code == 200
        done = self.sender.post(f"{path}/complete", {})
        assert done.get_json()["state"] == "done", done.text

    def export(self) -> None:
        """Everything that operators can write to files, again."""
        self.folder.mkdir(exist_ok=True)
        for path in self.folder.iterdir():
            path.unlink()
        folder = self.folder
        self.cli("export", "--for", "csv", "--subscriptions", "-o", str(folder / "all.csv"))
        self.cli("snapshot", "make", str(folder / "snapshot"))
        changes = self.sender.client.get("/v1/changes?limit=1000", headers=self.sender.headers)
        assert changes.status_code == 200, changes.text
        (folder / "feed.json").write_bytes(changes.data)

    # --- mail and links

    def link_in_mail(self) -> str:
        """Send what is due; the path of the newest link. Mails of one moment go in any order."""
        self.send_mail()
        for mail in reversed(self.smtp.received):
            body = mail.message.get_body(("plain",))
            assert body
            for found in re.findall(r"https://\S+", str(body.get_content())):
                path = str(urlsplit(found).path)
                if re.match(r"/(m|c|rights/(open|address|moved))/", path):
                    return path
        raise AssertionError("no mail has a link")

    def send_mail(self) -> None:
        """Send what is due."""
        with self.app.app_context():
            until = services().now() + timedelta(seconds=5)
            send_due_emails(at(self.smtp_port), until=until, stop=lambda: False)

    def message_link(self, scope: str = "acme.news", address: str = FIRST) -> str:
        """The token of the link in a newsletter."""
        with self.app.app_context():
            link = Link(parse_address(address, Channel.EMAIL), scope, "m-1", services().now())
            return str(services().links.create_token(link))

    # --- workers

    def work(self) -> None:
        """All that is due is done: access files, webhooks, pushes, erasures, mail, upkeep."""
        with self.app.app_context():
            self.spool.run_once()
            tick()
            self._build_files()
            for name, number in self.numbers.items():
                self._work_on(number, self.tools[name].connect)
            self.send_mail()
            run_clocks(services().now())
            purge_expired(services().now())

    def _work_on(self, number: int, connect: ConnectorFactory) -> None:
        until = services().now() + timedelta(seconds=5)
        ingest_webhooks(number, connect, until=until, stop=_never)
        sync(number, connect, until=until, stop=_never)
        erase_due(number, connect, until=until, stop=_never)

    def _build_files(self) -> None:
        from preference_center.rights.requests import files

        for request_id in run_in_transaction(lambda c: files.list_waiting(c, 20)):
            jobs.build_access_file(str(request_id))

    def hours_pass(self) -> None:
        """So many that mails to the same address are allowed again: limits go by real time."""
        self.clock.advance(timedelta(hours=2))
        with Redis.from_url(self.app.extensions[EXTENSION_NAME].settings.redis_url) as client:
            for key in client.scan_iter("*email-to*"):
                client.delete(key)


def _never() -> bool:
    return False


def _answer_with_id(tool: ErasingTool) -> Callable[[Sequence[PushItem]], Mapping[int, PushOutcome]]:
    def push(batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        tool.apply(batch)
        known = {item.ref: item.address in tool.contacts for item in batch}
        done = PushOutcome(PushResult.REFLECTED, "zqidattool")
        return {ref: done if known[ref] else PushOutcome(PushResult.ABSENT) for ref in known}

    return push
