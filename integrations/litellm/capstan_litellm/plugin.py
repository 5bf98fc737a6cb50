"""What LiteLLM calls: before a call, before each try, while an answer streams, and when it is over.

`callbacks: ["capstan_litellm.plugin.guard"]` in LiteLLM's config, last in the list: what runs after it could still
change what was authorised.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any, Final
from uuid import uuid4

import litellm
from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger

from capstan_litellm.answering import clamp, from_cache, not_held, request_id, unmetered
from capstan_litellm.body import ALL_LIMITS, FAMILIES, Ask, Unbounded, ask_of, input_size
from capstan_litellm.body import FREE as FREE_ROUTES
from capstan_litellm.calls import FREE, RUNNING, STREAMING, Call
from capstan_litellm.desk import Desk, Refused
from capstan_litellm.following import begun_anew, follow, logged, question_of, shape, tagged, uses_of
from capstan_litellm.offers import Catalogue
from capstan_litellm.owner import Owner, owner_of
from capstan_litellm.routing import EXCLUDED, Routed, RouteRefused
from capstan_litellm.settings import OFF, REFUSE, Settings, from_environment
from capstan_litellm.tries import group_of, plan_of, tried, without_fallbacks
from capstan_litellm.usage import Seen, usage_of
from capstan_litellm.values import get, text

logger = logging.getLogger("capstan_litellm")
# On LiteLLM's logging object, which every try and hook of a call shares and no client can write to.
_CALL: Final = "_capstan_call"
_FREE: Final = "_capstan_free"
_ID: Final = "capstan_call"
_ROUTING: Final = "capstan_routing"
# What LiteLLM's router neither retries nor falls back from.
_FINAL: Final = 422
_current: ContextVar[Call | None] = ContextVar("capstan_call", default=None)
_refused: ContextVar[Refused | None] = ContextVar("capstan_refused", default=None)


class StreamStopped(Exception):
    """An answer is cut short because Capstan says so. LiteLLM makes the last frame of it."""

    status_code = 429

    def __init__(self, why: str) -> None:
        self.message = f"Capstan stopped this call: {why}"
        super().__init__(self.message)


class Guard(CustomLogger):  # type: ignore[misc]  # LiteLLM is not there when types are checked
    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__()
        self._settings = settings
        self._desk: Desk | None = None
        self._catalogue = Catalogue(_split)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return  # started by the first call
        self.desk.start()
        # LiteLLM counts what came of a stream before it ends it, and the first count takes it more than a second.
        self._warming = asyncio.create_task(asyncio.to_thread(litellm.token_counter, model="gpt-4o", text="warm"))

    @property
    def desk(self) -> Desk:
        """Made when first needed: a server that forks would otherwise share one spool between its processes."""
        if self._desk is None or self._desk.pid != os.getpid():
            self._desk = Desk(self._settings or from_environment(os.environ))
        return self._desk

    # --- Before the call ----------------------------------------------------------------------------------------------

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> Any:
        kind = str(getattr(call_type, "value", call_type))
        log = data.get("litellm_logging_obj")
        family = FAMILIES.get(kind)
        if family is None:
            if kind in FREE_ROUTES or self.desk.settings.unmetered != REFUSE:
                _put(log, _FREE, True)
                return data
            raise HTTPException(403, unmetered(kind))
        before = _current.get()
        await self._let_go_of(before)
        router = _router()
        team = text(user_api_key_dict, "team_id") or None
        call_id = uuid4().hex
        try:
            ask = ask_of(data, family, secret=self.desk.settings.key)
            owner = owner_of(data, user_api_key_dict, self.desk.settings)
            routed = await self._routed(call_id, data, ask, owner, user_api_key_dict, before)
            plan = plan_of(data, router, _split, team=team, most=self.desk.settings.most_tries)
            call, answer = await self.desk.open(call_id, ask, owner, plan, routed)
        except RouteRefused as refused:
            _refused.set(Refused(refused.status, {}))
            detail = {"error": f"{refused}.", "type": "capstan_refused", "code": refused.code}
            raise HTTPException(refused.status, detail) from refused
        except Unbounded as error:
            detail = {"error": f"{error}.", "type": "capstan_refused", "code": "budgets.unbounded_request"}
            raise HTTPException(422, detail) from error
        except Refused as refused:
            _refused.set(refused)
            raise HTTPException(refused.status, refused.detail) from refused
        call.uses = uses_of(routed, router, _split, team)
        _put(log, _CALL, call)
        _current.set(call)
        if answer.get("downgraded_from"):
            await self._move(call, data, str(answer.get("model")), team)
        clamp(data, ask, call)
        bucket = data.setdefault("litellm_metadata" if "litellm_metadata" in data else "metadata", {})
        if isinstance(bucket, dict):
            bucket[_ID] = call.id
            if said := logged(call):
                bucket[_ROUTING] = said
        return data

    async def _routed(
        self, call_id: str, data: dict[str, Any], ask: Ask, owner: Owner, auth: Any, before: Call | None
    ) -> Routed:
        """The call, sent where Capstan's rules say. Raises RouteRefused."""
        settings = self.desk.settings
        if settings.route == OFF:
            return Routed()
        if before is not None and not before.tries:
            routed = begun_anew(ask.model, before.route)
        else:
            offers = self._catalogue.offers(_router(), auth, ask.model)
            routed = await self.desk.routes.route(question_of(call_id, data, ask, owner, offers, settings))
        follow(data, routed, _router())
        ask.model = str(data["model"])
        owner.tags = tagged(owner.tags, routed)
        return routed

    async def _let_go_of(self, before: Call | None) -> None:
        """LiteLLM asks anew, for another model, where one of its own limits refused the first after us."""
        if before is not None and not before.tries:
            await self.desk.close(before)

    async def _move(self, call: Call, data: dict[str, Any], model: str, team: str | None) -> None:
        """To the cheaper model that Capstan chose. Only that one is held for, so only that one may be tried."""
        found = group_of(model, _router(), _split, team=team)
        if found is None:
            await self.desk.close(call)
            detail = {
                "error": f"The budget is nearly spent. Calls go to {model} now, which this proxy does not offer.",
                "type": "capstan_refused",
                "code": "budgets.exceeded",
            }
            raise HTTPException(429, detail)
        group, deployment, names = found
        if call.route.allowed is not None and group not in call.route.allowed:
            await self.desk.close(call)
            detail = {
                "error": f"The budget is nearly spent. Calls go to {model} now, which rules of routing do not allow.",
                "type": "capstan_refused",
                "code": EXCLUDED,
            }
            raise HTTPException(403, detail)
        call.plan = without_fallbacks(call.plan, deployment, names)
        data["model"] = group
        data["disable_fallbacks"] = True
        data.pop("fallbacks", None)

    # --- Each try -----------------------------------------------------------------------------------------------------

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any] | None:
        """LiteLLM asks before every try, retries and fallbacks included. What was not held for is not made."""
        log = kwargs.get("litellm_logging_obj")
        call: Call | None = getattr(log, _CALL, None) or _current.get()
        if call is None or call.settled:
            if getattr(log, _FREE, False) or self.desk.settings.unmetered != REFUSE:
                return None
            raise HTTPException(_FINAL, unmetered(str(getattr(call_type, "value", call_type))))
        if call.stopped:
            raise HTTPException(_FINAL, {"error": StreamStopped(call.stopped).message, "code": "budgets.stopped"})
        model = str(kwargs.get("model") or "")
        name, provider = _split(model, text(kwargs, "custom_llm_provider") or None)
        deployment = tried(call.plan, model, provider, name)
        if deployment is None:
            raise HTTPException(_FINAL, not_held(f"{model} is not a deployment that this call was authorised for"))
        if call.begin(deployment.provider, deployment.model):
            # Within a try LiteLLM may write the same in another provider's form, which is larger and no more to read.
            why = ""
            if len(call.tries) > call.plan.tries:
                why = f"this call was authorised for {call.plan.tries} tries"
            elif input_size(kwargs) > call.input_bytes:
                why = "what is to be read has grown since the call was authorised"
            if why:
                call.tries[-1].state = FREE
                raise HTTPException(_FINAL, not_held(why))
        if (use := call.uses.get(deployment)) is not None:
            shape(kwargs, str(getattr(call_type, "value", call_type)), use)
        for field in ALL_LIMITS:
            if call.limit is not None and isinstance(kwargs.get(field), int) and kwargs[field] > call.limit:
                kwargs[field] = call.limit
        if kwargs.get("max_retries"):
            kwargs["max_retries"] = 0  # tries of the provider's own library would be seen by nobody
        return kwargs

    async def async_post_call_success_deployment_hook(self, request_data: Any, response: Any, call_type: Any) -> None:
        call = _call_of(request_data)
        # Of a stream it is told chunk by chunk; the hook for streams sees those too.
        running = call.under_way if call is not None else None
        if call is not None and running is not None and running.state == RUNNING:
            self._note(call, request_data, response)

    async def async_post_call_failure_deployment_hook(
        self, request_data: Any, exception: Exception, call_type: Any, fallback_depth: int | None = None
    ) -> None:
        call = _call_of(request_data)
        if call is not None:
            call.failed(exception)

    # --- The end ------------------------------------------------------------------------------------------------------

    async def async_post_call_success_hook(self, data: dict[str, Any], user_api_key_dict: Any, response: Any) -> None:
        """An answer in one piece, before its caller has it."""
        call = _call_of(data)
        if call is None or call.settled:
            return
        self._note(call, data, response)
        if call.under_way is None:
            await self.desk.close(call)
        else:
            self.desk.close_soon(call)  # nobody has said what it used

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: Any,
        traceback_str: Any = None,
    ) -> None:
        call = _call_of(request_data)
        if call is None or call.settled:
            return
        if call.seen is not None and call.seen.begun:
            call.answered(call.seen.partial(input_bytes=call.input_bytes), estimated=True)
        call.failed(original_exception)
        await self.desk.close(call)

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: dict[str, Any]
    ) -> AsyncIterator[Any]:
        call = _call_of(request_data)
        if call is None:
            async for chunk in response:
                yield chunk
            return
        call.seen = seen = Seen()
        if call.under_way is not None:
            call.under_way.state = STREAMING
        try:
            async for chunk in self._until_stopped(call, response):
                seen.take(chunk)
                yield chunk
        except (asyncio.CancelledError, GeneratorExit):
            # The caller left. What LiteLLM counts of it comes in a moment.
            self._broken(call, request_data)
            raise
        except StreamStopped:
            call.answered(seen.partial(input_bytes=call.input_bytes), estimated=True)
            await self.desk.close(call)
            raise
        # Other errors go on to the failure hook.
        self._serve(call, request_data, seen.model, seen.tier)
        if from_cache(request_data, response):
            self._cached(call)
        elif (usage := seen.usage(ended=True)) is not None:
            call.answered(usage)
        if call.under_way is None:
            await self.desk.close(call)
        else:
            self.desk.close_soon(call)

    async def _until_stopped(self, call: Call, response: Any) -> AsyncIterator[Any]:
        """Waits for each chunk where `call.stop` can reach it."""
        stream = aiter(response)
        while True:
            if why := call.why_stopped():
                raise StreamStopped(why)
            call.reader = reader = asyncio.current_task()
            try:
                chunk = await anext(stream)
            except StopAsyncIteration:
                return
            except asyncio.CancelledError:
                why = call.why_stopped()
                if why and reader is not None:
                    reader.uncancel()
                    raise StreamStopped(why) from None
                raise
            finally:
                call.reader = None
            yield chunk

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Only for calls that are not settled yet: broken streams, and providers that do not count."""
        params = get(kwargs, "litellm_params")
        places = (get(params, "litellm_metadata"), get(params, "metadata"))
        name = next((found for place in places if (found := text(place, _ID))), "")
        call = self.desk.calls.get(name)
        if call is not None:
            payload = get(kwargs, "standard_logging_object")
            call.counted = usage_of(get(get(payload, "metadata"), "usage_object"))
            call.logged.set()

    async def async_post_call_response_headers_hook(self, **_: Any) -> dict[str, str] | None:
        """The call's id; and a refusal is not worth another attempt: without this, client libraries make two."""
        refused, call = _refused.get(), _current.get()
        if refused is None:
            # Whoever says how well the call went names it so.
            said = {} if call is None else {"x-capstan-call": call.id, "x-capstan-rule": call.route.header}
            return {name: value for name, value in said.items() if value} or None
        headers = {"x-should-retry": "false"}
        if refused.detail.get("retry_after"):
            headers["Retry-After"] = str(refused.detail["retry_after"])
        return headers

    def _note(self, call: Call, data: Any, response: Any) -> None:
        if get(get(response, "_hidden_params"), "cache_hit") is True:
            self._cached(call)
            return
        usage = usage_of(get(response, "usage"))
        tier = text(response, "service_tier", 60) or text(get(response, "usage"), "service_tier", 60)
        self._serve(call, data, text(response, "model"), tier, response)
        # Where LiteLLM called itself, the inner answer is the provider's own, and says more.
        if usage is not None and call.under_way is not None:
            call.answered(usage)

    def _cached(self, call: Call) -> None:
        """LiteLLM answered from its own cache: no provider was asked."""
        if call.under_way is not None:
            call.under_way.state = FREE

    def _broken(self, call: Call, request_data: dict[str, Any]) -> None:
        if call.settled or call.seen is None:
            return
        self._serve(call, request_data, call.seen.model, call.seen.tier)
        usage = call.seen.usage(ended=False)
        if usage is not None:
            call.answered(usage)
        self.desk.close_soon(call, broken=True)

    def _serve(self, call: Call, data: Any, model: str, tier: str, response: Any = None) -> None:
        call.served.model, call.served.tier = model, tier
        call.served.id = request_id(data, response)


def _call_of(data: Any) -> Call | None:
    found = getattr(get(data, "litellm_logging_obj"), _CALL, None) or _current.get()
    return found if isinstance(found, Call) else None


def _put(log: Any, name: str, value: Any) -> None:
    if log is not None:
        setattr(log, name, value)


def _router() -> Any:
    from litellm.proxy.proxy_server import llm_router

    return llm_router


def _split(model: str, provider: str | None) -> tuple[str, str]:
    """(model, provider) as LiteLLM reads them; an unknown name stays, and Capstan says that it has no price."""
    try:
        name, found, _, _ = litellm.get_llm_provider(model=model, custom_llm_provider=provider)
    except Exception:  # noqa: BLE001  # whatever it raises, it does not know the model
        return model, provider or ""
    return str(name), str(found)


guard = Guard()
