"""A small provider of sign-in over real HTTP, which can be told to answer wrongly: what a real one never does when it is asked to."""

import asyncio
import base64
import contextlib
import hashlib
import secrets
import socket
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
import uvicorn
from joserfc import jwk, jwt

CLIENT, SECRET = "yuanshe", "between+us/two"


class Small:
    """Who comes is `subject`, with `claims`; `wrong` changes what the ID token says, `key` signs it."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.subject = "2f6c"
        self.claims: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.wrong: dict[str, Any] = {}
        self.described: dict[str, Any] = {}
        self.algorithm = "RS256"
        self.key: Any = jwk.RSAKey.generate_key(2048, {"kid": "1", "use": "sig"})
        self.published = [self.key.as_dict(private=False)]
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []
        self.last: dict[str, str] = {}

    def rotate(self, kid: str = "2", publish: bool = True) -> None:
        """Sign with a new key from now on."""
        self.key = jwk.RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})
        if publish:
            self.published = [self.key.as_dict(private=False)]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"]
        self.asked.append(path)
        body = b""
        while True:
            part = await receive()
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        status, said, more = self._answer(path, scope["query_string"].decode(), body.decode(), headers)
        content = msgspec.json.encode(said) if said is not None else b""
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json"), *more]})  # fmt: skip
        await send({"type": "http.response.body", "body": content})

    def _answer(self, path: str, query: str, body: str, headers: dict[str, str]) -> tuple[int, Any, list[Any]]:
        if path == "/.well-known/openid-configuration":
            places = {f"{word}_endpoint": f"{self.issuer}/{word}" for word in ("authorization", "token", "userinfo", "end_session")}  # fmt: skip
            return 200, {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks"} | places | self.described, []
        if path == "/jwks":
            return 200, {"keys": self.published}, []
        if path == "/authorization":
            asked = dict(parse_qsl(query))
            code = secrets.token_urlsafe(16)
            self.codes[code] = self.last = asked
            back = f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state'], 'iss': self.issuer})}"
            return 303, None, [(b"location", back.encode())]
        if path == "/token":
            return self._token(dict(parse_qsl(body)), headers)
        if path == "/userinfo" and headers.get("authorization") == "Bearer opaque":
            return 200, {"sub": self.subject} | self.userinfo, []
        return 404, {}, []

    def _token(self, form: dict[str, str], headers: dict[str, str]) -> tuple[int, Any, list[Any]]:
        asked = self.codes.pop(form.get("code", ""), None)
        own = "Basic " + base64.b64encode(b"yuanshe:between%2Bus%2Ftwo").decode()
        proof = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()  # fmt: skip
        if asked is None or headers.get("authorization") != own or asked["code_challenge"] != proof or asked["redirect_uri"] != form["redirect_uri"]:  # fmt: skip
            return 400, {"error": "invalid_grant"}, []
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": self.subject, "aud": CLIENT, "nonce": asked["nonce"], "iat": now, "exp": now + 300}  # fmt: skip
        said = {name: value for name, value in (claims | self.claims | self.wrong).items() if value is not None}
        if self.algorithm == "none":
            token = ".".join(base64.urlsafe_b64encode(msgspec.json.encode(part)).rstrip(b"=").decode() for part in ({"alg": "none"}, said)) + "."  # fmt: skip
        else:
            token = jwt.encode({"alg": self.algorithm, "kid": self.key.kid}, said, self.key, algorithms=[self.algorithm])  # fmt: skip
        return 200, {"access_token": "opaque", "token_type": "Bearer", "id_token": token}, []


@contextlib.asynccontextmanager
async def small() -> AsyncIterator[Small]:
    """The provider at a port of its own."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        provider = Small(f"http://127.0.0.1:{listening.getsockname()[1]}")
        server = uvicorn.Server(uvicorn.Config(provider, log_level="warning", access_log=False, lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield provider
        finally:
            server.should_exit = True
            await task
