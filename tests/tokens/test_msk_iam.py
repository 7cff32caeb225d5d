"""What Amazon's signer makes of credentials that are made up; nothing is asked of anybody."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from pyproducer.errors import ConfigError, ProviderFailed
from pyproducer.security import Token
from pyproducer.tokens import MskIam

KEY_ID = "AKIAEXAMPLEEXAMPLE00"
SECRET = "made-up-secret-key/of+the+tests"


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No credentials but those that a test gives; returns the folder of configuration files."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


def signed(token: Token) -> dict[str, str]:
    """The parameters of the address that the token is."""
    address = base64.urlsafe_b64decode(token.value + "=" * (-len(token.value) % 4)).decode()
    parts = urlsplit(address)
    assert "https" == parts.scheme
    found = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return {"host": parts.hostname or "", **found}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


@pytest.mark.usefixtures("environment")
def test_token_is_a_signed_address() -> None:
    """
    A token is what MSK documents: an address of the region, signed for kafka-cluster:Connect.
    """
    token = MskIam("eu-central-1")()

    found = signed(token)
    assert "kafka.eu-central-1.amazonaws.com" == found["host"]
    assert "kafka-cluster:Connect" == found["Action"]
    assert "AWS4-HMAC-SHA256" == found["X-Amz-Algorithm"]
    key_id, day, *scope = found["X-Amz-Credential"].split("/")
    assert (KEY_ID, found["X-Amz-Date"][:8]) == (key_id, day)
    assert ["eu-central-1", "kafka-cluster", "aws4_request"] == scope
    assert "host" == found["X-Amz-SignedHeaders"]
    assert 64 == len(found["X-Amz-Signature"])
    assert "900" == found["X-Amz-Expires"]
    assert 800 < token.expires_at - time.time() <= 901
    assert SECRET not in token.value + repr(token)


@pytest.mark.usefixtures("environment")
def test_session_token_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Temporary credentials show their session.
    """
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-a-session")

    assert "of-a-session" == signed(MskIam("us-east-1")())["X-Amz-Security-Token"]


def test_profile(aws: Path) -> None:
    """
    A profile's credentials sign.
    """
    (aws / "credentials").write_text(
        f"[kafka]\naws_access_key_id = AKIAOFAPROFILE\naws_secret_access_key = {SECRET}\n"
    )

    found = signed(MskIam("us-east-1", profile="kafka")())

    assert found["X-Amz-Credential"].startswith("AKIAOFAPROFILE/")


def test_no_credentials() -> None:
    """
    A machine without credentials says so, and what to do.
    """
    with pytest.raises(ProviderFailed, match="no AWS credentials were found; set AWS_ACCESS"):
        MskIam("us-east-1")()


def test_profile_that_is_not_there() -> None:
    """
    A profile that no file has is told by name.
    """
    with pytest.raises(ProviderFailed, match="nowhere"):
        MskIam("us-east-1", profile="nowhere")()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"region": ""}, "region=''"),
        ({"region": None}, "region=None"),
        ({"region": "x", "profile": "a", "role_arn": "b"}, "exclude each other"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, object], told: str) -> None:
    """
    A wrong argument is refused when the provider is made.
    """
    with pytest.raises(ConfigError, match=told):
        MskIam(**arguments)
