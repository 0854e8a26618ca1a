"""docs/openapi.yaml, and checks of requests, answers and examples against it. Needs openapi_tools.ENVIRONMENT.ensure()."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Iterator, Mapping

from lib.project import ROOT

PATH = ROOT / "docs" / "openapi.yaml"
# Headers that HTTP or a security scheme defines; OpenAPI describes them in other places or not at all.
PLAIN_HEADERS = {"accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "date", "host",
                 "user-agent"}


class Document:
    """An OpenAPI document."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content

    @classmethod
    def load(cls, path: Path = PATH) -> Document:
        """Read a document. YAML aliases become copies, so that a change in one place changes nothing else."""
        import yaml

        return cls(json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")))))

    def changed(self, *keys: str, value: Any) -> Document:
        """A copy with one value changed; the keys lead to it."""
        content = copy.deepcopy(self.content)
        node = content
        for key in keys[:-1]:
            node = node[key]
        node[keys[-1]] = value
        return Document(content)

    def problems(self) -> list[str]:
        """Where the document violates the OpenAPI specification."""
        from openapi_spec_validator import OpenAPIV31SpecValidator

        return [error.message for error in OpenAPIV31SpecValidator(self.content).iter_errors()]

    def resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        """The object that a reference names; other objects as they are."""
        while "$ref" in node:
            target: Any = self.content
            for key in node["$ref"].removeprefix("#/").split("/"):
                target = target[key.replace("~1", "/").replace("~0", "~")]
            node = target
        return node

    def schema(self, name: str) -> dict[str, Any]:
        """A schema of the components."""
        return self.content["components"]["schemas"][name]

    def schema_problems(self, schema: dict[str, Any], value: Any) -> list[str]:
        """Where a value does not match a schema."""
        from jsonschema import Draft202012Validator

        # References in the schema start at the root of the document.
        validator = Draft202012Validator({**schema, "components": self.content["components"]})
        return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]

    def answer_problems(self, answer: dict[str, Any], headers: Mapping[str, str], body: bytes) -> list[str]:
        """Where an answer does not match its description; the names of headers are in lower case."""
        problems = self.header_problems(self.resolve(answer).get("headers", {}), headers)
        return problems + self.content_problems(self.resolve(answer).get("content"), headers, body)

    def call_problems(self, operation: dict[str, Any], headers: Mapping[str, str], body: bytes) -> list[str]:
        """Where a request does not match its operation; the names of headers are in lower case."""
        parameters = [self.resolve(each) for each in operation.get("parameters", [])]
        problems = self.header_problems({each["name"]: each for each in parameters if each["in"] == "header"}, headers)
        return problems + self.content_problems(operation["requestBody"]["content"], headers, body)

    def header_problems(self, described: dict[str, Any], headers: Mapping[str, str]) -> list[str]:
        """Headers that are missing, wrong, or not described."""
        problems = [f"header {name} is not described" for name in headers if name not in {*described, *PLAIN_HEADERS}]
        for name, reference in described.items():
            header = self.resolve(reference)
            if name in headers:
                value: Any = headers[name]
                if header["schema"].get("type") == "integer" and value.isdecimal():
                    value = int(value)
                problems += [f"header {name}: {problem}" for problem in self.schema_problems(header["schema"], value)]
            elif header.get("required"):
                problems.append(f"header {name} is missing")
        return problems

    def content_problems(self, content: dict[str, Any] | None, headers: Mapping[str, str], body: bytes) -> list[str]:
        """Where a body does not match its media type and schema."""
        if content is None:
            return ["the body is not described"] if body else []
        media = headers.get("content-type", "").split(";")[0]
        if media not in content:
            return [f"the media type {media!r} is not described"]
        text = body.decode("utf-8")
        try:
            value = json.loads(text) if media == "application/json" else text
        except ValueError as error:
            return [f"the body is not JSON: {error}"]
        return self.schema_problems(content[media]["schema"], value)

    def example_problems(self) -> list[str]:
        """Where an example does not match its schema."""
        return [f"{place}: {problem}" for place, schema, value in self.examples()
                for problem in self.schema_problems(schema, value)]

    def examples(self) -> Iterator[tuple[str, dict[str, Any], Any]]:
        """All examples: where each is, its schema, and its value."""
        for place, node in walk(self.content, ""):
            # A media type, a parameter or a header; then a schema.
            if isinstance(node.get("schema"), dict):
                if "example" in node:
                    yield place, node["schema"], node["example"]
                for name, example in node.get("examples", {}).items():
                    yield f"{place} {name}", node["schema"], example["value"]
            elif isinstance(node.get("examples"), list):
                for example in node["examples"]:
                    yield place, node, example

    def expected_paths(self, schema: dict[str, Any]) -> set[str]:
        """The paths of all properties of a schema, such as `firstFailure.stdin`."""
        schema = self.resolve(schema)
        found = set()
        for name, part in schema.get("properties", {}).items():
            found |= {name, *(f"{name}.{each}" for each in self.expected_paths(part))}
        return found | (self.expected_paths(schema["items"]) if "items" in schema else set())


def present_paths(value: Any) -> set[str]:
    """The paths of all properties of a value, as in expected_paths."""
    if isinstance(value, list):
        return set().union(*map(present_paths, value))
    if not isinstance(value, dict):
        return set()
    return {path for name, part in value.items() for path in (name, *(f"{name}.{each}" for each in present_paths(part)))}


def walk(node: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """All objects of a document with their places. Values of examples are data, not descriptions."""
    if isinstance(node, dict):
        yield place, node
        for key, part in node.items():
            if key not in ("example", "examples"):
                yield from walk(part, f"{place}/{key}")
    elif isinstance(node, list):
        for index, part in enumerate(node):
            yield from walk(part, f"{place}/{index}")
