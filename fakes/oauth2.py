"""An OAuth2 server: short-lived tokens for client credentials, by a secret or a signed assertion."""

import base64
import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import parse_qs, unquote_plus

from fakes.calls import Call, Refusal, Reply
from fakes.front import Front, Route, World

if TYPE_CHECKING:
    from jwt import PyJWK

_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ALGORITHMS: Final = ("RS384", "ES384")
_LONGEST_ASSERTION_S: Final = 300
_LEEWAY_S: Final = 5


class OAuth2Server(Front):
    """The server, and what tests ask of it."""

    name: ClassVar[str] = "oauth2"

    def __init__(self, world: World) -> None:
        super().__init__(world, {})
        options = world.options
        self.tokens = world.tokens
        self.client_id = options.oauth2_client_id
        self.secret = options.oauth2_secret
        self.public_keys: Mapping[str, Any] = {}
        """Public keys of the client, as JWKs by their `kid`."""
        self.url = ""
        """The address of the token endpoint: what an assertion has to be made for."""
        self.refusals: list[str] = []
        """Why requests were refused, oldest first."""
        self._used: set[str] = set()
        if options.oauth2_keys is not None:
            self.use_keys(json.loads(options.oauth2_keys.read_text("utf-8")))

    def use_keys(self, jwks: Mapping[str, Any]) -> None:
        """Know these public keys of the client, and no others any more."""
        self.public_keys = {key["kid"]: key for key in jwks["keys"]}

    def routes(self) -> list[Route]:
        """The token endpoint, and the document that names it."""
        return [
            ("POST", "/token", "oauth2.token", self._token_request),
            ("GET", "/.well-known/smart-configuration", "oauth2.token", self._discover),
        ]

    def subjects(self, call: Call) -> Collection[str]:  # noqa: ARG002 - as in the base class
        """It is about nobody."""
        return ()

    def _authorize(self, call: Call) -> None:
        """Clients authenticate here; they have no token yet."""

    async def _discover(self, _call: Call) -> Reply:
        capabilities = ["client-confidential-asymmetric", "client-confidential-symmetric"]
        methods = [f"client_secret_{self.world.options.oauth2_auth}", "private_key_jwt"]
        return Reply.of(
            200,
            {
                "token_endpoint": self.url,
                "capabilities": capabilities,
                "token_endpoint_auth_methods_supported": methods,
            },
        )

    async def _token_request(self, call: Call) -> Reply:
        try:
            form = self._proven(call)
        except _Error as error:
            self.refusals.append(error.why)
            value = {"error": error.code, "error_description": error.why}
            status = self.world.options.oauth2_refusal or error.status
            return Reply.of(status, value, {"Cache-Control": "no-store"})
        reported = {
            "access_token": self.tokens.issue(),
            "token_type": "bearer",
            "expires_in": self._expires_in(),
            "scope": form.get("scope", ""),
        }
        given = {name: value for name, value in reported.items() if value is not None}
        return Reply.of(200, given, {"Cache-Control": "no-store"})

    def _proven(self, call: Call) -> Mapping[str, str]:
        """The fields of a request whose sender has authenticated."""
        form = {name: values[-1] for name, values in parse_qs(call.raw.decode()).items()}
        if form.get("grant_type") != "client_credentials":
            raise _Error("unsupported_grant_type", "only client_credentials", 400)
        if "client_assertion" in form:
            self._check_assertion(form)
        else:
            self._check_secret(call, form)
        return form

    def _expires_in(self) -> object:
        """How long a token is good, in a form that servers were seen to use."""
        match self.world.options.oauth2_expires_in:
            case "number":
                return self.tokens.seconds
            case "text":
                return str(int(self.tokens.seconds))
            case "missing":
                return None
        return 10**30

    def _check_secret(self, call: Call, form: Mapping[str, str]) -> None:
        header = call.header("Authorization")
        if self.world.options.oauth2_auth == "post":
            if header is not None:
                raise _Error("invalid_client", "the secret has to be in the form")
            client, secret = form.get("client_id", ""), form.get("client_secret", "")
        else:
            client, secret = _of_basic(header or "")
        if client != self.client_id:
            raise _Error("invalid_client", "unknown client")
        if self.secret is None or secret != self.secret:
            raise _Error("invalid_client", "wrong secret")

    def _check_assertion(self, form: Mapping[str, str]) -> None:
        import jwt  # noqa: PLC0415 - only assertions need it

        if form.get("client_assertion_type") != _ASSERTION:
            raise _Error("invalid_request", "wrong client_assertion_type", 400)
        assertion = form["client_assertion"]
        try:
            header = jwt.get_unverified_header(assertion)
            claims = jwt.decode(
                assertion,
                self._key(header),
                algorithms=list(_ALGORITHMS),
                audience=self.url,
                issuer=self.client_id,
                leeway=_LEEWAY_S,
                options={
                    "require": ["exp", "iss", "sub", "aud", "jti"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.PyJWTError as error:
            raise _Error("invalid_client", f"bad assertion: {error}") from error
        left = claims["exp"] - self.world.clock.epoch()  # by the clock of the fakes, which may be virtual
        if not -_LEEWAY_S < left <= _LONGEST_ASSERTION_S + _LEEWAY_S:
            raise _Error("invalid_client", f"the assertion ends in {left:.0f} s")
        if claims["sub"] != self.client_id:
            raise _Error("invalid_client", "sub is not the client")
        if claims["jti"] in self._used:
            raise _Error("invalid_client", "the assertion was used before")
        self._used.add(claims["jti"])

    def _key(self, header: Mapping[str, Any]) -> "PyJWK":
        import jwt  # noqa: PLC0415 - see above

        if header.get("typ") != "JWT" or header.get("alg") not in _ALGORITHMS:
            raise _Error("invalid_client", f"typ {header.get('typ')}, alg {header.get('alg')}")
        if header.get("kid") not in self.public_keys:
            raise _Error("invalid_client", "unknown kid")
        return jwt.PyJWK.from_dict(dict(self.public_keys[header["kid"]]), algorithm=header["alg"])


def _of_basic(header: str) -> tuple[str, str]:
    """Client id and secret of a header, as of RFC 6749, 2.3.1."""
    scheme, _, pair = header.partition(" ")
    try:
        client, _, secret = base64.b64decode(pair, validate=True).decode().partition(":")
    except ValueError as error:
        raise _Error("invalid_client", "the header is no Basic") from error
    if scheme.lower() != "basic":
        raise _Error("invalid_client", "the header is no Basic")
    return unquote_plus(client), unquote_plus(secret)


class _Error(Refusal):
    """An error as of RFC 6749, 5.2."""

    def __init__(self, code: str, why: str, status: int = 401) -> None:
        super().__init__(status, why)
        self.code = code
        self.why = why
