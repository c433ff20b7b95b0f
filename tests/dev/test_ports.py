"""Which ports a demo takes when others are taken."""

from __future__ import annotations

import socket

import pytest

from dev.errors import EngineError
from dev.ports import LAST, Ports
from dev.server import free_port


def test_a_taken_port_is_replaced_and_the_setting_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), Ports() as ports:
        found = ports.take(port, "the shops", "PORT + 300")
    assert found != port
    assert capsys.readouterr().out == (
        f"Port {port} (PORT + 300) is taken: port {found} for the shops\n"
    )


def test_a_second_demo_that_starts_at_the_same_moment_gets_others() -> None:
    port = free_port()
    with Ports() as first, Ports() as second:
        assert first.take(port, "the site", "PORT") == port
        assert second.take(port, "the site", "PORT") != port


def test_a_port_is_free_for_its_program_afterwards() -> None:
    with Ports() as ports:
        port = ports.take(free_port(), "the site", "PORT")
    socket.create_server(("127.0.0.1", port)).close()


def test_stated_ports_are_not_replaced() -> None:
    first = free_port()
    with (
        socket.create_server(("127.0.0.1", first + 1)),
        Ports() as ports,
        pytest.raises(EngineError, match=rf"Port {first + 1}, where worker .* INTERNAL_PORT="),
    ):
        ports.take_row(first, ["web", "worker"], "INTERNAL_PORT")


def test_a_demos_own_ports_do_not_meet(capsys: pytest.CaptureFixture[str]) -> None:
    first = free_port()
    with Ports() as ports:
        ports.take_row(first, ["web"], "INTERNAL_PORT")
        assert ports.take(first, "the stand-in tools", "PORT + 100") != first
    assert f"Port {first} (PORT + 100) is taken" in capsys.readouterr().out


def test_there_is_no_port_above_the_last() -> None:
    with Ports() as ports:
        assert ports.take(LAST + 100, "the shops", "PORT + 300") <= LAST
        with pytest.raises(EngineError, match=f"Port {LAST + 1}"):
            ports.take_row(LAST + 1, ["web"], "INTERNAL_PORT")
