"""How what was billed is shared among what was seen. Pure, in whole picodollars and tokens; nothing is lost.

Within an account, a model, a kind of token and a day: tokens seen × billed rate is what calls cost, and
(reported - seen) × rate is what nobody saw, of whoever the report says used it, else of nobody. Shares are by largest
remainder, so that they sum to what was billed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Final

from finops.core.money import allocate
from finops.reconciliation.types import NOBODY, Day, Group, Kind, Line, Owner, Use

_NONE: Final[Mapping[Owner, Use]] = {}


def reconciled(day: Day, *, whole: bool = True) -> list[Line]:
    """The lines that make charges of a day sum to what was billed for it.

    `whole`: what was billed is all there is to pay, so that calls of a model without money cost nothing. Otherwise
    they keep what they stand at.
    """
    day = comparable(day)
    lines, paid = _of_no_model(day) if whole else ([], set())
    groups = {*day.money, *(day.seen if whole else ())} - paid
    for group in sorted(groups):
        money = day.money.get(group, {})
        lines += _of_group(group, money, day.reported.get(group), day.seen.get(group, _NONE))
    return lines


def comparable(day: Day) -> Day:
    """Calls that do not say an account that is billed are compared with all accounts together, and all must be then."""
    accounts = {group.account for group in day.money}
    # One that is billed without a name (a default workspace) is taken at its word where there is no other.
    if all(group.account in accounts and (group.account or len(accounts) == 1) for group in day.seen):
        return day

    def used(of: Mapping[Group, Mapping[Owner, Use]]) -> dict[Group, Mapping[Owner, Use]]:
        return {one: _together(pair for each in every for pair in of[each].items()) for one, every in _models(of)}

    money = {one: _summed(day.money[each] for each in every) for one, every in _models(day.money)}
    return Day(money, used(day.reported), used(day.seen))


def _models(groups: Iterable[Group]) -> Iterable[tuple[Group, list[Group]]]:
    """Groups by model, under the group of all accounts."""
    found: dict[Group, list[Group]] = defaultdict(list)
    for group in groups:
        found[Group("", group.model)].append(group)
    return found.items()


def _of_no_model(day: Day) -> tuple[list[Line], set[Group]]:
    """Some bills name no models (Azure's, Google's): their money pays for calls of an account's models that have none
    of their own, and for calls that name none, by what these stand at, as far as it goes. Its lines, and the groups
    that are done with.
    """
    lines: list[Line] = []
    done: set[Group] = set()
    for group, money in sorted(day.money.items()):
        if group.model or group in day.reported:
            continue
        seen = {
            one: owners
            for one, owners in day.seen.items()
            if one.account == group.account and (one == group or one not in day.money)
        }
        uses = {(one, owner): use for one, owners in seen.items() for owner, use in owners.items()}
        worth = {key: use.of("") for key, use in uses.items()}
        billed = sum(money.values())
        if billed <= 0 or not any(worth.values()):
            continue
        # What is left over is nobody's, and comes first.
        shares = allocate(billed, {(): max(billed - sum(worth.values()), 0), **worth})
        if shares[()]:
            lines.append(Line(Kind.UNSEEN, group, NOBODY, shares[()], {}))
        for (one, owner), use in sorted(uses.items(), key=itemgetter(0)):
            if pico := shares[one, owner] - use.pico:
                lines.append(Line(Kind.CORRECTION, one, owner, pico, {}))
        done |= {group, *seen}
    return lines, done


def _of_group(
    group: Group, money: Mapping[str, int], reported: Mapping[Owner, Use] | None, seen: Mapping[Owner, Use]
) -> list[Line]:
    costs: dict[Owner, int] = defaultdict(int)
    unseen: dict[Owner, int] = defaultdict(int)
    missed: dict[Owner, dict[str, int]] = defaultdict(dict)
    if reported is None:
        _by_worth(sum(money.values()), seen, costs, unseen)
        reported = _NONE
    for kind in _kinds(money, reported) if reported else ():
        billed = money.get(kind, 0)
        used = {owner: one.of(kind) for owner, one in seen.items()}
        missing = not_seen({owner: one.of(kind) for owner, one in reported.items()}, used)
        weights = {(True, owner): count for owner, count in used.items() if count}
        weights |= {(False, owner): count for owner, count in missing.items() if count}
        for (was_seen, owner), pico in allocate(billed, weights or {(False, NOBODY): 1}).items():
            (costs if was_seen else unseen)[owner] += pico
        for owner, count in missing.items():
            if kind and count:
                missed[owner][kind] = count
    lines = []
    for owner in sorted({*costs, *seen}):
        pico = costs[owner] - (seen[owner].pico if owner in seen else 0)
        if pico:
            lines.append(Line(Kind.CORRECTION, group, owner, pico, {}))
    left = sorted({*(owner for owner, pico in unseen.items() if pico), *missed})
    return lines + [Line(Kind.UNSEEN, group, owner, unseen[owner], missed.get(owner, {})) for owner in left]


def _kinds(money: Mapping[str, int], reported: Mapping[Owner, Use]) -> list[str]:
    """Kinds of what was billed, and of what was reported: tokens that nobody is billed for were used all the same."""
    return sorted({*money, *(kind for one in reported.values() for kind in one.counts)}) if money else []


def _by_worth(billed: int, seen: Mapping[Owner, Use], costs: dict[Owner, int], unseen: dict[Owner, int]) -> None:
    """Nobody says what was used: calls are worth what they stand at, as far as the money goes."""
    worth = {(owner,): one.of("") for owner, one in seen.items()}
    if billed > 0 and any(worth.values()):
        for key, pico in allocate(billed, worth | {(): max(billed - sum(worth.values()), 0)}).items():
            if key:
                costs[key[0]] += pico
            else:
                unseen[NOBODY] += pico
    else:
        unseen[NOBODY] += billed


def not_seen(reported: Mapping[Owner, int], seen: Mapping[Owner, int]) -> dict[Owner, int]:
    """Of what was reported, what nobody saw a call of, by whose it is: in all, what was reported less what was seen,
    and nothing where more was seen.

    What an owner's calls used is taken from what is reported of the same owner, of one that says less of them, and in
    the end of nobody; what is left of it, from all in proportion.
    """
    left = {owner: count for owner, count in reported.items() if count > 0}
    over = 0
    for owner, count in sorted(seen.items()):
        for claim in sorted(left, key=lambda claim: (-_said(claim), claim)):
            if count and _covers(claim, owner):
                taken = min(count, left[claim])
                left[claim] -= taken
                count -= taken
        over += count
    total = sum(left.values())
    return allocate(max(total - over, 0), left) if total else {}


def _said(owner: Owner) -> int:
    return sum(one != 0 for one in owner)


def _covers(claim: Owner, owner: Owner) -> bool:
    """Whether what is said of a claim is so of an owner: a key's project is that of a call made with it."""
    return all(said in (0, one) for said, one in zip(claim, owner, strict=True))


def _together(parts: Iterable[tuple[Owner, Use]]) -> dict[Owner, Use]:
    found: dict[Owner, list[Use]] = defaultdict(list)
    for owner, one in parts:
        found[owner].append(one)
    return {
        owner: Use(sum(one.pico for one in each), _summed(one.counts for one in each)) for owner, each in found.items()
    }


def _summed(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for part in parts:
        for name, amount in part.items():
            found[name] += amount
    return dict(found)
