"""OpenID Connect: signing in at a provider, by its authorization code with PKCE.

Laws: who comes back must be who was sent (state), with a token made for that very sign-in (nonce), for this hub
(audience) and by this provider (issuer, signature); a code alone is worth nothing to who took it on its way (PKCE).
Nothing of a sign-in is kept here: the browser carries it and brings it back.

Source: OpenID Connect Core 1.0 §3.1; RFC 7636; RFC 9700 §2.1.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from requests import RequestException

from hub.domain.errors import NotAvailable, Unauthorized

TIMEOUT_S = 10.0
LEEWAY_S = 60
_ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
_SCOPE = "openid email profile"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Errand:
    """What a browser carries to the provider and back, for us alone to read."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is, as the provider says."""

    issuer: str
    subject: str
    name: str
    email: str | None
    is_email_verified: bool


@dataclass(frozen=True, slots=True)
class OpenIdProvider:
    """A provider that knows this hub as a client.

    Attributes:
        issuer: Its address, without a slash at the end.
        client_id: The hub's name there.
        client_secret: What proves that it is the hub.
    """

    issuer: str
    client_id: str
    client_secret: str

    def begin(self, redirect_uri: str) -> tuple[str, Errand]:
        """Where to send a browser, and what it has to bring back.

        Raises:
            NotAvailable: The provider does not answer.
        """
        errand = Errand(*(secrets.token_urlsafe(32) for _ in range(3)))
        with self._session(redirect_uri) as session:
            endpoint = self._described(session)["authorization_endpoint"]
            url, _ = session.create_authorization_url(
                endpoint, state=errand.state, nonce=errand.nonce, code_verifier=errand.verifier
            )
        return url, errand

    def finish(self, redirect_uri: str, errand: Errand, answer: Mapping[str, str]) -> Identity:
        """Who came back from the provider.

        Args:
            redirect_uri: As it was given to `begin`.
            errand: As the browser brought it back.
            answer: The query that the provider sent it back with.

        Raises:
            Unauthorized: It is not who was sent, or the provider refused or said something that does not hold.
            NotAvailable: The provider does not answer.
        """
        if not secrets.compare_digest(answer.get("state", "").encode(), errand.state.encode()):
            raise _refused("the answer is not to the sign-in that began here")
        if "code" not in answer:
            raise _refused(f"the provider says {answer.get('error', 'nothing')[:60]!r}")
        with self._session(redirect_uri) as session:
            described = self._described(session)
            tokens = self._asked(
                session.fetch_token,
                described["token_endpoint"],
                grant_type="authorization_code",
                code=answer["code"],
                code_verifier=errand.verifier,
                timeout=TIMEOUT_S,
            )
            keys = self._json(session, described["jwks_uri"])
        return self._identity(str(tokens.get("id_token", "")), keys, errand.nonce)

    def _identity(self, id_token: str, keys: Any, nonce: str) -> Identity:
        required = {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "value": self.client_id},
            "nonce": {"essential": True, "value": nonce},
            "sub": {"essential": True},
            "exp": {"essential": True},
            "iat": {"essential": True},
        }
        try:
            claims = jwt.decode(id_token, KeySet.import_key_set(keys), algorithms=_ALGORITHMS).claims
            jwt.JWTClaimsRegistry(leeway=LEEWAY_S, **required).validate(claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise _refused("the provider's token does not hold", str(error)) from error
        email = claims.get("email")
        return Identity(
            issuer=self.issuer,
            subject=str(claims["sub"])[:255],
            name=str(claims.get("preferred_username") or email or claims["sub"]),
            email=email.lower() if isinstance(email, str) else None,
            is_email_verified=claims.get("email_verified") is True,
        )

    def _session(self, redirect_uri: str) -> Any:
        return OAuth2Session(
            self.client_id,
            self.client_secret,
            scope=_SCOPE,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            default_timeout=TIMEOUT_S,
        )

    def _described(self, session: Any) -> Any:
        found = self._json(session, f"{self.issuer}/.well-known/openid-configuration")
        if found.get("issuer") != self.issuer:
            raise _away(f"it calls itself {str(found.get('issuer'))[:200]!r}")
        return found

    def _json(self, session: Any, url: str) -> Any:
        def get() -> Any:
            answer = session.request("GET", url, withhold_token=True, timeout=TIMEOUT_S)
            answer.raise_for_status()
            return answer.json()

        return self._asked(get)

    def _asked(self, ask: Any, *arguments: Any, **more: Any) -> Any:
        try:
            return ask(*arguments, **more)
        except AuthlibBaseError as error:
            raise _refused("the provider did not take the code", str(error)) from error
        except (RequestException, ValueError) as error:
            raise _away(str(error)) from error


def _refused(reason: str, inside: str = "") -> Unauthorized:
    _log.warning("sign_in.refused", reason=reason, inside=inside)
    return Unauthorized(f"Signing in did not work: {reason}.", remedy="Begin again from the sign-in page.")


def _away(inside: str) -> NotAvailable:
    return NotAvailable(
        "The OpenID provider of this hub does not answer as it should.", remedy="Try again later.", inside=inside
    )
