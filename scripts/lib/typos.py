"""The spelling checker `typos`, as a pinned wheel: a linter gives the same result only at the same version."""

from __future__ import annotations

from lib.wheels import Program, Wheel

PINNED = Program("typos", "typos", "1.52.0", {
    "x86_64": Wheel("manylinux_2_17_x86_64", "418fd85f7fc11dec14e5482e747f6e916af56da96207cde0cdd69540a4b389f6"),
    "aarch64": Wheel("manylinux_2_17_aarch64", "5e870133c7e9cace94183e4d638697004a1473e79abcd01b8f75e362049a9b5c"),
})
