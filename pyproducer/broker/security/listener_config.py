"""What is configured for one listener: its own settings, and behind them those of all."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

from pyproducer.broker.configs import BrokerConfig, ConfigSource, ConfigType, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ListenerConfig"]


class ListenerConfig:
    """The settings of a broker as they hold for one listener; looked up anew each time.

    Args:
        config: The broker's.
        listener: Name of the listener.
    """

    def __init__(self, config: BrokerConfig, listener: str) -> None:
        self._config = config
        self._prefix = f"listener.name.{listener.lower()}."
        #: The listener's name.
        self.listener = listener

    def get(self, name: str, mechanism: str = "") -> str | None:
        """The effective value: of a mechanism of the listener, of the listener, or of all."""
        for own in self._own_names(name, mechanism):
            if layers := self._config.layers(own):
                return layers[0].value
        return self._config.get(name)

    def own(self, name: str) -> str | None:
        """What is set for this listener alone, or None."""
        layers = self._config.layers(self._prefix + name)
        return layers[0].value if layers else None

    def where(self, name: str, mechanism: str = "") -> str:
        """Name of the setting that `get` takes the value of, for messages."""
        for own in self._own_names(name, mechanism):
            if self._config.layers(own):
                return own
        return name

    def int(self, name: str, mechanism: str = "") -> int:
        """The effective value of a whole number that has a default."""
        value = self.get(name, mechanism)
        assert value is not None, name
        return int(value)

    def flag(self, name: str, mechanism: str = "") -> bool:
        """The effective value of a boolean."""
        return parse(ConfigType.BOOLEAN, self.get(name, mechanism) or "false") is True

    def list(self, name: str, mechanism: str = "") -> list[str]:
        """The effective value of a list; empty if it has none."""
        found = parse(ConfigType.LIST, self.get(name, mechanism) or "")
        assert isinstance(found, builtins.list)
        return found

    def given(self, name: str, mechanism: str = "") -> bool:
        """Whether somebody has set it, if only to its default."""
        names = [*self._own_names(name, mechanism), name]
        layers = [layer for one in names for layer in self._config.layers(one)]
        return any(layer.source is not ConfigSource.DEFAULT for layer in layers)

    def _own_names(self, name: str, mechanism: str) -> Iterator[str]:
        if mechanism:
            yield f"{self._prefix}{mechanism.lower()}.{name}"
        yield self._prefix + name
