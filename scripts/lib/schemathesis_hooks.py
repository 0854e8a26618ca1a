"""Skips the generated bodies for which JSON Schema cannot express the rule of the ingress: limits in bytes of UTF-8."""

from __future__ import annotations

from typing import Any

import schemathesis

MAX_BYTES = {"questionId": 128, "submissionId": 128, "sourceCode": 200_000}


@schemathesis.hook
def filter_body(_context: Any, body: Any) -> bool:
    """Whether each text that has a permitted number of characters also has a permitted number of bytes."""
    if not isinstance(body, dict):
        return True
    return not any(isinstance(text := body.get(name), str) and len(text) <= limit < len(text.encode("utf-8", "replace"))
                   for name, limit in MAX_BYTES.items())
