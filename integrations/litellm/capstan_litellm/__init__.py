"""Capstan's hard caps in a LiteLLM proxy: `litellm_settings: {callbacks: ["capstan_litellm.plugin.guard"]}`."""

from __future__ import annotations

from typing import Final

__version__: Final = "0.1.0"
