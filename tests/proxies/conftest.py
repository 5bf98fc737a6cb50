"""One proxy for all tests of a process: it takes ten seconds to start."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environments import installed
from tests.proxies.running import Client, Fake, Proxy, deployment, ending, free_port

CHEAP, DEAR = "openai/gpt-4o-mini", "openai/gpt-4o"


@pytest.fixture(scope="session")
def litellm_installed() -> None:
    installed("litellm")


@pytest.fixture(scope="session")
def folder(litellm_installed: None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="capstan-") as made:
        yield Path(made)


@pytest.fixture(scope="session")
def provider(folder: Path) -> Iterator[Fake]:
    fake = Fake("tests.fakes.provider", folder / "provider.log", str(folder / "charged.jsonl"))
    with ending(fake.child):
        yield fake


@pytest.fixture(scope="session")
def capstan_process(folder: Path) -> Iterator[Fake]:
    fake = Fake("tests.fakes.capstan", folder / "capstan.log")
    with ending(fake.child):
        yield fake


@pytest.fixture
def capstan(capstan_process: Fake) -> Fake:
    """Empty, and with room for anything."""
    capstan_process.tell(reset=True)
    return capstan_process


@pytest.fixture(scope="session")
def proxy(folder: Path, provider: Fake, capstan_process: Fake) -> Iterator[Proxy]:
    port = provider.port
    models = [
        deployment("gpt", CHEAP, port),
        deployment("dear", DEAR, port),
        deployment("claude", "anthropic/claude-sonnet-4-5", port),
        deployment("embed", "openai/text-embedding-3-small", port),
        deployment("nobody-knows", "openai/nobody-knows", port),
        *(deployment(how, CHEAP, port, how) for how in ("refuses", "fails", "dies", "breaks", "slow", "mute")),
        deployment("hangs", CHEAP, port, "hangs", timeout=1),
        deployment("gone", CHEAP, free_port()),
        deployment("falls", CHEAP, port, "fails"),
        deployment("retries", CHEAP, port, "fails", num_retries=2),
        deployment("stubborn", CHEAP, port, "fails", num_retries=9),
    ]
    raw = {"path": "/raw", "target": f"http://127.0.0.1:{port}/ok/v1/chat/completions"}
    settings = {
        "router_settings": {"num_retries": 0, "fallbacks": [{"falls": ["dear"]}]},
        "litellm_settings": {"cache": True, "cache_params": {"type": "local", "mode": "default_off"}},
        "general_settings": {"pass_through_endpoints": [raw]},
    }
    environment = {"CAPSTAN_URL": f"http://127.0.0.1:{capstan_process.port}", "CAPSTAN_KEY": "cap_of_the_tests"}
    made = Proxy(folder, models, {**environment, "CAPSTAN_TIMEOUT": "2", "CAPSTAN_MOST_TRIES": "3"}, **settings)
    with ending(made):
        yield made


@pytest.fixture(scope="session")
def client(proxy: Proxy, folder: Path) -> Iterator[Client]:
    made = Client(proxy, folder / "client.log")
    with ending(made.child):
        yield made


@pytest.fixture
def bill(folder: Path, provider: Fake) -> Path:
    """The file in which the provider writes what it has charged for."""
    path = folder / "charged.jsonl"
    path.write_bytes(b"")
    return path
