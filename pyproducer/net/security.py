"""What makes the connections of one producer secure, and says who it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.config.certificates import Certificates
from pyproducer.config.tls_contexts import TlsContexts
from pyproducer.net.credentials import Credentials, MakeMechanism

if TYPE_CHECKING:
    import asyncio
    import ssl

    from pyproducer.clock import Clock
    from pyproducer.config.security_config import SecurityConfig

__all__ = ["Security"]


class Security:
    """TLS, SASL, or both."""

    def __init__(self, config: SecurityConfig, clock: Clock) -> None:
        protocol = config.security_protocol
        self._tls = (
            TlsContexts(
                None if config.ssl_context is not None else Certificates.of(config),
                config.ssl_context,
            )
            if protocol in {"SSL", "SASL_SSL"}
            else None
        )
        self._credentials = (
            Credentials(config, clock) if protocol in {"SASL_PLAINTEXT", "SASL_SSL"} else None
        )

    @classmethod
    def of(cls, config: SecurityConfig, clock: Clock) -> Security | None:
        """What a configuration asks for; None for plain connections."""
        return None if config.security_protocol == "PLAINTEXT" else cls(config, clock)

    @property
    def certificate(self) -> bool:
        """Whether we have a certificate of our own to show."""
        return self._tls is not None and self._tls.certificate

    async def context(self) -> ssl.SSLContext | None:
        """The context of TLS for a new connection; None where there is no TLS.

        Raises:
            TlsError: it cannot be made.
        """
        return None if self._tls is None else await self._tls.context()

    async def mechanism(self) -> MakeMechanism | None:
        """What makes the mechanism of a connection; None where there is no SASL.

        Raises:
            AuthenticationError: what it needs could not be had.
        """
        return None if self._credentials is None else await self._credentials.get()

    def close(self) -> set[asyncio.Task[None]]:
        """Nothing is asked for any more; what is left to be waited for is returned."""
        return set() if self._credentials is None else self._credentials.close()
