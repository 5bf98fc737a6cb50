"""Regular expressions that cannot run away.

Python's `re` backtracks: `(a+)+$` against thirty letters takes minutes. What is accepted here is the part of its
language whose worst case can be counted before it is run:

- literals, `.`, classes (`[a-z]`, `\\d`, `\\w`, `\\s`), `^`, `$`, groups, and alternatives (`gpt|claude`);
- repeats (`*`, `+`, `?`, `{m,n}`, lazy or not) of one character or class; a group may be optional (`?`), not repeated;
- no backreference, no look-around, no flags.

Then the number of ways to match is at most the product, over the repeats, of how often each may repeat, times the
starting points (one when the pattern begins with `^`), times the alternatives. A pattern is refused when that passes
`MOST_WAYS` for a text of `LONGEST_VALUE` characters, which is what a text is cut to before it is searched: about two
open-ended repeats, or three after `^`. In the worst case a search takes some milliseconds, and it is memoised.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

# The standard library's own reading of a pattern; no types are published for it.
codes: Any = import_module("re._constants")
parser: Any = import_module("re._parser")

LONGEST_PATTERN: Final = 200
LONGEST_VALUE: Final = 200
MOST_WAYS: Final = LONGEST_VALUE**3
_ONE_CHARACTER: Final = frozenset({codes.LITERAL, codes.NOT_LITERAL, codes.ANY, codes.IN})
_REPEATS: Final = frozenset({codes.MAX_REPEAT, codes.MIN_REPEAT})
_BEGINNINGS: Final = ((codes.AT, codes.AT_BEGINNING), (codes.AT, codes.AT_BEGINNING_STRING))
_NO_FLAGS: Final = re.compile("").flags


@lru_cache(maxsize=2048)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The compiled pattern. Raises ValueError, with a sentence for people, when it is not in the safe subset."""
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"a pattern has at most {LONGEST_PATTERN} characters")
    try:
        tree = parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression: {error}") from error
    if tree.state.flags != _NO_FLAGS:
        raise ValueError("a pattern may not set flags")
    anchored = len(tree) > 0 and tree[0] in _BEGINNINGS
    if _ways(tree) * (1 if anchored else LONGEST_VALUE) > MOST_WAYS:
        raise ValueError("the pattern has too many repeats; begin it with ^, or use several conditions")
    return re.compile(pattern)


def _ways(tree: Any) -> int:
    """An upper bound of the ways to match from one starting point. Raises ValueError for what is not allowed."""
    ways = 1
    for code, argument in tree:
        if code in _REPEATS:
            ways *= _ways_to_repeat(*argument)
        elif code is codes.SUBPATTERN:
            _, add_flags, del_flags, inner = argument
            if add_flags or del_flags:
                raise ValueError("a pattern may not set flags")
            ways *= _ways(inner)
        elif code is codes.BRANCH:
            ways *= sum(_ways(branch) for branch in argument[1])
        elif code not in _ONE_CHARACTER and code is not codes.AT:
            raise ValueError("a pattern may not look around, refer back, or be atomic")
    return ways


def _ways_to_repeat(least: int, most: int, repeated: Any) -> int:
    if (least, most) == (0, 1):
        return 1 + _ways(repeated)
    if len(repeated) != 1 or repeated[0][0] not in _ONE_CHARACTER:
        raise ValueError("a pattern may repeat one character or class, not a group")
    if least > LONGEST_VALUE:
        raise ValueError(f"a text is looked at for its first {LONGEST_VALUE} characters only")
    return min(int(min(most, LONGEST_VALUE)) - int(least) + 1, LONGEST_VALUE)
