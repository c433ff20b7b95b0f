"""`flask check-mail`, as its user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clock import Clock
from tests.in_force import put_in_force
from tests.shared import shared_path

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

HEAD = (
    "From: Acme <news@acme.example>\nTo: ada@example.com\n"
    "DKIM-Signature: v=1; d=acme.example; h=From:List-Unsubscribe:List-Unsubscribe-Post; b=x\n"
)


@pytest.fixture
def in_force(app: Flask) -> Flask:
    put_in_force(app)
    return app


def check(app: Flask, *words: str, given: bytes = b"") -> Result:
    return app.test_cli_runner().invoke(args=["check-mail", *words], input=given)


@pytest.fixture
def sound(in_force: Flask, clock: Clock) -> bytes:
    """A mail with links that a sender made offline."""
    from preference_center.core.links.offline import LinkMinter

    words = ["keys", "link-key", "shop", "--brand", "acme"]
    key = in_force.test_cli_runner().invoke(args=words).stdout
    minted = LinkMinter(key, lambda: clock().timestamp()).mint(
        "ada@example.com", "acme.news", "m-1"
    )
    lines = [f"{name}: {value}" for name, value in minted.headers.items()]
    return (HEAD + "\n".join(lines) + f"\n\nUnsubscribe: {minted.preferences_url}\n").encode()


def test_a_sound_mail_ends_with_0_and_tells_what_was_looked_at(
    in_force: Flask, sound: bytes, tmp_path: Path
) -> None:
    (tmp_path / "news.eml").write_bytes(sound)
    result = check(in_force, str(tmp_path / "news.eml"))
    assert result.exit_code == 0, result.output
    assert "ok      A DKIM signature covers both headers." in result.stdout
    assert "key shop is 0 days old" in result.stdout
    assert "Errors: 0. Warnings: 1." in result.stdout  # there is no mail domain, so no mailto
    assert "ada@" not in result.output


def test_an_error_ends_with_1_and_states_what_to_fix(in_force: Flask, sound: bytes) -> None:
    result = check(in_force, "-", given=sound.replace(b"One-Click", b"Yes"))
    assert result.exit_code == 1
    assert "To fix: Write exactly List-Unsubscribe=One-Click." in result.stdout
    assert "Source: RFC 8058" in result.stdout


def test_json_is_for_scripts(in_force: Flask, sound: bytes) -> None:
    result = check(in_force, "-", "--json", given=sound.replace(b"One-Click", b"Yes"))
    assert result.exit_code == 1
    found = {one["code"]: one for one in json.loads(result.stdout)}
    assert found["post_value"]["severity"] == "error"
    assert set(found["post_value"]) == {"code", "severity", "message", "remedy", "source"}


@pytest.mark.parametrize(
    "words, given, exit_code, expected_message",
    [
        ([], b"", 2, "Missing argument 'FILE'"),
        (["no-such.eml"], b"", 2, "No such file"),
        (["-"], b"", 1, "this is not a mail"),
        (["-"], b"\x89PNG", 1, "this is not a mail"),
    ],
)
def test_a_wrong_command_states_what_to_fix(
    in_force: Flask, words: list[str], given: bytes, exit_code: int, expected_message: str
) -> None:
    result = check(in_force, *words, given=given)
    assert result.exit_code == exit_code
    assert expected_message in result.stderr


def test_mails_of_real_life_are_checked_without_a_crash(in_force: Flask) -> None:
    folder = shared_path("corpus/mail")
    for path in sorted(folder.iterdir()):
        if path.suffix in {".eml", ".txt"}:
            result = check(in_force, str(path))
            assert result.exit_code == 1, path.name  # none is a newsletter of ours
            assert result.exception is None or isinstance(result.exception, SystemExit)
            assert "error   " in result.stdout
