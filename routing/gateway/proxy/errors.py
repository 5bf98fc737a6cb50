"""What can go wrong on the way of a model call, as errors with stable codes."""

from __future__ import annotations

from finops.core.errors import FinopsError


class PathRefused(FinopsError):
    """Not a path that is metered here, so it is not passed on."""

    code = "gateway.path_refused"
    status = 404


class BodyTooLarge(FinopsError):
    code = "api.too_large"
    status = 413


class BodySlow(FinopsError):
    """The body did not come in time."""

    code = "gateway.body_slow"
    status = 408


class Overloaded(FinopsError):
    """As many calls are under way here as memory allows."""

    code = "gateway.overloaded"
    status = 503
    retry_after_s = 1


class Stopping(FinopsError):
    """This process is being stopped; another may answer."""

    code = "gateway.stopping"
    status = 503
    retry_after_s = 1


class UpstreamAway(FinopsError):
    """No upstream of the model could be reached, or none answered in time."""

    code = "gateway.upstream_away"
    status = 502


class UpstreamBroke(FinopsError):
    """The upstream broke off in the middle of its answer."""

    code = "gateway.upstream_broke"
    status = 502


class UpstreamRefusesUs(FinopsError):
    """The upstream does not take the credential that is configured for it."""

    code = "gateway.upstream_refuses_us"
    status = 502


class AnswerTooLarge(FinopsError):
    code = "gateway.answer_too_large"
    status = 502


class CutOff(FinopsError):
    """Somebody, or a breaker, stopped whom the call concerns, while it was under way."""

    code = "budgets.stopped"
    status = 429
