"""Context managers that start something and must leave nothing behind, whatever fails."""

from __future__ import annotations

from typing import TypeVar

Self = TypeVar("Self", bound="Resource")


class Resource:
    """Started on entry; closed on exit, and also if the start fails."""

    def _start(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Stop and remove everything that was started, even if that is only a part."""
        raise NotImplementedError

    def __enter__(self: Self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
