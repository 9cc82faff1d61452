"""How docpipe shows an OAuth2 server who it is: a client secret, or a signed assertion.

Sources: RFC 6749, 2.3.1 and 4.4 (client credentials); RFC 7523, 2.2 (assertions); SMART App Launch 2.2,
"Client Authentication: Asymmetric" (RS384 and ES384, `kid`, `jti`, at most five minutes).
"""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import quote_plus

from docpipe.config.parsing import Secret
from docpipe.model import Clock

ASSERTION_S: Final = 240.0
"""SMART allows five minutes at most; clocks may differ by one."""
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_CURVE: Final = "secp384r1"

Shown = tuple[Mapping[str, str], Mapping[str, str]]
"""Headers, and fields of the form."""


class Proof(Protocol):
    """What proves to a server who asks."""

    def shown(self, token_url: str, client_id: str) -> Shown:
        """What goes with a request for a token; read anew from its file, which may have been rotated.

        Raises:
            OSError: if the file cannot be read.
            ValueError: with what would be right, if it holds nothing that can be used.
        """


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A secret that both sides know, sent as RFC 6749 has it."""

    secret: Secret = field(repr=False)

    def shown(self, token_url: str, client_id: str) -> Shown:  # noqa: ARG002 -- the protocol's
        """As the header Authorization: Basic."""
        pair = f"{quote_plus(client_id)}:{quote_plus(self.secret.again().reveal())}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}, {}


@dataclass(frozen=True, slots=True)
class SignedAssertion:
    """A private key whose public half the server knows."""

    key: Secret = field(repr=False)
    """PEM, a JWK, or a set of JWKs."""
    key_id: str
    """Which of the public keys it is; empty where the JWK says so."""
    clock: Clock

    def shown(self, token_url: str, client_id: str) -> Shown:
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
    """A private key, the algorithm that goes with it, and its id.

    Raises:
        ValueError: with what would be right.
        ImportError: without the packages that sign.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415 -- see above

    key, told = _from_jwk(text, key_id) if text.lstrip().startswith("{") else (_from_pem(text), "")
    if isinstance(key, rsa.RSAPrivateKey):
        algorithm = "RS384"
    elif isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == _CURVE:
        algorithm = "ES384"
    else:
        raise ValueError("a private key of RSA, or of the curve P-384")
    if not (key_id or told):
        raise ValueError("a JWK with a `kid`, or `key_id` has to be set")
    return key, algorithm, key_id or told


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
