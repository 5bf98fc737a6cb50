"""The most a call can use, by what is said of it. Pure.

What nothing bounds is refused: input that stands elsewhere is bounded by the context window where that is known, tools
that the provider runs by their stated maximum. Each turn of such a tool reads the whole context again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from finops.budgets.rules.worst import Bounds, Unbounded, text_tokens
from routing.gateway.requests import Authorize, HostedTool, Input

# Of a model whose largest answer nobody said, where its window is not known or larger.
USUAL_OUTPUT: Final = 16_384
# Of its window an answer is left so much, however long what it reads seems to be.
_LEAST_PART: Final = 16
# How many bytes a token has at least, mostly: for what nobody counted.
BYTES_OF_TOKEN: Final = 3
_SEARCHES: Final = ("web_search", "google_search")
_FILES: Final = ("file_search",)
# What a use of these costs is tokens, or a fee that has a price. A container's time, a picture, another company's
# server: nobody here knows what they cost, so no number of uses bounds them.
_PRICED: Final = (*_SEARCHES, *_FILES, "web_fetch", "tool_search", "compaction")


def output_wanted(request: Authorize, window: int | None, largest: int | None = None) -> int:
    """The most tokens each choice may write: as asked, or what is injected where nothing was. `largest` is what the
    model takes at most. It shares its window with what it reads, of which the size says about how much it is: taken
    for its bound instead, a long prompt would leave nothing.
    """
    if request.max_output_tokens is not None:
        return request.max_output_tokens
    usual = USUAL_OUTPUT if largest is None else min(USUAL_OUTPUT, largest)
    if window is None:
        return usual
    given = request.input
    around = text_tokens((), messages=given.messages, tools=given.tools) if given.tokens is None else 0
    left = window - sum(likely_read(given).values()) - around
    return min(usual, max(left, window // _LEAST_PART))


def bounds_of(request: Authorize, window: int | None, largest: int | None = None) -> Bounds:
    """Raises Unbounded, naming the field. `window` is the model's context window in tokens, `largest` its largest
    answer, None where not known.
    """
    given = request.input
    text = _texts(request) if given.tokens is None else given.tokens
    turns = 1 + sum(_uses(tool, place) for place, tool in enumerate(request.hosted_tools))
    if request.server_input or turns > 1:
        if window is None:
            field = "server_input" if request.server_input else "hosted_tools"
            raise Unbounded(
                "the call reads what is not in it, and the model's context window is not known, so nothing bounds it",
                field=field,
            )
        text = max(text, window)
    return Bounds(
        # Every choice is billed for its output, and some providers read the prompt for each.
        input_text=text * turns * request.choices,
        output_text=output_wanted(request, window, largest) * turns * request.choices,
        output_any=True,
        input_audio=given.audio_tokens * turns * request.choices,
        input_image=given.image_tokens * turns * request.choices,
        requests=turns,
        web_searches=_count(request.hosted_tools, _SEARCHES),
        tool_calls=_count(request.hosted_tools, _FILES),
    )


def likely_read(given: Input) -> dict[str, int]:
    """About what a call reads, as meters, where nobody counted it: text by its size, media by what they are at most.
    Never more than it was held for.
    """
    text = -(-given.bytes // BYTES_OF_TOKEN) if given.tokens is None else given.tokens
    told = {"input_uncached": text, "input_image": given.image_tokens, "input_audio": given.audio_tokens}
    return {name: count for name, count in told.items() if count}


def reads_at_most(request: Authorize) -> int:
    """The most tokens that stand in the call, for limits by the minute."""
    given = request.input
    text = _texts(request) if given.tokens is None else given.tokens
    return text + given.audio_tokens + given.image_tokens


def _texts(request: Authorize) -> int:
    return request.input.bytes + text_tokens((), messages=request.input.messages, tools=request.input.tools)


def _uses(tool: HostedTool, place: int) -> int:
    if not tool.type.startswith(_PRICED):
        raise Unbounded(
            f"{tool.type}: nobody here knows what the provider takes for this at most; leave it out",
            field=f"hosted_tools[{place}]",
        )
    if tool.max_uses is None:
        raise Unbounded(
            f"the tool {tool.type} runs at the provider without a maximum; say max_uses (in Responses max_tool_calls),"
            " or leave the tool out",
            field=f"hosted_tools[{place}]",
        )
    return tool.max_uses


def _count(tools: Sequence[HostedTool], kinds: tuple[str, ...]) -> int:
    return sum(tool.max_uses or 0 for tool in tools if tool.type.startswith(kinds))
