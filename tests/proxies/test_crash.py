"""Settlements that outlive the proxy: it is killed without a word between the provider's answer and Capstan's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxies.running import Client, Fake, Proxy, deployment, ending
from tests.waiting import until

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def fragile(tmp_path: Path, provider: Fake, capstan: Fake) -> Iterator[Proxy]:
    models = [deployment(how, "openai/gpt-4o-mini", provider.port, how) for how in ("ok", "slow")]
    environment = {"CAPSTAN_URL": f"http://127.0.0.1:{capstan.port}", "CAPSTAN_KEY": "cap_of_the_tests"}
    made = Proxy(tmp_path, models, {**environment, "CAPSTAN_WHEN_UNREACHABLE": "open"})
    with ending(made):
        yield made


def test_a_killed_proxy_loses_no_settlement(fragile: Proxy, capstan: Fake, tmp_path: Path) -> None:
    """One call was answered and never told of; one was under way; and one was let through while Capstan was away."""
    client = Client(fragile, tmp_path / "client.log")
    with ending(client.child):
        under_way = client.start("chat", model="slow", stream=True, max_tokens=500, messages=_hello())
        until(lambda: len(capstan.told()["open"]) == 1)
        answered = client.start("chat", model="slow", stream=True, leave_after=150, messages=_hello())
        until(lambda: len(capstan.told()["open"]) == 2)
        # Seconds before the second client has read what it wants.
        capstan.tell(away=True)
        client.wait(answered)
        assert client.chat("ok")["answer"]["usage"]["completion_tokens"] == 40
        # Both are on the disk: the first as what came, the second as a record of usage.
        until(lambda: _kept(fragile) >= 2)
        fragile.kill()
        client.wait(under_way)
    assert capstan.told()["settled"] == {}
    capstan.tell(away=False)

    # Nobody has to call for it: the proxy takes over what it finds when it starts.
    fragile.start()
    until(lambda: not capstan.told()["open"] and len(capstan.told()["usage"]) == 1)
    told = capstan.told()
    came, unseen = sorted(told["settled"].values(), key=lambda one: int(one["usage"]["output_tokens"]))
    assert 1 <= came["usage"]["output_tokens"] < 400
    assert (unseen["usage"]["output_tokens"], unseen["estimated"]) == (500, True)
    assert told["usage"][0]["usage"]["output_tokens"] == 40
    until(lambda: _kept(fragile) == 0)


def _hello() -> list[dict[str, str]]:
    return [{"role": "user", "content": "hello"}]


def _kept(proxy: Proxy) -> int:
    """How many ends of calls are on the disk and not yet told."""
    return len(proxy.waiting("send"))
