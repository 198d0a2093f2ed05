"""The files for GitHub Actions and GitLab: their syntax, the keys that the two systems know, and what they call."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from benchmark.regress import parser

ROOT = Path(__file__).parents[2]
FILES = ROOT / "docs" / "ci"
TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "array", "items": TEXT, "minItems": 1}
STEP = {
    "type": "object",
    "properties": {
        "name": TEXT, "id": TEXT, "if": TEXT, "run": TEXT, "shell": TEXT, "env": {"type": "object"},
        "uses": {"type": "string", "pattern": r"^[\w.-]+/[\w./-]+@v\d+$"}, "with": {"type": "object"},
        "continue-on-error": {"type": "boolean"}, "timeout-minutes": {"type": "integer"},
    },
    "oneOf": [{"required": ["run"], "not": {"required": ["with"]}}, {"required": ["uses"]}],
    "additionalProperties": False,
}  # fmt: skip
GITHUB = {
    "type": "object",
    "required": ["on", "jobs"],
    "properties": {
        "name": TEXT, "on": {"type": "object"}, "env": {"type": "object"}, "concurrency": {"type": "object"},
        "permissions": {"type": "object", "additionalProperties": {"enum": ["read", "write", "none"]}},
        "jobs": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "type": "object",
                "required": ["runs-on", "steps"],
                "properties": {
                    "runs-on": TEXT, "timeout-minutes": {"type": "integer", "minimum": 1}, "needs": TEXTS,
                    "strategy": {"type": "object"}, "env": {"type": "object"},
                    "steps": {"type": "array", "items": STEP, "minItems": 1},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}  # fmt: skip
"""What GitHub documents of a workflow, as far as these files need it."""
CACHE = {
    "type": "object",
    "required": ["key", "paths"],
    "properties": {
        "key": {"anyOf": [TEXT, {"type": "object", "required": ["files"],
                                 "properties": {"files": {**TEXTS, "maxItems": 2}, "prefix": TEXT},
                                 "additionalProperties": False}]},
        "paths": TEXTS, "fallback_keys": {**TEXTS, "maxItems": 5}, "policy": {"enum": ["pull", "push", "pull-push"]},
    },
    "additionalProperties": False,
}  # fmt: skip
JOB = {
    "type": "object",
    "required": ["script"],
    "properties": {
        "image": TEXT, "stage": TEXT, "timeout": {"type": "string", "pattern": r"^\d+ minutes$"}, "script": TEXTS,
        "before_script": TEXTS, "variables": {"type": "object", "additionalProperties": TEXT},
        "rules": {"type": "array", "items": {"type": "object", "required": ["if"]}},
        "cache": {"type": "array", "items": CACHE, "maxItems": 4},
        "artifacts": {
            "type": "object",
            "properties": {
                "when": {"enum": ["always", "on_success", "on_failure"]}, "paths": TEXTS, "expire_in": TEXT,
                "reports": {"type": "object", "properties": {"junit": TEXT}, "additionalProperties": False},
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}  # fmt: skip
GITLAB = {"type": "object", "minProperties": 1, "additionalProperties": JOB}
SCHEMAS = {"github.yml": GITHUB, "gitlab.yml": GITLAB}


def read(name: str) -> dict[str, Any]:
    content = yaml.safe_load((FILES / name).read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in content.items()}  # YAML 1.1 reads `on` as true


def commands(content: Any) -> list[str]:
    """Every line of shell in a file."""
    if isinstance(content, dict):
        own = [content["run"]] if isinstance(content.get("run"), str) else []
        scripts = [line for name in ("script", "before_script") for line in content.get(name, [])]
        return [*own, *scripts, *(line for value in content.values() for line in commands(value))]
    return [line for value in content for line in commands(value)] if isinstance(content, list) else []


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_key_is_one_that_the_system_knows(name: str) -> None:
    assert sorted(path.name for path in FILES.iterdir()) == sorted(SCHEMAS)
    faults = [
        f"{list(error.path)}: {error.message}" for error in Draft202012Validator(SCHEMAS[name]).iter_errors(read(name))
    ]
    assert faults == []


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_misspelt_key_is_seen(name: str) -> None:
    text = (FILES / name).read_text(encoding="utf-8")
    for word in ("cache-dependency-path", "artifacts", "steps", "script", "paths"):
        wrong = re.sub(rf"^(\s*-?\s*){word}:", rf"\1{word}x:", text, count=1, flags=re.MULTILINE)
        if wrong == text or word == "cache-dependency-path":
            continue
        content = {"on" if key is True else key: value for key, value in yaml.safe_load(wrong).items()}
        assert not Draft202012Validator(SCHEMAS[name]).is_valid(content), word


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_the_call_is_one_that_the_command_takes(name: str) -> None:
    calls = [line for line in commands(read(name)) if "benchmark.regress" in line]
    assert len(calls) == 1
    words = shlex.split(calls[0])
    arguments = parser().parse_args(words[words.index("benchmark.regress") + 1 :])
    assert (str(arguments.against), arguments.up_to) == ("results/reference/smoke.json", None)
    assert arguments.junit
    assert arguments.summary


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_what_is_installed_is_pinned(name: str) -> None:
    for line in commands(read(name)):
        if "pip install" in line:
            assert "constraints.txt" in line
