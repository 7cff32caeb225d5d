"""A listener at work: what each connection that comes in there has to pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pyproducer.broker.security.authority import TemporaryAuthority
from pyproducer.broker.security.listener_config import ListenerConfig
from pyproducer.broker.security.mechanisms import mechanisms_of
from pyproducer.broker.security.session import Session
from pyproducer.broker.security.tls import ListenerTls

if TYPE_CHECKING:
    from pyproducer.broker.configs import BrokerConfig
    from pyproducer.broker.node import Node
    from pyproducer.broker.router import Router
    from pyproducer.broker.security.listener import Listener

__all__ = ["Entrance"]


class Entrance:
    """One listener of a running broker.

    Args:
        node: The broker's.
        listener: The listener.
        authority: Makes its certificate if it has none; asked only then.

    Raises:
        ConfigError: What it is configured with cannot be used.

    Attributes:
        name: The listener's name.
        listener: The listener.
        tls: Its TLS side, or None.
    """

    def __init__(
        self, node: Node, listener: Listener, authority: Callable[[], TemporaryAuthority]
    ) -> None:
        self.name = listener.name
        self.listener = listener
        self.tls: ListenerTls | None = None
        self._node = node
        security = listener.security
        config = ListenerConfig(node.config, listener.name)
        self._own = None
        if security.tls:
            if not any(config.given(name) for name in _OWN_CERTIFICATE):
                self._own = authority().server([listener.host, listener.told_host])
            self.tls = ListenerTls(config, self._own, sasl=security.sasl)
        self._mechanisms = (
            mechanisms_of(config, node.users, node.clock.outside) if security.sasl else None
        )
        #: Largest request of somebody who is not known yet, or None if nobody has to be.
        self.first_limit = config.int("sasl.server.max.receive.size") if security.sasl else None

    def router(self, router: Router, opened: Callable[[], None]) -> Router | Session:
        """What a new connection's requests go to.

        Args:
            router: Answers requests.
            opened: Called when a client that has to say who it is has done so.
        """
        if self._mechanisms is None:
            return router
        return Session(self._node, router, self._mechanisms, opened)

    def check(self, config: BrokerConfig) -> None:
        """Returns if the listener could work with these settings.

        Raises:
            ConfigError: It could not.
        """
        if self.tls is not None:
            own = ListenerConfig(config, self.name)
            ListenerTls(own, self._own, sasl=self.listener.security.sasl)


_OWN_CERTIFICATE = (
    "ssl.keystore.location",
    "ssl.keystore.key",
    "ssl.keystore.certificate.chain",
)
