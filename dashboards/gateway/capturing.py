"""The form by which captures are switched on and changed."""

from __future__ import annotations

from typing import Any

from django import forms

from dashboards.forms import ActionForm
from routing.captures import rules, selectors
from routing.captures.types import Capturing


class CapturingForm(ActionForm):
    share = forms.DecimalField(
        label="Percent of calls", min_value=0, max_value=rules.MOST_SHARE, max_digits=5,
        decimal_places=rules.SHARE_PLACES,
    )  # fmt: skip
    days_kept = forms.IntegerField(
        label="Days kept", min_value=1, max_value=rules.MOST_DAYS, help_text="Fewer hold for what is there already."
    )
    most_a_day = forms.IntegerField(label="At most a day", min_value=1, max_value=rules.MOST_A_DAY)
    most_kib = forms.IntegerField(
        label="KiB of each call",
        min_value=rules.LEAST_KIB,
        max_value=rules.MOST_KIB,
        help_text="A larger request is not captured; of a larger answer this much is.",
    )
    task_types = forms.CharField(
        required=False, max_length=2_000, label="Only these task types", help_text="With commas between; empty: all."
    )
    projects = forms.CharField(
        required=False, max_length=2_000, label="Only these projects", help_text="By their short names; empty: all."
    )

    def __init__(self, data: Any, organization_id: int, said: Capturing) -> None:
        named = {"task_types": ", ".join(said.task_types)}
        named["projects"] = ", ".join(selectors.project_slugs(organization_id, said.project_ids))
        same = {name: getattr(said, name) for name in ("share", "days_kept", "most_a_day", "most_kib")}
        super().__init__(data, initial=same | named)
        self._organization_id = organization_id

    def said(self) -> Capturing:
        """Switched on, as it is typed. Raises CapturingInvalid."""
        given = dict(self.cleaned_data)
        slugs, task_types = _words(given.pop("projects")), _words(given.pop("task_types"))
        project_ids = selectors.project_ids(self._organization_id, slugs)
        return Capturing(is_on=True, task_types=task_types, project_ids=project_ids, **given)


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))
