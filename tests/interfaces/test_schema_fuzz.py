"""The usage doors against their own OpenAPI schema: whatever fits it or does not, never a 500, and answers as written."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client
from hypothesis import HealthCheck, Phase, settings
from schemathesis import GenerationMode
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig

from tests.interfaces.conftest import Api

DOORS = ("/api/v1/usage", "/api/v1/events", "/api/v1/quarantine/replay", "/api/v1/quarantine")
