"""The providers' own clients, run by their own Python: make one call of each kind, check every answer against their
typed models, and say in one object of JSON what came of it. Further arguments name the calls; where there are none, all
are made that need no gateway.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anthropic
import openai

MESSAGES: Final[Any] = [{"role": "user", "content": "hello there"}]
FUNCTION: Final = {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}}
EMBEDS: Final = "embed"
CHATS: Final = "/v1/chat/completions"
TOOL: Final[Any] = {"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {}}}


class OpenAI:
    def __init__(self, address: str, key: str, model: str) -> None:
        self._model = model
        usual: Any = {"base_url": f"{address}/v1", "api_key": key, "max_retries": 0, "timeout": 30}
        self._client = openai.AsyncOpenAI(**usual, _strict_response_validation=True)
        # It asks for embeddings in base64 and makes numbers of them, which is not what its own models say.
        self._lenient = openai.AsyncOpenAI(**usual)

    async def chat(self, **more: Any) -> Any:
        made = await self._client.chat.completions.create(model=self._model, messages=MESSAGES, **more)
        return {"id": made.id, "usage": made.usage.model_dump(), "finish": made.choices[0].finish_reason}

    async def chat_stream(self, **more: Any) -> Any:
        said, usage, finish, arguments, made = "", None, "", "", ""
        create = self._client.chat.completions.create
        async for chunk in await create(model=self._model, messages=MESSAGES, stream=True, **more):
            usage, made = chunk.usage or usage, chunk.id
            for choice in chunk.choices:
                said += choice.delta.content or ""
                finish = choice.finish_reason or finish
                for call in choice.delta.tool_calls or ():
                    arguments += call.function.arguments
        told = usage.model_dump() if usage else None
        return {"id": made, "words": said.count("word"), "usage": told, "finish": finish, "arguments": arguments}

    async def response(self, **more: Any) -> Any:
        made = await self._client.responses.create(model=self._model, input="hello there", **more)
        return {"id": made.id, "usage": made.usage.model_dump(), "status": made.status, "text": made.output_text}

    async def response_stream(self, **more: Any) -> Any:
        kinds: list[str] = []
        final: Any = None
        async for event in await self._client.responses.create(
            model=self._model, input="hello there", stream=True, **more
        ):
            kinds.append(event.type)
            final = getattr(event, "response", final)
        return {
            "id": final.id,
            "kinds": sorted(set(kinds)),
            "usage": final.usage.model_dump(),
            "text": final.output_text,
        }

    async def embedding(self) -> Any:
        made = await self._lenient.embeddings.create(model=EMBEDS, input=["one", "three"])
        return {"vectors": [len(row.embedding) for row in made.data], "usage": made.usage.model_dump()}

    async def models(self) -> Any:
        return [model.id async for model in self._client.models.list()]

    async def model(self) -> Any:
        return (await self._client.models.retrieve(self._model)).id

    async def batch(self) -> Any:
        """Two chats and one that cannot be, until they are answered; the results, and what may be done with them."""
        body: Any = {"model": self._model, "messages": MESSAGES}
        bodies = {"one": body, "two": body | {"n": 2}, "bad": {"model": self._model}}
        asks = [{"custom_id": n, "method": "POST", "url": CHATS, "body": said} for n, said in bodies.items()]
        lines = "\n".join(map(json.dumps, asks)).encode()
        files, batches = self._client.files, self._client.batches
        file = await files.create(file=("calls.jsonl", lines), purpose="batch")
        made: Any = await batches.create(input_file_id=file.id, endpoint=CHATS, completion_window="24h")
        for _ in range(10):
            made = await batches.retrieve(made.id)
            if made.status == "completed":
                break
        listed = [one.id async for one in batches.list(limit=1)]
        results = (await files.content(made.output_file_id)).text.splitlines()
        answers = {line["custom_id"]: line["response"]["body"]["id"] for line in map(json.loads, results)}
        return {
            "id": made.id,
            "listed": listed,
            "counts": made.request_counts.model_dump(),
            "answers": answers,
            "file": (await files.retrieve(file.id)).filename,
            "early": await said(files.delete(made.output_file_id)),
            "cancelled": (await batches.cancel(made.id)).status,
        }

    async def raw(self) -> Any:
        made = await self._client.chat.completions.with_raw_response.create(model=self._model, messages=MESSAGES)
        return {"id": made.parse().id, "headers": dict(made.headers), "request": made.request_id}

    async def patient(self) -> Any:
        """As the client is by default: it tries again where it believes that helps."""
        return await self._id_by(max_retries=2)

    async def wrong_key(self) -> Any:
        return await self._id_by(api_key="cap_of_nobody")

    async def _id_by(self, **options: Any) -> Any:
        client = self._client.with_options(**options)
        return (await client.chat.completions.create(model=self._model, messages=MESSAGES)).id


class Anthropic:
    def __init__(self, address: str, key: str, model: str) -> None:
        self._model = model
        self._client = anthropic.AsyncAnthropic(
            base_url=address, api_key=key, max_retries=0, timeout=30, _strict_response_validation=True
        )

    async def message(self, **more: Any) -> Any:
        made = await self._client.messages.create(model=self._model, max_tokens=100, messages=MESSAGES, **more)
        kinds = [block.type for block in made.content]
        return {"id": made.id, "usage": made.usage.model_dump(), "stop": made.stop_reason, "kinds": kinds}

    async def message_stream(self, **more: Any) -> Any:
        async with self._client.messages.stream(model=self._model, max_tokens=100, messages=MESSAGES, **more) as stream:
            words = [piece async for piece in stream.text_stream]
            made = await stream.get_final_message()
        inputs = [block.input for block in made.content if block.type == "tool_use"]
        usage = made.usage.model_dump()
        return {"id": made.id, "usage": usage, "stop": made.stop_reason, "words": len(words), "inputs": inputs}

    async def count(self) -> Any:
        made = await self._client.messages.count_tokens(model=self._model, messages=MESSAGES)
        return made.input_tokens

    async def models(self) -> Any:
        return [model.id async for model in self._client.models.list()]

    async def model(self) -> Any:
        return (await self._client.models.retrieve(self._model)).id

    async def raw(self) -> Any:
        create = self._client.messages.with_raw_response.create
        made = await create(model=self._model, max_tokens=100, messages=MESSAGES)
        return {"id": (await made.parse()).id, "headers": dict(made.headers), "request": made.request_id}

    async def patient(self) -> Any:
        return await self._id_by(max_retries=2)

    async def wrong_key(self) -> Any:
        return await self._id_by(api_key="cap_of_nobody")

    async def _id_by(self, **options: Any) -> Any:
        create = self._client.with_options(**options).messages.create
        return (await create(model=self._model, max_tokens=100, messages=MESSAGES)).id


async def said(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        tries = error.response.request.headers.get("x-stainless-retry-count")
        return {"error": type(error).__name__, "status": error.status_code, "body": error.body, "retries": tries}
    except (openai.APIError, anthropic.APIError) as error:
        return {"error": type(error).__name__, "message": str(error)[:300]}


async def main(address: str, key: str, gpt: str, claude: str, *wanted: str) -> None:
    one, other = OpenAI(address, key, gpt), Anthropic(address, key, claude)
    function: Any = {"type": "function", "function": FUNCTION}
    of_responses: Any = {"type": "function", "strict": False, **FUNCTION}
    usage = {"include_usage": True}
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "chat": lambda: one.chat(),
        "chat_tools": lambda: one.chat(tools=[function]),
        "chat_stream": lambda: one.chat_stream(),
        "chat_stream_usage": lambda: one.chat_stream(stream_options=usage),
        "chat_stream_tools": lambda: one.chat_stream(tools=[function], stream_options=usage),
        "response": lambda: one.response(),
        "response_tools": lambda: one.response(tools=[of_responses]),
        "response_stream": lambda: one.response_stream(),
        "response_stream_tools": lambda: one.response_stream(tools=[of_responses]),
        "embedding": lambda: one.embedding(),
        "openai_models": lambda: one.models(),
        "message": lambda: other.message(),
        "message_tools": lambda: other.message(tools=[TOOL]),
        "message_stream": lambda: other.message_stream(),
        "message_stream_tools": lambda: other.message_stream(tools=[TOOL]),
        "count": lambda: other.count(),
        "anthropic_models": lambda: other.models(),
    }
    of_gateways: dict[str, Callable[[], Awaitable[Any]]] = {
        "chat_raw": one.raw,
        "chat_patient": one.patient,
        "chat_wrong_key": one.wrong_key,
        "openai_model": one.model,
        "batch": one.batch,
        "message_raw": other.raw,
        "message_patient": other.patient,
        "message_wrong_key": other.wrong_key,
        "anthropic_model": other.model,
    }
    # One after the other: what the upstream does next is told in an order.
    told = {name: await said((calls | of_gateways)[name]()) for name in wanted or calls}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
