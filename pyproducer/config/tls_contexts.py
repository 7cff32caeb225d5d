"""The contexts of TLS for new connections, made anew when a file of theirs changes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pyproducer.errors import ConfigError, TlsError
from pyproducer.threads import in_thread

if TYPE_CHECKING:
    import ssl

    from pyproducer.config.certificates import Certificates, FileStamps

__all__ = ["TlsContexts"]

logger = logging.getLogger("pyproducer.net")


class TlsContexts:
    """Gives the context for the next connection.

    Whoever renews certificates writes files, and nobody tells us. So their times are looked at
    before each connection; if one has changed, a context is made of what is there now, by a
    thread. What cannot be used, such as a file that is only half written, is warned of once, and
    the last good context goes on being used.

    Attributes:
        certificate: whether we have a certificate to show.
    """

    def __init__(
        self, certificates: Certificates | None, context: ssl.SSLContext | None = None
    ) -> None:
        """Makes one of a context that is ready, or of what contexts are made of."""
        self._certificates = certificates
        self._context = context
        # Nobody can see what a context has.
        self.certificate = certificates is None or certificates.certificate is not None
        self._made_of: FileStamps | None = None
        self._complained_of: FileStamps | None = None

    async def context(self) -> ssl.SSLContext:
        """The context to use now.

        Raises:
            TlsError: there has never been a good one.
        """
        certificates = self._certificates
        if certificates is None:
            assert self._context is not None
            return self._context
        # Looked at before they are read: what changes meanwhile is seen the next time.
        stamps = certificates.stamps()
        if self._context is not None and stamps in {self._made_of, self._complained_of}:
            return self._context
        try:
            made = await in_thread("tls", certificates.context)
        except ConfigError as error:
            if self._context is None:
                raise TlsError(str(error)) from error
            if stamps != self._complained_of:
                self._complained_of = stamps
                logger.warning("%s The one before it goes on being used.", error)
            return self._context
        if self._context is not None:
            logger.info("certificates have changed: new connections use the new ones")
        self._context, self._made_of, self._complained_of = made, stamps, None
        return made
