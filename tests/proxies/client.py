"""The real `openai` client, run by the proxy's own Python: reads calls as lines of JSON and writes what came of them.

Calls are made at once, as many as are asked for; each line out carries the number of its line in.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import httpx
import openai


class Caller:
    def __init__(self, url: str, key: str) -> None:
        self._openai = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, timeout=60, max_retries=0)
        self._http = httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60)

    async def call(self, route: str, body: dict[str, Any], leave_after: int, headers: dict[str, str]) -> dict[str, Any]:
        if route == "chat":
            made = await self._openai.chat.completions.create(**body, extra_headers=headers)
        elif route == "responses":
            made = await self._openai.responses.create(**body, extra_headers=headers)
        elif route == "embeddings":
            made = await self._openai.embeddings.create(**body, extra_headers=headers)
        else:
            return await self._raw(route, body, headers)
        if not body.get("stream"):
            return {"answer": made.model_dump(mode="json")}
        return await self._read(made, leave_after)

    async def _read(self, stream: Any, leave_after: int) -> dict[str, Any]:
        """What a stream said. Its caller leaves after so many pieces, if it says so."""
        words, finish, pieces, usages = 0, "", 0, 0
        began = time.monotonic()
        async for piece in stream:
            pieces += 1
            for choice in getattr(piece, "choices", None) or ():
                words += (choice.delta.content or "").count("word")
                finish = choice.finish_reason or finish
            words += str(getattr(piece, "delta", "")).count("word")
            usages += getattr(piece, "usage", None) is not None
            if leave_after and pieces >= leave_after:
                await stream.close()
                finish = "left"
                break
        seconds = time.monotonic() - began
        return {"words": words, "finish": finish, "pieces": pieces, "usages": usages, "seconds": seconds}

    async def _raw(self, route: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        answer = await self._http.post(route, json=body, headers=headers)
        if answer.status_code >= 400:
            return {"status": answer.status_code, "error": answer.json()}
        if body.get("stream"):
            return {"text": answer.text, "words": answer.text.count("word")}
        return {"answer": answer.json(), "headers": dict(answer.headers)}


async def main(url: str, key: str) -> None:
    caller = Caller(url, key)
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def run(line: dict[str, Any]) -> None:
        began = time.monotonic()
        headers = line.get("headers") or {}
        try:
            said = await caller.call(line["route"], line["body"], line.get("leave_after", 0), headers)
        except openai.APIStatusError as error:
            said = {"status": error.status_code, "error": error.body, "headers": dict(error.response.headers)}
        except (openai.APIError, httpx.HTTPError) as error:
            said = {"status": 0, "error": str(error), "kind": type(error).__name__}
        took = time.monotonic() - began
        sys.stdout.write(json.dumps({"n": line["n"], "took": took, **said}) + "\n")
        sys.stdout.flush()

    while raw := await loop.run_in_executor(None, sys.stdin.readline):
        task = asyncio.create_task(run(json.loads(raw)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
