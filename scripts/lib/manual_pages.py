"""Manual pages of the services, made of what they print for --help: the settings, endpoints and exit codes."""

from __future__ import annotations

import re

from lib.project import Problem

# A setting, with its default if it has one, and the line that describes it.
SETTING = re.compile(r"^  ([A-Z0-9_]+)(?: \[(.*)\])?\n {6}(\S.*)$", re.MULTILINE)
PARAGRAPHS = 5


def of_service(service: str, version: str, printed: str) -> str:
    """The page of a service in roff format; a Problem if the help text has another form."""
    paragraphs = printed.strip().split("\n\n", PARAGRAPHS - 1)
    settings = SETTING.findall(paragraphs[3]) if len(paragraphs) == PARAGRAPHS else []
    if not settings:
        raise Problem(f"`gavel-{service} --help` does not list its settings in the expected form")
    about, usage, _, _, notes = paragraphs
    name = f"gavel-{service}"
    files = [f"/etc/gavel/common.env, /etc/gavel/{service}.env", f"/etc/gavel/secrets/{service}/"]
    lines = [f'.TH {name.upper()} 8 "" "gavel {version}" ""', ".SH NAME", text(f"{name} - {about[0].lower()}{about[1:].rstrip('.')}"),
             ".SH SYNOPSIS", text(usage.removeprefix("Usage: ")), ".SH DESCRIPTION", text(about)]
    for paragraph in notes.split("\n"):
        lines += [".PP", text(paragraph)] if paragraph else []
    lines.append(".SH ENVIRONMENT")
    for setting, default, description in settings:
        lines += [".TP", bold(setting) + (text(f" [{default}]") if default else ""), text(description)]
    lines += [".SH FILES", ".TP", text(files[0]), "Settings of the systemd unit.", ".TP", text(files[1]),
              "Secrets, which systemd passes to this service only.",
              ".SH SEE ALSO", text("gavel(1), /usr/share/doc/gavel/operations.md, /usr/share/doc/gavel/security.md")]
    return "\n".join(lines) + "\n"


def text(plain: str) -> str:
    """Text that roff does not interpret."""
    escaped = plain.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def bold(plain: str) -> str:
    """Text in bold."""
    return f"\\fB{text(plain)}\\fR"
