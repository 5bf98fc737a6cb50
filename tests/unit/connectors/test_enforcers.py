"""Keys blocked and given back at real servers: ours on loopback always, a LiteLLM proxy or Anthropic where the
environment names one (CAPSTAN_LIVE_LITELLM or CAPSTAN_LIVE_ANTHROPIC: `address credential key`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from finops.connectors.enforcement import CONNECTORS, EnforcementError, Enforcer, KeyState
from finops.connectors.enforcers import enforcer
from finops.connectors.outgoing import LARGEST_ANSWER
from tests.fakes.anthropic_keys import ADMIN, AnthropicKeys
from tests.fakes.http import Fake
from tests.fakes.litellm_keys import MASTER, LiteLLMKeys

HASH, ID = "ab" * 32, "apikey_01Example"


class At(NamedTuple):
    enforcer: Enforcer
    key: str


def of(fake: LiteLLMKeys | AnthropicKeys, credential: str = "") -> Enforcer:
    name, usual = ("litellm", MASTER) if isinstance(fake, LiteLLMKeys) else ("anthropic", ADMIN)
    return enforcer(name, address=fake.address, credential=credential or usual, internal={fake.host})


@pytest.fixture
def litellm() -> Iterator[LiteLLMKeys]:
    fake = LiteLLMKeys(HASH)
    yield fake
    fake.close()


@pytest.fixture
def anthropic() -> Iterator[AnthropicKeys]:
    fake = AnthropicKeys(ID)
    yield fake
    fake.close()


@pytest.fixture(params=["litellm", "anthropic"])
def fake(request: pytest.FixtureRequest) -> LiteLLMKeys | AnthropicKeys:
    found: LiteLLMKeys | AnthropicKeys = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["litellm", "anthropic", "live litellm", "live anthropic"])
def at(request: pytest.FixtureRequest) -> At:
    kind, name = request.param.split()[0], request.param.split()[-1]
    if kind != "live":
        return At(of(request.getfixturevalue(name)), HASH if name == "litellm" else ID)
    said = os.environ.get(f"CAPSTAN_LIVE_{name.upper()}", "").split()
    if len(said) != 3:
        pytest.skip("no live server is named")
    return At(enforcer(name, address=said[0], credential=said[1], internal=()), said[2])


def test_a_key_is_blocked_and_given_back_however_often_it_is_said(at: At) -> None:
    assert at.enforcer.state(at.key) is KeyState.ACTIVE
    for _ in range(2):
        at.enforcer.block(at.key)
        assert at.enforcer.state(at.key) is KeyState.BLOCKED
    for _ in range(2):
        at.enforcer.unblock(at.key)
        assert at.enforcer.state(at.key) is KeyState.ACTIVE


def test_a_key_that_is_not_there_is_gone(fake: LiteLLMKeys | AnthropicKeys) -> None:
    found, gone = of(fake), "cd" * 32 if isinstance(fake, LiteLLMKeys) else "apikey_02Example"
    assert found.state(gone) is KeyState.GONE
    with pytest.raises(EnforcementError) as refused:
        found.block(gone)
    assert refused.value.permanent


@pytest.mark.parametrize("status", ["archived", "expired"])
def test_a_key_that_was_archived_or_expired_is_gone(anthropic: AnthropicKeys, status: str) -> None:
    anthropic.status[ID] = status
    assert of(anthropic).state(ID) is KeyState.GONE


@pytest.mark.parametrize(("status", "permanent"), [(401, True), (403, True), (429, False), (500, False), (503, False)])
def test_what_a_person_must_mend_is_told_from_what_passes(
    fake: LiteLLMKeys | AnthropicKeys, status: int, permanent: bool
) -> None:
    fake.fail(status)
    with pytest.raises(EnforcementError) as failed:
        of(fake).block(HASH if isinstance(fake, LiteLLMKeys) else ID)
    assert failed.value.permanent is permanent


def test_a_wrong_credential_is_for_a_person_and_is_not_repeated_in_words(fake: LiteLLMKeys | AnthropicKeys) -> None:
    with pytest.raises(EnforcementError) as failed:
        of(fake, "sk-wrong").state(HASH if isinstance(fake, LiteLLMKeys) else ID)
    assert failed.value.permanent
    assert "sk-wrong" not in failed.value.message


def test_a_redirect_is_not_followed(fake: LiteLLMKeys | AnthropicKeys) -> None:
    fake.fail(302, headers={"Location": f"{fake.address}/elsewhere"})
    with pytest.raises(EnforcementError):
        of(fake).block(HASH if isinstance(fake, LiteLLMKeys) else ID)
    assert [one.path for one in fake.asked if "elsewhere" in one.path] == []


@pytest.mark.parametrize("body", [b"x" * (LARGEST_ANSWER + 1), b"not json", b"[]", b'{"blocked": null}'])
def test_an_answer_that_cannot_be_read_is_tried_again(fake: LiteLLMKeys | AnthropicKeys, body: bytes) -> None:
    fake.fail(200, body=body)
    with pytest.raises(EnforcementError) as failed:
        of(fake).block(HASH if isinstance(fake, LiteLLMKeys) else ID)
    assert not failed.value.permanent


def test_nobody_there_is_tried_again(litellm: LiteLLMKeys) -> None:
    found, gone = of(litellm), Fake.close
    gone(litellm)
    with pytest.raises(EnforcementError, match="cannot be reached") as failed:
        found.block(HASH)
    assert not failed.value.permanent
    # The fixture closes it once more.
    litellm.close = lambda: None  # type: ignore[method-assign]


def test_a_connector_without_such_keys_has_no_enforcer() -> None:
    with pytest.raises(EnforcementError) as refused:
        enforcer("file", address="https://example.com", credential="x", internal=())
    assert refused.value.permanent


@pytest.mark.parametrize("secret", ["sk-1234567890", "sk-ant-api03-something"])
def test_a_secret_is_no_name_of_a_key(secret: str) -> None:
    assert not any(one.key_shape.fullmatch(secret) for one in CONNECTORS.values())
