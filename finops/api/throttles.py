"""A limit per caller, so that one runaway script does not starve the rest."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class PerCaller(BaseThrottle):
    """Counts in fixed windows in Django's cache. DRF's own throttle keeps a list with every request's time, which at
    thousands a minute costs more than the requests do.

    With the default in-memory cache the limit holds per web process; with a shared cache it holds for all of them.
    """

    def __init__(self) -> None:
        rate: str = settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]["caller"]
        count, _, period = rate.partition("/")
        self.limit = int(count)
        self.window_s = _SECONDS[period[:1]]
        self.wait_s = 0.0

    def allow_request(self, request: Request, view: Any) -> bool:
        now = time.time()
        window = int(now // self.window_s)
        key = f"throttle:{self._who(request)}:{window}"
        # `add` then `incr`: the window may end between the two, and then the count starts anew.
        cache.add(key, 0, timeout=self.window_s * 2)
        try:
            used = cache.incr(key)
        except ValueError:
            return True
        self.wait_s = (window + 1) * self.window_s - now
        return used <= self.limit

    def wait(self) -> float:
        return self.wait_s

    @staticmethod
    def _who(request: Request) -> str:
        caller: Any = request.user
        if caller is None:
            return f"address:{request.META.get('REMOTE_ADDR', '')}"
        return f"{caller.organization_id}:{caller.actor.reference}"
