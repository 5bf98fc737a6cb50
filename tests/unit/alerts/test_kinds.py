"""What a rule may say, and incidents in words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.alerts.rules.kinds import PARAMS, RuleInvalid, check_name, check_params, meant
from finops.alerts.rules.signals import finding_of
from finops.alerts.rules.words import KINDS, Called, told
from finops.alerts.types import SIGNALLED, Kind
from tests.factories.orgs import NOON

JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
NAMES = sorted({name for known in PARAMS.values() for name in known})


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_its_parameters_and_its_words(kind: Kind) -> None:
    assert check_params(kind, {}) == {}
    assert KINDS[kind]
    for name in PARAMS[kind]:
        meant(kind, {}, name)
    title, sentences = told(kind, {}, Called("", "", "USD"))
    assert title
    assert all(sentences)


@pytest.mark.parametrize(
    ("kind", "said", "field"),
    [
        ("budget.threshold", {"least_percent": 0}, "params.least_percent"),
        ("budget.threshold", {"least_percent": True}, "params.least_percent"),
        ("budget.threshold", {"budgets": []}, "params.budgets"),
        ("budget.threshold", {"budgets": ["1"]}, "params.budgets"),
        ("spend.unattributed", {"percent": "ten"}, "params.percent"),
        ("spend.unattributed", {"least_amount": "NaN"}, "params.least_amount"),
        ("spend.unattributed", {"least_amount": 1.5}, "params.least_amount"),
        ("spend.anomaly", {"dimensions": ["person"]}, "params.dimensions"),
        ("breaker.tripped", {"percent": 1}, "params.percent"),
        ("no.such", {}, "kind"),
    ],
)
def test_a_mistake_names_its_field(kind: str, said: dict[str, Any], field: str) -> None:
    with pytest.raises(RuleInvalid) as refused:
        check_params(kind, said)
    assert refused.value.field == field


@given(kind=st.sampled_from(list(Kind)), said=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), JSON))
def test_whatever_is_said_is_checked_or_refused(kind: Kind, said: dict[str, Any]) -> None:
    try:
        checked = check_params(kind, said)
    except RuleInvalid:
        return
    assert check_params(kind, checked) == checked


TOLD = ("spent", "limit", "until", "reason", "day", "ends_at", "allowed_minutes", "last_received_at", "cost", "x")


@given(kind=st.sampled_from(list(Kind)), details=st.dictionaries(st.sampled_from(TOLD), JSON))
def test_details_of_any_shape_have_words(kind: Kind, details: dict[str, Any]) -> None:
    title, _ = told(kind, details, Called("Search a month", "team Search", "USD"))
    assert title


@given(kind=st.sampled_from(sorted(SIGNALLED)) | st.text(max_size=20), key=st.text(max_size=300), details=JSON)
def test_a_signal_of_any_shape_can_be_read(kind: str, key: str, details: Any) -> None:
    found = finding_of(kind, key, details, NOON)
    assert (found is None) == (kind not in SIGNALLED)


def test_a_name_is_tidied() -> None:
    assert check_name("  Nights   and weekends ") == "Nights and weekends"
    with pytest.raises(RuleInvalid):
        check_name("\x00")
