"""Many callers at once, each with the real `openai` client, streaming. Run by the proxy's own Python.

Every second caller says `max_tokens`. A caller goes on until it has made its calls, or has been refused so often in a
row, a little later each time, that the budget must be spent. One line of JSON at the end says what came of it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any, Final

import openai

WORDS: Final = 800
LIMIT: Final = 2000
_IN_A_ROW: Final = 12


class Load:
    def __init__(self, url: str, key: str) -> None:
        self._client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, timeout=120, max_retries=0)
        self.counts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()

    async def caller(self, number: int, calls: int) -> None:
        refused = 0
        for call in range(calls):
            said = await self.call(f"caller {number} call {call}: words={WORDS} please", limited=number % 2 == 0)
            self.counts[said] += 1
            refused = refused + 1 if said == "refused" else 0
            if refused >= _IN_A_ROW:
                return
            if refused:
                await asyncio.sleep(0.02 * refused)

    async def call(self, prompt: str, *, limited: bool) -> str:
        body: dict[str, Any] = {"model": "gpt", "messages": [{"role": "user", "content": prompt}], "stream": True}
        if limited:
            body["max_tokens"] = LIMIT
        try:
            words, finish = 0, ""
            async for chunk in await self._client.chat.completions.create(**body):
                for choice in chunk.choices:
                    words += (choice.delta.content or "").count("word")
                    finish = choice.finish_reason or finish
        except openai.RateLimitError as error:
            self.errors[str(error)[:200]] += 1
            return "refused"
        except openai.APIError as error:
            self.errors[str(error)[:200]] += 1
            return "failed"
        return "whole" if words == WORDS and finish == "stop" else "truncated"


async def main(url: str, key: str, callers: int, calls: int) -> None:
    load = Load(url, key)
    began = time.monotonic()
    await asyncio.gather(*[load.caller(number, calls) for number in range(callers)])
    said = {"seconds": round(time.monotonic() - began, 1), **load.counts, "errors": load.errors.most_common(3)}
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
