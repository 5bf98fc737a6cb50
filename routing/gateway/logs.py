"""The log of a gateway: one line for each call of a model, and what else there is to say. No prompt, key or body is in
it.

Lines of calls are written beside the event loop, and none of them is waited for: should nobody take them, they are lost
and counted.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import traceback
from collections import deque
from types import TracebackType
from typing import Any, Final, TypeAlias

from finops.core.logs import LINE, JsonFormatter, as_json, instant
from finops.core.money import pico_text
from routing.gateway.proxy.course import Course

NAME: Final = "routing.gateway.calls"
EVERY_S: Final = 0.1
MOST_WAITING: Final = 20_000
LONGEST_MODEL: Final = 200
# What is raised there may quote what somebody sent.
_STRANGERS: Final = ("routing.gateway.proxy", "routing.gateway.door")

_Raised: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)  # fmt: skip


class _Careful(logging.Formatter):
    """Where exceptions may quote what somebody sent, it says where and which, not their words."""

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info and record.name.startswith(_STRANGERS):
            told = logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None})
            told.msg, told.args = f"{record.getMessage()}: {_where(record.exc_info)}", None
            record = told
        return super().format(record)


class Line(_Careful):
    pass


class Json(_Careful, JsonFormatter):
    pass


def configure(*, json: bool, level: str) -> None:
    """For a process of its own."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if json else Line(LINE, style="{"))
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _where(raised: _Raised) -> str:
    kind, _, trace = raised
    at = traceback.extract_tb(trace)[-1:]
    place = f" at {at[0].filename.rpartition('/')[2]}:{at[0].lineno} in {at[0].name}" if at else ""
    return f"{kind.__name__ if kind else 'nothing'}{place}"


class CallLog:
    """`over` is the event loop's; a thread writes."""

    def __init__(self, kind: str) -> None:
        """`kind` is `line`, `json`, or '' for no lines."""
        self._kind = kind
        self._waiting: deque[bytes] = deque()
        self.lost = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write, name="call log", daemon=True)
        if kind:
            self._thread.start()

    def over(self, course: Course) -> None:
        """A call is over. Its line is made now: all that the call was made of would have to be kept for later."""
        if not self._kind:
            return
        if len(self._waiting) >= MOST_WAITING:
            self.lost += 1
            return
        at, told = instant(time.time()), told_of(course, time.monotonic())  # noqa: TID251 - when it was written
        if self._kind == "json":
            line = as_json({"at": at, "level": "INFO", "logger": NAME, **told})
        else:
            words = " ".join([f"{name}={_word(value)}" for name, value in told.items()])
            line = f"{at} INFO {NAME} {words}".encode("utf-8", "backslashreplace")
        self._waiting.append(line + b"\n")

    def close(self) -> None:
        """All that was said is written."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _write(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(EVERY_S)
            lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if lines:
                try:
                    _write_whole(b"".join(lines))
                except OSError:
                    # Whoever read them is gone; calls go on.
                    self.lost += len(lines)


def told_of(course: Course, now: float) -> dict[str, Any]:
    """A call as its line has it; what is not known is not there."""
    told: dict[str, Any] = {
        "call": course.call_id,
        "organization": course.organization or None,
        "key": course.key_prefix,
        "dialect": course.dialect,
        "model": course.model[:LONGEST_MODEL],
        "stream": course.stream,
        "status": course.status,
        "code": course.code,
        "tries": course.tries,
        "asked_bytes": course.asked_bytes,
        "said_bytes": course.said_bytes,
        "ms": _ms(course.began, now),
        "before_ms": _ms(course.began, course.sent_at),
        "first_byte_ms": None if course.first_byte_s is None else round(course.first_byte_s * 1000, 3),
        "upstream_ms": _ms(course.last_sent_at, course.ended_at),
        "after_ms": _ms(course.ended_at, course.passed_at),
    }
    attempt = course.attempt
    if course.upstream is not None and attempt is not None:
        held = attempt.allowance.held
        told["upstream"] = course.upstream.name
        told["upstream_model"] = attempt.candidate.model[:LONGEST_MODEL]
        told["downgraded_from"] = attempt.allowance.downgraded_from[:LONGEST_MODEL]
        told["held"] = pico_text(held.amount if held.accounts else 0)
        told["currency"] = attempt.allowance.currency
        told["tokens"] = attempt.used
        if attempt.settlement is not None and attempt.settlement.cost is not None:
            told["cost"] = pico_text(attempt.settlement.cost)
    return {name: value for name, value in told.items() if value or value is False or value == 0}


def _ms(since: float, until: float) -> float | None:
    return round((until - since) * 1000, 3) if since and until else None


def _word(value: Any) -> str:
    """Without what would end a word or a line."""
    kind = type(value)
    if kind is int or kind is float:
        return str(value)
    text = value if kind is str else as_json(value).decode()
    return text if text.isprintable() and " " not in text and '"' not in text else as_json(text).decode()


def _write_whole(lines: bytes) -> None:
    sys.stderr.flush()
    view = memoryview(lines)
    while view:
        view = view[os.write(2, view) :]
