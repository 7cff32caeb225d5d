"""Tokens for Amazon MSK: an address signed with the credentials of Amazon Web Services."""

from __future__ import annotations

from importlib.util import find_spec

from pyproducer.errors import ConfigError, ProviderFailed
from pyproducer.security import Token

__all__ = ["MskIam"]


class MskIam:
    """Signs with the credentials that the AWS tools would use here.

    Those are found as everywhere: environment, profile, container, instance. It is a plain
    callable, as the search for credentials and the assumption of a role block: a producer calls
    it in a thread of its own.

    Args:
        region: where the cluster is, as ``"eu-central-1"``.
        profile: a profile of the AWS configuration files, in place of the default one.
        role_arn: a role to assume first.
        session_name: name of that role's session, as CloudTrail shows it.

    Raises:
        ConfigError: an argument cannot be, or the extra with the signer is missing.
    """

    def __init__(
        self,
        region: str,
        *,
        profile: str | None = None,
        role_arn: str | None = None,
        session_name: str = "pyproducer",
    ) -> None:
        if find_spec("aws_msk_iam_sasl_signer") is None:
            raise _refuse("MskIam needs Amazon's signer: pip install 'pyproducer[msk]'")
        if not isinstance(region, str) or not region:
            raise _refuse(f"region={region!r} must be the name of one, as 'eu-central-1'")
        if profile is not None and role_arn is not None:
            raise _refuse("profile and role_arn exclude each other; a profile can name a role")
        self._region = region
        self._profile = profile
        self._role_arn = role_arn
        self._session_name = session_name

    def __repr__(self) -> str:
        return f"MskIam({self._region!r}, profile={self._profile!r}, role_arn={self._role_arn!r})"

    def __call__(self) -> Token:
        """A new token, good for a quarter of an hour.

        Raises:
            ProviderFailed: there are no credentials, or the role cannot be assumed.
        """
        import botocore.exceptions
        from aws_msk_iam_sasl_signer import MSKAuthTokenProvider as Signer

        try:
            if self._profile is not None:
                signed = Signer.generate_auth_token_from_profile(self._region, self._profile)
            elif self._role_arn is not None:
                signed = Signer.generate_auth_token_from_role_arn(
                    self._region, self._role_arn, self._session_name
                )
            else:
                signed = Signer.generate_auth_token(self._region)
        except AttributeError as error:
            # The signer looks into the credentials that were found, where none were.
            raise _failed(
                "no AWS credentials were found",
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile, or give this "
                "machine a role",
            ) from error
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise _failed(str(error), "see the profile, or the role's trust policy") from error
        value, expires_ms = signed
        return Token(value, expires_at=expires_ms / 1000, principal=self._role_arn or "AWS")


def _failed(what: str, advice: str) -> ProviderFailed:
    return ProviderFailed(f"no token for Amazon MSK: {what}; {advice}", mechanism="OAUTHBEARER")


def _refuse(text: str) -> ConfigError:
    return ConfigError(f"{text}.", option="sasl_token_provider")
