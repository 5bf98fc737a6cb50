"""A busy port is named before anything slow starts, with who holds it and the way out."""

from __future__ import annotations

import os
import socket

import pytest

from finops.runtime import ports
from finops.runtime.errors import CannotRun, PortBusy


def test_a_busy_port_names_itself_its_holder_and_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortBusy) as refused:
            ports.require_free("127.0.0.1", port, way_out="use --port")
    assert f"port {port} is taken" in refused.value.message
    assert f"process {os.getpid()}" in refused.value.message
    assert refused.value.message.endswith("use --port")
    assert "\n" not in refused.value.message


def test_a_port_is_free_again_after_its_holder_left() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
    ports.require_free("127.0.0.1", port, way_out="")


def test_an_address_of_another_machine_is_no_busy_port() -> None:
    with pytest.raises(CannotRun) as refused:
        ports.require_free("192.0.2.1", 8000, way_out="use --host")
    assert not isinstance(refused.value, PortBusy)
