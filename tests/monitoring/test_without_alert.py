"""What no alert is about can be seen where docs/monitoring.md says, with its cause.

Each incident is caused in a service in which nothing else is wrong, and looked at while it lasts.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.links.tokens import Link
from preference_center.inbound.bursts import SCAN_INTERVAL, flag_bursts
from preference_center.inbound.store import ReviewItem, insert_item
from preference_center.infra.config import Settings
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import run_in_transaction
from tests.catalogue.catalogues import SMALL, edited
from tests.contacts.console.people import say
from tests.core.histories import NEWS
from tests.in_force import put_in_force
from tests.inbound.rules.reports import reply
from tests.ledger.spool.test_failures import one_migration_behind
from tests.monitoring.scene import DOCS, ROOT, Scene
from tests.web.api.sender import evidence, make_sender

ROW = re.compile(r"^\| ([^`|]+) \| [^|]+ \| [^|]+ \| `([^`|]+)` \|$", re.MULTILINE)
TABLE = dict(ROW.findall(DOCS[DOCS.index("### Without an alert") :]))
COUNTER = "preference_center_link_key_problems_total"


def make_token(scene: Scene, name: str) -> str:
    """That of the link in this person's message."""
    address = parse_address(f"{name}@acme.example.com", Channel.EMAIL)
    issued_at = scene.clock.advance(timedelta(seconds=1)) - timedelta(minutes=1)
    return services().links.create_token(Link(address, "acme.offers", "spring", issued_at))


def click(scene: Scene, token: str) -> None:
    sent = {"List-Unsubscribe": "One-Click"}
    assert scene.app.test_client().post(f"/u/{token}", data=sent).status_code == 200


def scanner(scene: Scene) -> str:
    put_in_force(scene.app)
    flag_bursts(scene.clock())
    for name in "abcdef":
        click(scene, make_token(scene, name))
    flag_bursts(scene.clock.advance(SCAN_INTERVAL))
    return '"bursts":1'


def leaked_api_key(scene: Scene) -> str:
    put_in_force(scene.app)
    make_sender(scene.app, "shop").consent("bob@example.com", NEWS, evidence=evidence())
    return f"1  consented  {NEWS}"


def leaked_link_key(scene: Scene) -> str:
    put_in_force(scene.app)
    counted = f'{COUNTER}{{problem="opt_out_only"}}'
    before = re.search(rf"{re.escape(counted)} ([\d.]+)", scene.look_at("/metrics"))
    token, links = make_token(scene, "jane"), services().links
    ring, leaked = [("new", bytes(32)), *links.ring], frozenset({links.newest_key_id})
    changed = replace(services(), links=replace(links, ring=ring, opt_out_only=leaked))
    scene.patch.setitem(scene.app.extensions, EXTENSION_NAME, changed)
    click(scene, token)
    return f"{counted} {float(before[1] if before else 0) + 1}"


def wrong_import(scene: Scene) -> str:
    put_in_force(scene.app)
    file = scene.folder / "everybody.csv"
    file.write_text("email\njane@example.com\nbob@example.com\n")
    plan = f"flask imports plan {file} --preset generic-list --meaning opt-outs --scope list={NEWS}"
    (line,) = re.findall(r"^flask imports apply.*", scene.look_at(plan), re.MULTILINE)
    scene.look_at(shlex.join([*shlex.split(line), "--no-pause"]))
    return "everybody.csv"


def still_mailed(scene: Scene) -> str:
    put_in_force(scene.app)
    say(scene.app)
    refused = "refuses the credentials: 401"
    scene.wait("active", timedelta(hours=1), reason=refused, retry=True)
    scene.execute("UPDATE destination SET trouble = 'refused'")
    return "crm: waits, since the tool refuses us access"


def broken_catalogue(scene: Scene) -> str:
    (scene.folder / "FILE").write_text(edited(('"opt_in"', '"optin"'), text=SMALL))
    scene.patch.chdir(scene.folder)
    return 'line 13: default can\'t be "optin"'


def old_tables(scene: Scene) -> str:
    scene.at_the_end.enter_context(one_migration_behind(scene.admin_url))
    return "run `flask db upgrade`"


def unclear_mail(scene: Scene) -> str:
    mail = reply("No offers please, I moved")
    item = ReviewItem(services().new_id(), "replies", "unclear", len(mail), scene.clock())
    run_in_transaction(lambda c: insert_item(c, services().keys, item, mail, mail))
    return "replies"


INCIDENTS: dict[str, Callable[[Scene], str]] = {
    "a mail scanner follows the links of many people": scanner,
    "an API key leaked": leaked_api_key,
    "a link key leaked": leaked_link_key,
    "a wrong list was imported": wrong_import,
    "somebody still gets mail": still_mailed,
    "a catalogue has a mistake": broken_catalogue,
    "new code runs on older tables": old_tables,
    "mails are not understood": unclear_mail,
}
"""Each causes it, and returns what is to be seen then."""


@pytest.mark.parametrize("incident", INCIDENTS)
def test_what_to_look_at_names_the_cause(incident: str, scene: Scene) -> None:
    given = {"NAME": "shop", "TIME": scene.clock().isoformat()}
    expected = INCIDENTS[incident](scene)
    assert expected in scene.look_at(TABLE[incident], **given)


def test_a_process_without_its_secrets_names_them_all() -> None:
    command = shlex.split(TABLE["a secret is missing at the start"])[1:]
    result = subprocess.run(
        [sys.executable, "-m", "preference_center", *command],
        check=False,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    required = [name for name, field in Settings.model_fields.items() if field.is_required()]
    assert [name for name in required if f"{name.upper()}: " not in result.stderr] == []


def test_every_incident_of_the_page_is_caused() -> None:
    assert TABLE.keys() == INCIDENTS.keys() | {"a secret is missing at the start"}
