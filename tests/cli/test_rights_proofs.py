"""`flask rights proofs`, as compliance uses it."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from preference_center.domain.rights.model import RequestKind, RequestVia
from preference_center.domain.rights.new_request import Agent
from preference_center.domain.rights.proof_files import ProofFile, ProofKind
from preference_center.rights import requests
from preference_center.rights.access_file.build import build_access_file
from preference_center.rights.agents import ask_for_principal
from tests.rights.asking import CONTROLS, actions, ask, new

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result
    from flask import Flask

CONTENT = b"%PDF-1.7 I, Ada"
pytestmark = pytest.mark.usefixtures("clock")


def flask(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["rights", "proofs", *words])


@pytest.fixture
def reference(app: Flask) -> str:
    file = ProofFile(CONTENT, "application/pdf", ProofKind.HEIR)
    given = {"via": RequestVia.AGENT, "agent": Agent("Heir", "heir@example.com")}
    with app.app_context():
        return ask_for_principal(new(RequestKind.RESTRICT, **given), [file]).reference


def test_files_are_listed(app: Flask, reference: str) -> None:
    listed = flask(app, "list", reference).stdout
    assert listed.split()[:5] == ["1", "heir", "application/pdf", "15", "until"]


def test_one_is_saved_for_its_owner_only_and_over_nothing(
    app: Flask, reference: str, tmp_path: Path
) -> None:
    path = tmp_path / "authority.pdf"
    assert flask(app, "save", reference, "1", str(path)).exit_code == 0
    with app.app_context():
        steps = requests.list_steps(requests.find_by_reference(reference).id)
    assert steps[-1].action == "proof_read"
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = flask(app, "save", reference, "1", str(path))
    assert (again.exit_code, "exists" in again.stderr) == (2, True)
    assert flask(app, "save", reference, "2", str(tmp_path / "x")).exit_code == 2


def test_a_file_is_added_if_it_is_one(app: Flask, reference: str, tmp_path: Path) -> None:
    good, bad = tmp_path / "scan.bin", tmp_path / "scan.pdf"
    good.write_bytes(b"\xff\xd8\xff\xe0")
    bad.write_bytes(b"PK\x03\x04")
    assert flask(app, "add", reference, str(good)).exit_code == 0
    refused = flask(app, "add", reference, str(bad))
    assert (refused.exit_code, "PDF, PNG or JPEG" in refused.stderr) == (1, True)
    assert len(flask(app, "list", reference).stdout.splitlines()) == 2


def test_an_authority_is_rejected_or_accepted(app: Flask, reference: str) -> None:
    assert "identifying" in flask(app, "reject", reference).stdout
    assert "done" in flask(app, "accept", reference, "--results-to-agent").stdout
    again = flask(app, "accept", reference)
    assert (again.exit_code, "closed" in again.stderr) == (1, True)


def test_a_request_of_the_persons_own_has_no_authority(app: Flask) -> None:
    with app.app_context():
        own = ask(RequestKind.RESTRICT)
    refused = flask(app, "accept", own.reference)
    assert (refused.exit_code, "no agent" in refused.stderr) == (1, True)


def test_the_file_of_a_request_for_access_is_written_to_be_handed_over(
    app: Flask, tmp_path: Path
) -> None:
    path = tmp_path / "data.zip"

    def write(reference: str) -> Result:
        return app.test_cli_runner().invoke(args=["rights", "file", reference, str(path)])

    with app.app_context():
        asked = ask(RequestKind.ACCESS, level=CONTROLS)
        early = write(asked.reference)
        assert (early.exit_code, path.exists()) == (1, False)
        build_access_file(asked.id)
    assert write(asked.reference).exit_code == 0
    assert path.read_bytes().startswith(b"PK")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert write(asked.reference).exit_code == 2
    with app.app_context():
        assert actions(asked)[-1] == "file_downloaded"
