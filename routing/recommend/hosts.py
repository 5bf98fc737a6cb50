"""The same model at another place for less: a matter of price, with no question of quality. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from routing.recommend import wording, writing
from routing.recommend.deciding import basis_of, saving_of, written
from routing.recommend.types import Advice, Kind, Said, Verdict, Volume

# Less is not worth a change.
LEAST_SHARE: Final = 0.02


class Offer(NamedTuple):
    """A model at an upstream, and what a call as they usually are costs there (`currency`). Lower `rank` is tried
    first, among equals each by its `weight`. `sold` is the model as sellers call it (`same_name`): under one name of
    ours there may be several.
    """

    model: str
    place: str
    rank: int
    weight: int
    cost: Decimal
    currency: str
    sold: str


def same_name(model: str) -> str:
    """Sellers write one model with and without its maker: `meta-llama/Llama-3.1-70B`, `llama-3.1-70b`."""
    return model.strip().lower().rsplit("/", 1)[-1]


def cheaper(offers: Sequence[Offer], volume: Volume) -> Advice | None:
    """Offers of one model. What is asked first is the incumbent; where several are, what calls cost at them on average.
    None where nothing is cheaper, or they are priced in several currencies.
    """
    first = min((one.rank for one in offers), default=0)
    now = [one for one in offers if one.rank == first]
    if len({one.sold for one in now}) != 1:
        return None
    offers = [one for one in offers if one.sold == now[0].sold]
    total = sum(one.weight for one in now)
    if not total or len({one.currency for one in offers}) > 1 or volume.spend <= 0:
        return None
    usual = sum((one.cost * one.weight for one in now), Decimal(0)) / total
    best = min(offers, key=lambda one: (one.cost, one.rank, one.place))
    if usual <= 0 or [one.place for one in now] == [best.place]:
        return None
    share = float(1 - best.cost / usual)
    if share < LEAST_SHARE:
        return None
    rule = written(writing.hosted, best.model, best.place)
    saving = saving_of(volume, Said(share, share, share), None)
    places = ", ".join(sorted(one.place for one in now))
    return Advice(
        kind=Kind.HOST.value,
        task_type="",
        task_types=(),
        incumbent=best.model,
        candidate=best.place,
        verdict=Verdict.PRICE.value,
        basis=basis_of(sorted((one.place, one.rank, one.weight, str(one.cost), one.currency) for one in offers)),
        evidence_version=0,
        in_words=f"Ask {best.place} first for {best.model}: there it costs {wording.percent(share)} less.",
        reasons=(
            f"It is the same model: this is a matter of price, and not of quality. Now {places} is asked first.",
            *(
                f"A call as they were in the last 30 days costs {wording.money(one.cost, one.currency)} at {one.place}."
                for one in sorted(offers, key=lambda one: (one.cost, one.place))
            ),
            wording.saved(saving, volume),
        ),
        volume=volume,
        saving=saving,
        rule=None if rule is None else writing.plain(rule),
        yaml="" if rule is None else writing.document(rule),
    )
