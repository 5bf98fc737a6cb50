"""What can stop Capstan from running on this machine. Each message says what is wrong and the way out, in one line."""

from __future__ import annotations

from finops.core.errors import FinopsError


class CannotRun(FinopsError):
    """Something on this machine must change before Capstan can run."""

    code = "runtime.cannot_run"
    status = 503


class PortBusy(CannotRun):
    code = "runtime.port_busy"


class AlreadyRunning(CannotRun):
    code = "runtime.already_running"


class DataFolderUnusable(CannotRun):
    code = "runtime.data_folder_unusable"


class ServerFailed(CannotRun):
    """An embedded server did not start, or stopped by itself."""

    code = "runtime.server_failed"
