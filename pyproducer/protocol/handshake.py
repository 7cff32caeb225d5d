"""The first exchange on a connection: which versions of which APIs does the broker serve?

The client asks with its newest ApiVersions version. A broker that does not know that one answers
error 35 in the layout of version 0, with its ranges or without (KIP-511), and is asked again with
a version it knows. No other request can be sent before the answer.
"""

from __future__ import annotations

import re

from pyproducer.errors import ProtocolError
from pyproducer.protocol.api import API, ApiKey, negotiate
from pyproducer.protocol.error_codes import ErrorCode, error_name
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse

__all__ = ["Handshake"]

# What brokers accept as software name and version (KIP-511); anything else is INVALID_REQUEST.
_LEGAL = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


class Handshake:
    """Negotiates the versions; knows nothing of frames.

    Attributes:
        version: the ApiVersions version to ask with now.
        done: True once the broker has told its versions.
        versions: first and last version by API key, as the broker told.
        features: finalized level by feature name, such as ``transaction.version``.
        features_epoch: which of two answers about features is the newer; -1 if none came.
    """

    def __init__(self, software_name: str, software_version: str) -> None:
        for value in (software_name, software_version):
            if not _LEGAL.fullmatch(value):
                raise ValueError(
                    f"{value!r} is no legal client software name or version; "
                    "use letters, digits, '-' and '.', with a letter or digit at both ends"
                )
        self.version = API[ApiKey.API_VERSIONS].max_version
        self.done = False
        self.versions: dict[int, tuple[int, int]] = {}
        self.features: dict[str, int] = {}
        self.features_epoch = -1
        self._request = ApiVersionsRequest(
            client_software_name=software_name, client_software_version=software_version
        )

    def request(self) -> ApiVersionsRequest:
        """The request, to be encoded in :attr:`version`."""
        return self._request

    def on_response(self, body: memoryview) -> None:
        """Learns the versions, or lowers :attr:`version` for another try if not ``done``.

        Raises:
            ProtocolError: the broker refused, or the bytes are no ApiVersions response.
        """
        # Error 35 comes in version 0 whatever was asked; the code leads in every version.
        refused = bytes(body[:2]) == ErrorCode.UNSUPPORTED_VERSION.to_bytes(2, "big")
        if refused and self.version == 0:
            raise ProtocolError("the broker refuses even version 0 of ApiVersions")
        try:
            response = ApiVersionsResponse.decode(body, 0 if refused else self.version)
        except ProtocolError:
            if not refused:
                raise
            # librdkafka's mock cluster puts the ranges in a form of its own behind the code.
            self.version = 0
            return
        if response.error_code not in {ErrorCode.NONE, ErrorCode.UNSUPPORTED_VERSION}:
            raise ProtocolError(
                f"the broker refuses ApiVersions: {error_name(response.error_code)}"
            )
        served = {key.api_key: (key.min_version, key.max_version) for key in response.api_keys}
        if refused:
            self.version = self._lower(served)
            return
        self.versions = served
        self.features = {
            feature.name: feature.max_version_level for feature in response.finalized_features
        }
        self.features_epoch = response.finalized_features_epoch
        self.done = True

    def _lower(self, served: dict[int, tuple[int, int]]) -> int:
        if ApiKey.API_VERSIONS not in served:
            return 0
        first, last = served[ApiKey.API_VERSIONS]
        # Below what was refused, whatever the broker claims: it must not send us in circles.
        return negotiate(range(self.version), range(first, last + 1)) or 0
