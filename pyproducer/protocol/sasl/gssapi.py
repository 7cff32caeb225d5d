"""GSSAPI (RFC 4752): Kerberos, by the system's own library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pyproducer.errors import AuthenticationError, ProviderFailed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Gssapi"]

#: The bit of a server that goes on without a layer of its own around what follows; TLS is ours.
_NO_LAYER: Final = 1
#: Our choice: no layer, so no buffer either, and nobody else's name (an empty one is our own).
_CHOICE: Final = bytes([_NO_LAYER, 0, 0, 0])


class Gssapi:
    """Proves who we are by a ticket for the broker, and has the broker prove that it can read it.

    The ticket is had for what the library finds: the cache of a ``kinit``, or the keytab that
    ``KRB5_CLIENT_KTNAME`` names, which needs nobody to renew it.

    Args:
        service: the first part of the broker's principal.
        host: its second part: the broker's host name.
    """

    name = "GSSAPI"
    #: The ticket comes from another machine.
    blocking = True
    complaint = ""

    def __init__(self, service: str, host: str) -> None:
        self.done = False
        self._target = f"{service}@{host}"
        self._context: Any = None
        self._chosen = False

    def step(self, challenge: bytes | None) -> bytes | None:
        """See :class:`~pyproducer.protocol.sasl.mechanism.Mechanism`."""
        if self._chosen:
            self.done = True
            return None
        if challenge is None:
            self._context = self._guarded(self._begin)
        context = self._context
        if context.complete:
            return self._choose(challenge or b"")
        # The last message of the server leaves nothing to say; it waits for that.
        return self._guarded(lambda: context.step(challenge)) or b""

    def _begin(self) -> Any:
        import gssapi

        flags = gssapi.RequirementFlag
        return gssapi.SecurityContext(
            name=gssapi.Name(self._target, gssapi.NameType.hostbased_service),
            usage="initiate",
            mech=gssapi.MechType.kerberos,
            flags=flags.mutual_authentication | flags.out_of_sequence_detection | flags.integrity,
        )

    def _choose(self, challenge: bytes) -> bytes:
        """Answer the server's offer of layers."""
        context = self._context
        offer: bytes = self._guarded(lambda: context.unwrap(challenge).message)
        if len(offer) != len(_CHOICE) or not offer[0] & _NO_LAYER:
            raise AuthenticationError(
                "the broker wants GSSAPI to protect what follows, which Kafka's own do not; use "
                "another mechanism, and TLS for protection",
                mechanism=self.name,
            )
        self._chosen = True
        answer: bytes = self._guarded(lambda: context.wrap(_CHOICE, encrypt=False).message)
        return answer

    def _guarded(self, call: Callable[[], Any]) -> Any:
        """What a call of the library gives, its errors in our terms."""
        from gssapi.raw import GSSError

        try:
            return call()
        except GSSError as error:
            # On one line: major and minor status are told apart by line breaks.
            told = " ".join(str(error).split())
            raise ProviderFailed(
                f"Kerberos gives no ticket for {self._target!r}: {told}; see what klist shows, "
                "run kinit or name a keytab in KRB5_CLIENT_KTNAME, and check "
                "sasl_kerberos_service_name and the name that the broker is connected to by",
                mechanism=self.name,
            ) from error
