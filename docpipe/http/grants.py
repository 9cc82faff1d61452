"""Authentication of docpipe at an OAuth2 server: a client secret, or a signed assertion.

Sources: RFC 6749, 2.3.1 and 4.4 (client credentials); RFC 7523, 2.2 (assertions); SMART App Launch 2.2,
"Client Authentication: Asymmetric" (RS384 and ES384, `kid`, `jti`, at most five minutes).
"""

import base64
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import quote_plus

from docpipe.config.parsing import Secret
from docpipe.model import Clock

ASSERTION_S: Final = 240.0
"""SMART allows five minutes at most; clocks may differ by one."""
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_CURVE: Final = "secp384r1"

Authentication = tuple[Mapping[str, str], Mapping[str, str]]
"""Headers, and fields of the form."""


class Proof(Protocol):
    """A way to authenticate a client."""

    def authenticate(self, token_url: str, client_id: str, methods: Collection[str] = ()) -> Authentication:
        """What a token request needs; the secret is read again from its file, which may have been rotated.

        Args:
            token_url: the token endpoint.
            client_id: of docpipe.
            methods: the server's `token_endpoint_auth_methods_supported`; empty where it names none.

        Raises:
            OSError: if the file cannot be read.
            ValueError: with what the file has to hold, if it cannot be used.
        """


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A shared secret, sent as RFC 6749 has it."""

    secret: Secret = field(repr=False)
    where: str = ""
    """`basic`, in a header; `post`, in the form; empty for what the server supports, in a header if both."""

    def authenticate(
        self,
        token_url: str,  # noqa: ARG002 -- the protocol's
        client_id: str,
        methods: Collection[str] = (),
    ) -> Authentication:
        """As the header Authorization: Basic, or in the form."""
        secret = self.secret.again().reveal()
        only_post = "client_secret_post" in methods and "client_secret_basic" not in methods
        if self.where == "post" or (not self.where and only_post):
            return {}, {"client_id": client_id, "client_secret": secret}
        pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}, {}


@dataclass(frozen=True, slots=True)
class SignedAssertion:
    """A private key whose public key the server has."""

    key: Secret = field(repr=False)
    """PEM, a JWK, or a set of JWKs."""
    key_id: str
    """The id of the public key; empty where the JWK has a `kid`."""
    clock: Clock

    def authenticate(
        self,
        token_url: str,
        client_id: str,
        methods: Collection[str] = (),  # noqa: ARG002 -- the protocol's
    ) -> Authentication:
        """A fresh assertion, in the form."""
        import jwt  # noqa: PLC0415 -- heavy, and only who signs needs it

        key, algorithm, key_id = loaded(self.key.again().reveal(), self.key_id)
        now = int(self.clock())
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": token_url,
            "iat": now,
            "exp": now + int(ASSERTION_S),
            "jti": secrets.token_urlsafe(24),
        }
        signed = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": key_id})
        return {}, {"client_assertion_type": _ASSERTION, "client_assertion": signed}


def loaded(text: str, key_id: str) -> tuple[Any, str, str]:
    """A private key, its algorithm, and its id.

    Raises:
        ValueError: with what the file has to hold.
        ImportError: without the packages that sign.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415 -- see above

    key, own_id = _from_jwk(text, key_id) if text.lstrip().startswith("{") else (_from_pem(text), "")
    if isinstance(key, rsa.RSAPrivateKey):
        algorithm = "RS384"
    elif isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == _CURVE:
        algorithm = "ES384"
    else:
        raise ValueError("a private key of RSA, or of the curve P-384")
    if not (key_id or own_id):
        raise ValueError("a JWK with a `kid`, or `key_id` has to be set")
    return key, algorithm, key_id or own_id


def _from_pem(text: str) -> Any:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 -- see above

    try:
        return serialization.load_pem_private_key(text.encode(), password=None)
    except Exception as error:  # cryptography raises ValueError, TypeError and its own
        raise ValueError("a private key as PEM without a password, or as JWK") from error


def _from_jwk(text: str, key_id: str) -> tuple[Any, str]:
    import jwt  # noqa: PLC0415 -- see above

    try:
        given = json.loads(text)
        keys = given.get("keys", [given])
        [chosen] = [
            key for key in keys if "d" in key and (len(keys) == 1 or key.get("kid") == key_id or not key_id)
        ]
        algorithm = {"RSA": "RS384", "EC": "ES384"}[chosen["kty"]]
        return jwt.PyJWK.from_dict(chosen, algorithm=algorithm).key, str(chosen.get("kid", ""))
    except Exception as error:  # of json, of the shape, of PyJWT
        raise ValueError("one private key as JWK (of a set: the one that `key_id` names)") from error
