"""Rules as a configuration of the real LiteLLM, without the plug-in and without Capstan."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from routing.rules.litellm import Served, Standing, generated
from routing.rules.types import Rule, Use, When, Within
from tests.proxies.running import Client, Fake, Proxy, ending

pytestmark = pytest.mark.timeout(300)


def test_calls_go_where_the_rules_say_and_fall_back_and_stay_within_limits(
    litellm_installed: None, tmp_path: Path, provider: Fake, bill: Path
) -> None:
    def at(model: str, how: str = "ok") -> Served:
        base = f"http://127.0.0.1:{provider.port}/{how}/v1"
        return Served(model, model, how, "openai", base, "openai", labels=frozenset({how}))

    def rule(asked: str, *use: str) -> Rule:
        return Rule(name=asked, when=When(models=(asked,)), use=tuple(Use(model=one) for one in use))

    made = generated(
        [
            Standing(rule("large", "small")),
            Standing(rule("brave", "broken", "small")),
            Standing(rule("half", "small"), share=0.5),
            Standing(Rule(name="never", when=When(models=("large", "kept")), within=Within(never=("fails",)))),
            Standing(rule("kept", "broken")),
        ],
        {
            **{name: [at(name)] for name in ("large", "small", "brave", "half", "kept")},
            "broken": [at("broken", "fails")],
        },
    )
    settings = made.config["router_settings"] | {"num_retries": 0}
    keys = dict.fromkeys(made.variables.values(), "sk-of-the-tests")
    proxy = Proxy(
        tmp_path, made.config["model_list"], keys, router_settings=settings, litellm_settings={"callbacks": []}
    )
    with ending(proxy):
        client = Client(proxy, tmp_path / "client.log")
        with ending(client.child):

            def serves(model: str) -> str:
                before = len(bill.read_text().splitlines())
                said = client.chat(model)
                assert "answer" in said, said
                [line] = bill.read_text().splitlines()[before:]
                found: str = json.loads(line)["model"]
                return found

            # `openai/large` too, which LiteLLM would take for a model of its own.
            asked = ("large", "openai/large", "small", "brave", "kept")
            assert [serves(one) for one in asked] == ["small", "small", "small", "small", "kept"]
            # In all of 40 calls drawn at half, one model alone has a chance of two in a million million.
            drawn = Counter(serves("half") for _ in range(40))
            assert set(drawn) == {"small", "half"}
            assert client.chat("broken")["status"] == 500
