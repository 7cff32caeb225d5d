"""Providers of tokens for ``sasl_mechanism="OAUTHBEARER"``: what most brokers of others ask for.

:class:`ClientCredentials` asks an authorization server (OAuth 2.0, OpenID Connect), :class:`MskIam`
signs with the credentials of Amazon Web Services. A provider holds no connection and belongs to no
event loop: one may serve any number of producers, also in threads and after a fork, and there is
nothing to close. Any other callable that gives a :class:`~pyproducer.security.Token` will do as
well.
"""

from __future__ import annotations

from pyproducer.tokens.client_credentials import ClientCredentials
from pyproducer.tokens.msk_iam import MskIam
from pyproducer.tokens.request_failed import TokenRequestFailed

__all__ = ["ClientCredentials", "MskIam", "TokenRequestFailed"]
