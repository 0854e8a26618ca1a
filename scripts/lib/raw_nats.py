"""Enough of the NATS protocol to ask a server one thing: https://docs.nats.io/reference/reference-protocols/nats-protocol."""

from __future__ import annotations

import json
import socket
from typing import Any

TIMEOUT_S = 10
INBOX = "_INBOX.power"


def ask(port: int, subject: str, body: dict[str, Any]) -> dict[str, Any]:
    """The JSON that a server on this machine answers to a request; an OSError where it does not."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        stream = connection.makefile("rb")
        payload = json.dumps(body).encode()
        connection.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\n' + f"SUB {INBOX} 1\r\n".encode()
                           + f"PUB {subject} {INBOX} {len(payload)}\r\n".encode() + payload + b"\r\n")
        for line in stream:
            if line.startswith(b"MSG "):
                return json.loads(stream.read(int(line.split()[-1])))
            if line.startswith(b"PING"):
                connection.sendall(b"PONG\r\n")
            if line.startswith(b"-ERR"):
                raise OSError(line.decode(errors="replace").strip())
    raise OSError("the server closed the connection")


def subjects(port: int, stream: str) -> set[str]:
    """The subjects that a stream has messages on."""
    found: set[str] = set()
    while True:
        answer = ask(port, f"$JS.API.STREAM.INFO.{stream}", {"subjects_filter": ">", "offset": len(found)})
        if "error" in answer:
            if answer["error"].get("err_code") == 10059:  # no such stream: all of it is gone
                return set()
            raise OSError(answer["error"].get("description", "an error"))
        some = answer["state"].get("subjects") or {}
        found |= set(some)
        if not some or len(found) >= answer.get("total", 0):
            return found
