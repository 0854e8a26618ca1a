"""Enough of the NATS protocol for one request: https://docs.nats.io/reference/reference-protocols/nats-protocol."""

from __future__ import annotations

import json
import socket
from typing import Any

TIMEOUT_S = 10
INBOX = "_INBOX.power"


def request(port: int, subject: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send a request to a local server and return its JSON reply; an OSError if there is none."""
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
    """The subjects of the messages in a stream."""
    found: set[str] = set()
    while True:
        answer = request(port, f"$JS.API.STREAM.INFO.{stream}", {"subjects_filter": ">", "offset": len(found)})
        if "error" in answer:
            if answer["error"].get("err_code") == 10059:  # stream not found: all its messages are lost
                return set()
            raise OSError(answer["error"].get("description", "unknown error"))
        page = answer["state"].get("subjects") or {}
        found |= set(page)
        if not page or len(found) >= answer.get("total", 0):
            return found
