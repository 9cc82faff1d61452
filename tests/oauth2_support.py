"""Keys for signed assertions, as files."""

import json
from functools import cache

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa


@cache
def private(algorithm, number=0):
    """A private key; the same for the same number."""
    del number
    if algorithm == "RS384":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP384R1())


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def jwk(key, kid):
    is_rsa = isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey)
    kind = jwt.algorithms.RSAAlgorithm if is_rsa else jwt.algorithms.ECAlgorithm
    return {**json.loads(kind.to_jwk(key)), "kid": kid}


def jwks(**keys):
    """The public halves, as their server knows them."""
    return {"keys": [jwk(key.public_key(), kid) for kid, key in keys.items()]}
