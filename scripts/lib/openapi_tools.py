"""The packages that check docs/openapi.yaml."""

from __future__ import annotations

from pathlib import Path

from lib.virtual_environment import VirtualEnvironment

ENVIRONMENT = VirtualEnvironment("openapi", "the checks of docs/openapi.yaml",
                                 Path(__file__).resolve().parent / "openapi-requirements.txt")
