"""Takes labels: which types calls are of. No text of a call reaches a row or the trail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from django.db import transaction

from finops.core.actors import Actor
from routing.classify import rules
from routing.classify.models import LabelledCall
from routing.classify.packed import drawn_with, pack
from routing.classify.rules import Label, LabelInvalid
from routing.classify.services.common import lock, note
from routing.classify.services.watching import watch
from routing.classify.types import Source

_FIELDS: Final = ("task_type", "source", "session", "words", "marks", "at")


class Taken(NamedTuple):
    """`new` calls were labelled for the first time, `changed` otherwise than before, `same` as before; and of `kept`
    somebody whose word counts for more had said something else.
    """

    new: int = 0
    changed: int = 0
    same: int = 0
    kept: int = 0


@transaction.atomic
def label_calls(*, organization_id: int, labels: Sequence[Label], by: Actor, at: datetime) -> Taken:
    """Say which types calls are of. A call has one label, the last one of the best source; said again, nothing changes.
    Raises LabelInvalid, and then nothing is taken.
    """
    if len(labels) > rules.MOST_AT_ONCE:
        raise LabelInvalid(f"at most {rules.MOST_AT_ONCE} labels at once", field="labels")
    given: dict[str, Label] = {}
    for place, one in enumerate(labels):
        checked = rules.check(one, field=f"labels[{place}]")
        if checked.call_id in given:
            raise LabelInvalid("this call came before", field=f"labels[{place}].call_id")
        given[checked.call_id] = checked
    taken, types = take_labels(organization_id, list(given.values()), by, at)
    if taken.new or taken.changed:
        details = taken._asdict() | {"task_types": dict(Counter(types).most_common(20))}
        note(organization_id, "task_types.labelled", "labels", details, by, at)
    return taken


def take_labels(organization_id: int, labels: Sequence[Label], by: Actor, at: datetime) -> tuple[Taken, list[str]]:
    """Labels that were checked, each of another call, in the caller's transaction; with the types of those that are new
    or changed. Raises LabelInvalid for a type too many.
    """
    lock(organization_id)
    given = {one.call_id: one for one in labels}
    mine = LabelledCall.objects.filter(organization_id=organization_id)
    before = {row.call_id: row for row in mine.filter(call_id__in=list(given)).defer("words", "marks")}
    _check_types(organization_id, {one.task_type for one in given.values()})
    new = [_row(organization_id, one, at) for name, one in given.items() if name not in before]
    LabelledCall.objects.bulk_create(new)
    changed, surer, same, kept = [], [], 0, 0
    for name, row in before.items():
        counts_more = rules.overrides(given[name].source, Source(row.source))
        if row.task_type == given[name].task_type:
            same += 1
            if counts_more and row.source != given[name].source:
                row.source = given[name].source.value
                surer.append(row)
        elif counts_more:
            changed.append(_row(organization_id, given[name], at, id_=row.id))
        else:
            kept += 1
    LabelledCall.objects.bulk_update(changed, _FIELDS)
    LabelledCall.objects.bulk_update(surer, ["source"])
    types = [row.task_type for row in (*new, *changed)]
    if types:
        _forget_oldest(organization_id, set(types))
        watch(organization_id, [given[row.call_id] for row in new], by, at)
    return Taken(new=len(new), changed=len(changed), same=same, kept=kept), types


def _check_types(organization_id: int, named: set[str]) -> None:
    rows = LabelledCall.objects.filter(organization_id=organization_id).values_list("task_type", flat=True)
    if len(set(rows.order_by("task_type").distinct()) | named) > rules.MOST_LABELLED_TYPES:
        raise LabelInvalid(f"an organization has at most {rules.MOST_LABELLED_TYPES} task types", field="labels")


def _forget_oldest(organization_id: int, task_types: Iterable[str]) -> None:
    """The newest stay, and of half of them those that somebody labelled one by one: calls bring many more."""
    for task_type in sorted(task_types):
        rows = LabelledCall.objects.filter(organization_id=organization_id, task_type=task_type).order_by("-at", "-id")
        if rows.count() <= rules.MOST_PER_TYPE:
            continue
        said = list(rows.filter(source=Source.API).values_list("id", flat=True)[: rules.MOST_PER_TYPE // 2])
        others = rows.exclude(id__in=said).values_list("id", flat=True)
        LabelledCall.objects.filter(id__in=list(others[rules.MOST_PER_TYPE - len(said) :])).delete()


def _row(organization_id: int, label: Label, at: datetime, *, id_: int | None = None) -> LabelledCall:
    packed = pack(label.signs)
    return LabelledCall(
        id=id_,
        organization_id=organization_id,
        call_id=label.call_id,
        task_type=label.task_type,
        source=label.source.value,
        session=label.drawn_with or drawn_with(organization_id, label.session or label.call_id),
        words=packed.words,
        marks=packed.marks,
        at=at,
    )
