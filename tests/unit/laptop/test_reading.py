"""A capstan.toml is read whole, and every mistake in it has its place."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from finops.budgets.types import Enforcement, Period
from routing.laptop.errors import FileInvalid
from routing.laptop.reading import read
from routing.laptop.rules import near_host
from routing.laptop.sample import SAMPLE
from routing.laptop.types import Wanted
from routing.upstreams.types import Auth, DeploymentDraft

OLLAMA = '[[upstreams]]\npreset = "ollama"\nmodels = ["llama3.2"]\n'


def said(tmp_path: Path, text: str, **environment: str) -> Wanted:
    (tmp_path / "capstan.toml").write_text(text)
    return read(tmp_path / "capstan.toml", environment=environment, internal=frozenset())


def mistakes(tmp_path: Path, text: str, **environment: str) -> list[str]:
    with pytest.raises(FileInvalid) as refused:
        said(tmp_path, text, **environment)
    return list(refused.value.mistakes)


def test_the_file_that_init_writes_can_be_taken_as_it_is(tmp_path: Path) -> None:
    wanted = said(tmp_path, SAMPLE)
    [upstream] = wanted.upstreams
    assert (upstream.draft.base_url, upstream.draft.auth, upstream.draft.labels) == (
        "http://localhost:11434/v1",
        Auth.NONE,
        ("local",),
    )
    assert upstream.deployments == (
        DeploymentDraft("llama3.2", "llama3.2"),
        DeploymentDraft("small", "qwen3:0.6b"),
    )
    [budget] = wanted.budgets
    assert (budget.draft.limit_amount, budget.draft.period, budget.draft.enforcement) == (
        Decimal(20),
        Period.MONTH,
        Enforcement.HARD,
    )
    # One price for each model that is named, by what the upstream calls it; all that it may use has one.
    assert [(one.provider, one.model) for one in wanted.prices] == [("ollama", "llama3.2"), ("ollama", "qwen3:0.6b")]
    assert set(wanted.prices[0].steps[0].rates.values()) == {Decimal(0)}
    assert wanted.near == {"localhost:11434"}


def test_everything_that_stands_there_as_a_comment_can_be_taken_too(tmp_path: Path) -> None:
    commented = [line.removeprefix("# ") for line in SAMPLE.splitlines() if line.startswith("# ")]
    settings = [line for line in commented if line.startswith("[[") or " = " in line]
    wanted = said(tmp_path, "\n".join([OLLAMA, *settings]), OPENAI_API_KEY="sk-live")
    assert [one.draft.name for one in wanted.upstreams] == ["ollama", "vllm", "openai"]
    assert [(one.draft.period, one.draft.each) for one in wanted.budgets] == [("day", "agent")]


def test_a_provider_by_preset_with_a_credential_from_the_environment(tmp_path: Path) -> None:
    wanted = said(tmp_path, '[[upstreams]]\npreset = "anthropic"\ncredential_env = "KEY"\n', KEY=" sk-ant ")
    [upstream] = wanted.upstreams
    assert (upstream.credential, upstream.draft.auth, upstream.draft.any_model) == ("sk-ant", "x-api-key", True)
    assert wanted.near == frozenset()
    assert "sk-ant" not in repr(wanted)


def test_a_credential_from_a_file_beside(tmp_path: Path) -> None:
    (tmp_path / "openai.key").write_text("sk-file\n")
    text = '[[upstreams]]\npreset = "azure"\nresource = "acme"\nmodels = "any"\ncredential_file = "openai.key"\n'
    [upstream] = said(tmp_path, text).upstreams
    assert (upstream.credential, upstream.draft.base_url) == ("sk-file", "https://acme.openai.azure.com/openai/v1")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "upstreams: name one at least"),
        ("upstreams = []", "upstreams: name one at least"),
        ("[[upstreams]\n", "not TOML: "),
        (OLLAMA + "[[upstreams]]\nname = 7\n", "upstreams[1].name: expected str, got int"),
        (OLLAMA + "[[upstreams]]\n", "upstreams[1].name: an upstream has a name, or a preset"),
        (OLLAMA + '[[upstreams]]\nname = "x"\n', "upstreams[1].base_url: say where it is"),
        (OLLAMA + 'timeout = 3\n', "upstreams[0].timeout: there is no such field"),
        (OLLAMA + 'api_key = "sk"\n', "upstreams[0].api_key: a credential is named, never written"),
        (OLLAMA + 'credential_env = "sk-live-1"\n', "upstreams[0].credential_env: the name of a variable"),
        (OLLAMA + 'credential_env = "NO_KEY"\n', "upstreams[0].credential_env: NO_KEY is not set where"),
        (OLLAMA + 'credential_file = "none"\n', "upstreams[0].credential_file: it cannot be read: No such file"),
        (OLLAMA + 'auth = "none"\ncredential_env = "KEY"\n', "upstreams[0].credential_env: where auth is none"),
        ('[[upstreams]]\npreset = "openai"\n', "upstreams[0].credential_env: a credential is needed"),
        ('[[upstreams]]\npreset = "vllm"\n', "upstreams[0].models: name the models it serves"),
        ('[[upstreams]]\npreset = "vllm"\nmodels = "all"\n', "upstreams[0].models: a list of models"),
        ('[[upstreams]]\npreset = "vllm"\nmodels = ["a", "b c"]\n', "upstreams[0].models[1].model: a model has"),
        ('[[upstreams]]\npreset = "vllm"\nmodels = ["a", "a"]\n', "upstreams[0].models: 'a' is said 2 times"),
        ('[[upstreams]]\npreset = "vllm"\nmodels = [{ name = 1 }]\n', "upstreams[0].models[0].name: expected str"),
        ('[[upstreams]]\npreset = "azure"\nmodels = "any"\n', "upstreams[0].resource: say which"),
        (OLLAMA + OLLAMA, "upstreams[1].name: 'ollama' is said 2 times"),
        (OLLAMA + 'base_url = "http://api.example.com/v1"\n', "upstreams[0].base_url: use https"),
        (OLLAMA + 'base_url = "http://169.254.169.254/v1"\n', "upstreams[0].base_url: 169.254.169.254 is an address"),
        (OLLAMA + '[[budgets]]\nname = "x"\n', "budgets[0].limit: is needed"),
        (OLLAMA + '[[budgets]]\nname = "x"\nlimit = -1\n', "budgets[0].limit: an amount is a number from 0"),
        (OLLAMA + '[[budgets]]\nname = "x"\nlimit = nan\n', "budgets[0].limit: an amount is a number from 0"),
        (OLLAMA + '[[budgets]]\nname = "x"\nlimit = 1\nperiod = "hour"\n', "budgets[0].period: one of day, week"),
        (OLLAMA + '[[budgets]]\nname = "x"\nlimit = 1\neach = "desk"\n', "budgets[0].each: a budget can be for"),
        (OLLAMA + '[[budgets]]\nname = "x"\nlimit = 1\nenforcement = "soft"\n', "budgets[0].enforcement: one of"),
        (OLLAMA + '[[prices]]\nupstream = "olama"\ninput = 0\noutput = 0\n', "prices[0].upstream: there is no"),
        (OLLAMA + '[[prices]]\nupstream = "ollama"\ninput = 0\noutput = -1\n', "prices[0].output: a price is"),
        (OLLAMA + '[organization]\ncurrency = "EURO"\n', "organization.currency: 'EURO' is not an ISO 4217"),
        (OLLAMA + '[attribution]\nprojects = ["ok", "Not ok"]\n', "attribution.projects[1]: 1 to 80 of"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_place(tmp_path: Path, text: str, found: str) -> None:
    [mistake] = mistakes(tmp_path, text, KEY="sk-live-2")
    assert mistake.startswith(found)
    assert "sk-live" not in mistake


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = '[[upstreams]]\npreset = "x"\n[[budgets]]\nname = ""\nlimit = 1\n[organization]\ncurrency = "?"\n'
    assert [one.split(":")[0] for one in mistakes(tmp_path, text)] == [
        "upstreams[0].preset",
        "budgets[0].name",
        "organization.currency",
    ]


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "capstan.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(FileInvalid, match=r"capstan\.toml is not UTF-8 text"):
        read(tmp_path / "capstan.toml", environment={}, internal=frozenset())
    with pytest.raises(FileInvalid, match=r"nothing\.toml cannot be read: No such file"):
        read(tmp_path / "nothing.toml", environment={}, internal=frozenset())


@pytest.mark.parametrize(
    ("address", "near"),
    [
        ("http://localhost:11434/v1", "localhost:11434"),
        ("http://127.0.0.1/v1", "127.0.0.1"),
        ("http://[::1]:8000/v1", "::1:8000"),
        ("https://10.1.2.3/v1", "10.1.2.3"),
        ("http://gpu-box:8000/v1", "gpu-box:8000"),
        ("http://host.docker.internal:1/v1", "host.docker.internal:1"),
        ("https://gpu.local/v1", "gpu.local"),
        ("https://api.openai.com/v1", ""),
        ("http://8.8.8.8/v1", ""),
        ("http://a,b:1/v1", ""),
        ("http://[broken/v1", ""),
        ("", ""),
    ],
)
def test_a_host_inside_is_known_by_how_it_is_written(address: str, near: str) -> None:
    assert near_host(address) == near
