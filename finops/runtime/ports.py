"""Is the port free, and if not, who holds it."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress

import psutil

from finops.runtime.errors import CannotRun, PortBusy


def require_free(host: str, port: int, *, way_out: str) -> None:
    """Raises PortBusy naming the holder where it can be seen, or CannotRun when the address is not ours."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise CannotRun(f"the host {host!r} is not known: {error.strerror}; use --host 127.0.0.1") from None
    with socket.socket(family, kind, protocol) as probe:
        # As the web server will bind: a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            raise _unusable(error, host, port, way_out) from None


def _unusable(error: OSError, host: str, port: int, way_out: str) -> CannotRun:
    if error.errno == errno.EADDRINUSE:
        return PortBusy(f"port {port} is taken{holder(port)}; {way_out}")
    if error.errno == errno.EACCES:
        return CannotRun(f"port {port} may only be opened by root; {way_out}")
    return CannotRun(f"{host} port {port} cannot be opened: {error.strerror}; {way_out}")


def holder(port: int) -> str:
    """` by python3 (process 123)`, or nothing when the system does not tell us."""
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            address = connection.laddr
            if connection.status == psutil.CONN_LISTEN and address and address.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    return ""
