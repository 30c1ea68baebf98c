from __future__ import annotations

import asyncio
import base64
import json
from urllib.parse import parse_qsl

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.registry.fake_http import OURS, PASSWORD, answer, check, client_of, manifest, secret
from tests.registry.virtual_clock import run
from webhook.core import parse_reference
from webhook.registry import auth
from webhook.registry.auth import (
    Challenge,
    RequestContext,
    check_destination,
    parse_challenges,
    select_challenge,
)
from webhook.registry.cache import ENTRY_BYTES
from webhook.registry.credentials import Credential, HelperLogin
from webhook.registry.proxies import Proxies, read_proxies
from webhook.registry.responses import CheckStatus, RegistryError

BASIC = "Basic " + base64.b64encode(f"robot:{PASSWORD}".encode()).decode()
TOKEN = "t0k3n.of-some_bytes"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], []),
        ([""], []),
        (["Basic"], [Challenge("basic")]),
        (['Basic realm="Registry Realm"'], [Challenge("basic", "Registry Realm")]),
        (['bAsIc   REALM = "a"'], [Challenge("basic", "a")]),
        (
            [
                (
                    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
                    'scope="repository:library/nginx:pull"'
                )
            ],
            [
                Challenge(
                    "bearer",
                    "https://auth.docker.io/token",
                    "registry.docker.io",
                    "repository:library/nginx:pull",
                )
            ],
        ),
        (
            ['Bearer realm="a", Basic realm="b"'],
            [Challenge("bearer", "a"), Challenge("basic", "b")],
        ),
        (
            ['Basic realm="b"', 'Bearer realm="a"'],
            [Challenge("basic", "b"), Challenge("bearer", "a")],
        ),
        (
            ['Bearer realm="a\\"b,c=\\\\", service=x'],
            [Challenge("bearer", 'a"b,c=\\', "x")],
        ),
        (['Bearer realm="a",realm="b"'], [Challenge("bearer", "a")]),
        (['Bearer realm="a'], [Challenge("bearer")]),
        (["x" * 9000], []),
    ],
)
def test_challenges_are_parsed_per_rfc_9110(headers, expected):
    assert parse_challenges(headers)[: len(expected)] == expected


def test_bearer_challenge_is_preferred_to_basic():
    basic, bearer = Challenge("basic", "b"), Challenge("bearer", "a")

    assert select_challenge([basic, bearer]) is bearer
    assert select_challenge([basic]) is basic
    assert select_challenge([Challenge("negotiate")]) is None


@given(st.lists(st.text(max_size=80), max_size=3))
def test_any_header_can_be_parsed(headers):
    for challenge in parse_challenges(headers):
        assert challenge.scheme


class Registry:
    """The registry m.example, which requires authentication; it keeps all requests."""

    def __init__(self, challenge, realm=None, location=None):
        self.challenge = challenge
        self.realm = realm or (lambda _: httpx.Response(200, json={"token": TOKEN}))
        self.location = location
        self.requests = []

    def __call__(self, request):
        authorization = request.headers.get("Authorization", "")
        self.requests.append((f"{request.url.scheme}://{request.url.host}", authorization))
        if "token" in request.url.path:
            return self.realm(request)
        if request.url.host != "m.example":
            return manifest()
        if authorization not in (BASIC, f"Bearer {TOKEN}"):
            return answer(401, WWW_Authenticate=self.challenge)
        return answer(307, Location=self.location) if self.location else manifest()

    def headers_of(self, host):
        return {authorization for origin, authorization in self.requests if origin == host}


BEARER = 'Bearer realm="{}",service="s"'


def test_password_is_sent_after_basic_challenge():
    registry = Registry('Basic realm="x"')

    assert check(registry, credentials=OURS).status is CheckStatus.PRESENT
    assert registry.requests == [("https://m.example", ""), ("https://m.example", BASIC)]


@pytest.mark.parametrize("credentials", [b"", OURS])
def test_token_is_fetched_with_or_without_password(credentials):
    registry = Registry(BEARER.format("https://m.example/token"))

    assert check(registry, credentials=credentials).status is CheckStatus.PRESENT
    assert registry.requests == [
        ("https://m.example", ""),
        ("https://m.example", BASIC if credentials else ""),
        ("https://m.example", f"Bearer {TOKEN}"),
    ]


@pytest.mark.parametrize(("pause", "tokens"), [(50, 1), (100, 2)])
def test_token_is_reused_until_it_expires(pause, tokens):
    def realm(_request):
        return httpx.Response(200, json={"token": TOKEN, "expires_in": 90})

    registry = Registry('Bearer realm="https://auth.example/token"', realm)

    async def main():
        client = client_of(registry)
        for _ in range(2):
            result = await client.check_image(parse_reference("m.example/a"))
            assert result.status is CheckStatus.PRESENT
            await asyncio.sleep(pause)
        await client.close()

    run(main())

    assert [host for host, _ in registry.requests].count("https://auth.example") == tokens
    assert len(registry.requests) == 3 + (1 if tokens == 1 else 3)


def test_size_of_cached_tokens_is_limited(monkeypatch):
    monkeypatch.setattr(auth, "MAX_TOKEN_BYTES", 2 * (ENTRY_BYTES + 50))
    registry = Registry(BEARER.format("https://m.example/token"))

    async def main():
        client = client_of(registry)
        for name in ("a", "b", "c", "c", "a"):
            await client.check_image(parse_reference(f"m.example/{name}"))
        await client.close()

    run(main())

    assert len(registry.requests) == 3 * 4 + 1


def test_token_request_has_service_and_scope_of_challenge():
    urls = []

    def realm(request):
        urls.append(request.url)
        return httpx.Response(200, json={"access_token": TOKEN, "expires_in": 300})

    check(Registry(BEARER.format("https://auth.example/token?a=b") + ',scope="x:y"', realm))

    (url,) = urls
    assert dict(url.params) == {"a": "b", "service": "s", "scope": "x:y"}


def test_redirect_to_other_originsends_no_password():
    registry = Registry('Basic realm="x"', location="https://cdn.example/blob")

    assert check(registry, credentials=OURS).status is CheckStatus.PRESENT
    assert registry.headers_of("https://cdn.example") == {""}


def test_redirect_to_other_originsends_no_token():
    registry = Registry(BEARER.format("https://m.example/token"), location="https://cdn.example/x")

    assert check(registry, credentials=OURS).status is CheckStatus.PRESENT
    assert registry.headers_of("https://cdn.example") == {""}


def test_realm_at_other_origingets_password_over_tls():
    registry = Registry(BEARER.format("https://auth.example/token"))

    assert check(registry, credentials=OURS).status is CheckStatus.PRESENT
    assert registry.headers_of("https://auth.example") == {BASIC}


def test_registry_without_tls_cannot_send_password_to_other_host():
    registry = Registry(BEARER.format("https://auth.example/token"))

    result = check(registry, credentials=OURS, plain_http=frozenset({"m.example"}))

    assert result.status is CheckStatus.PRESENT
    assert registry.headers_of("https://auth.example") == {""}


def test_realm_without_tls_is_not_requested():
    registry = Registry(BEARER.format("http://auth.example/token"))

    result = check(registry, credentials=OURS)

    assert result.status is CheckStatus.UNAUTHORIZED
    assert registry.headers_of("http://auth.example") == set()


def test_redirect_of_realm_is_not_followed():
    def realm(_request):
        return answer(302, Location="https://evil.example/token")

    registry = Registry(BEARER.format("https://m.example/token"), realm)

    result = check(registry, credentials=OURS)

    assert result.reason == "requires authentication (its token server answers HTTP 302)"
    assert registry.headers_of("https://evil.example") == set()


def test_challenge_after_redirect_gets_credentials_of_that_host():
    told = []

    def handler(request):
        told.append((request.url.host, request.headers.get("Authorization")))
        if request.url.host == "m.example":
            return answer(307, Location="https://other.example/x")
        return answer(401, WWW_Authenticate='Basic realm="x"')

    result = check(handler, credentials=OURS)

    assert result.reason == "requires authentication (no credentials are configured for it)"
    assert told == [("m.example", None), ("other.example", None)]


@pytest.mark.parametrize("challenge", ['Basic realm="x"', BEARER.format("https://m.example/token")])
def test_redirect_of_other_registry_does_not_use_credentials(challenge):
    ours = Registry(challenge)

    def handler(request):
        if request.url.host == "stranger.example":
            return answer(307, Location="https://m.example/v2/secret/manifests/1")
        return ours(request)

    check(handler, "stranger.example/a", credentials=OURS)

    assert ours.requests
    assert BASIC not in ours.headers_of("https://m.example")


def test_token_of_registry_is_not_used_for_redirect_of_another():
    ours = Registry(BEARER.format("https://m.example/token"))

    def handler(request):
        if request.url.host == "stranger.example":
            return answer(307, Location="https://m.example/v2/a/manifests/latest")
        return ours(request)

    async def main():
        client = client_of(handler, credentials=OURS)
        await client.check_image(parse_reference("m.example/a"))
        ours.requests.clear()
        await client.check_image(parse_reference("stranger.example/a"))
        await client.close()

    run(main())

    assert ours.requests[0] == ("https://m.example", "")
    assert BASIC not in ours.headers_of("https://m.example")


ADDRESSES = {
    "m.example": ["10.0.0.9"],
    "auth.example": ["93.184.215.14"],
    "metadata.example": ["169.254.169.254"],
    "kubernetes.default.svc": ["10.96.0.1"],
    "both.example": ["93.184.215.14", "fd00::1"],
}


@pytest.fixture
def addresses(monkeypatch):
    async def resolve(host):
        return ADDRESSES[host]

    monkeypatch.setattr(auth, "resolve", resolve)


INTERNAL = ["metadata.example", "kubernetes.default.svc", "both.example"]


@pytest.mark.usefixtures("addresses")
@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize("host", ["m.example", "auth.example", *INTERNAL])
def test_stranger_cannot_name_internal_token_server(host, is_named):
    registry = Registry(BEARER.format(f"https://{host}/token"))

    result = check(registry, is_named=is_named)

    if is_named or host not in INTERNAL:
        assert result.is_present
    else:
        assert result.status is CheckStatus.UNEXPECTED
        assert "internal host" in result.reason
        assert registry.headers_of(f"https://{host}") == set()


@pytest.mark.usefixtures("addresses")
@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize("host", ["auth.example", *INTERNAL])
def test_stranger_cannot_redirect_to_internal_host(host, is_named):
    asked = []

    def handler(request):
        asked.append(request.url.host)
        return manifest() if request.url.host == host else answer(307, Location=f"https://{host}/")

    result = check(handler, is_named=is_named)

    assert result.is_present == (is_named or host == "auth.example")
    assert (host in asked) == result.is_present


@pytest.mark.usefixtures("addresses")
@pytest.mark.parametrize(
    ("host", "is_followed"), [("10.0.0.5:5000", True), ("8.8.8.8", False), ("m.example", False)]
)
def test_registry_with_internal_address_can_redirect_to_internal_host(host, is_followed):
    def handler(request):
        if request.url.host == "kubernetes.default.svc":
            return manifest()
        return answer(307, Location="https://kubernetes.default.svc/")

    assert check(handler, f"{host}/a", is_named=False).is_present == is_followed


@pytest.mark.parametrize(
    ("host", "is_internal"),
    [
        ("127.0.0.1", True),
        ("127.1", True),
        ("2130706433", True),
        ("0x7f.1", True),
        ("[::1]", True),
        ("[::ffff:10.0.0.1]", True),
        ("[fe80::1%25eth0]", True),
        ("192.168.1.1", True),
        ("100.64.0.1", True),
        ("0.0.0.0", True),
        ("localhost", True),
        ("8.8.8.8", False),
        ("[2606:4700::1111]", False),
    ],
)
def test_internal_host_is_recognized_in_any_notation(host, is_internal):
    context = RequestContext("m.example", ("a",), is_named=False)
    url = httpx.URL(f"https://{host}/token")
    if is_internal:
        with pytest.raises(RegistryError, match="leads to"):
            asyncio.run(check_destination(url, context, Proxies()))
    else:
        asyncio.run(check_destination(url, context, Proxies()))


def test_host_without_address_is_not_reached():
    context = RequestContext("m.example", ("a",), is_named=False)
    url = httpx.URL(f"https://{'a' * 70}.invalid/")
    with pytest.raises(RegistryError, match="not known"):
        asyncio.run(check_destination(url, context, Proxies()))


@pytest.mark.parametrize(
    ("response", "found"),
    [
        (answer(401), CheckStatus.UNAUTHORIZED),
        (answer(403), CheckStatus.UNAUTHORIZED),
        (answer(404), CheckStatus.UNAUTHORIZED),
        (answer(429), CheckStatus.LIMITED),
        (answer(500), CheckStatus.FAILED),
        (httpx.Response(200, content=b"<html>"), CheckStatus.UNAUTHORIZED),
        (httpx.Response(200, json={"token": ""}), CheckStatus.UNAUTHORIZED),
        (httpx.Response(200, json={"token": "a\nb"}), CheckStatus.UNAUTHORIZED),
        (httpx.Response(200, json={"token": ["a"]}), CheckStatus.UNAUTHORIZED),
        (httpx.Response(200, json={"token": "a" * 20_000}), CheckStatus.UNAUTHORIZED),
        (httpx.Response(200, json={"token": TOKEN, "expires_in": "x"}), CheckStatus.PRESENT),
        (httpx.Response(200, json={"token": TOKEN, "expires_in": 1e300}), CheckStatus.PRESENT),
    ],
)
def test_response_of_realm_becomes_result(response, found):
    registry = Registry(BEARER.format("https://m.example/token"), lambda _: response)

    assert check(registry, credentials=OURS).status is found


@pytest.mark.parametrize(
    "realm", ["", "x", "https://", "https://u:p@a.example/t", "//a", "https://a.example:port/"]
)
def test_invalid_realm_is_not_requested(realm):
    registry = Registry(BEARER.format(realm))

    assert check(registry, credentials=OURS).status is CheckStatus.UNAUTHORIZED


def test_large_token_response_is_refused():
    async def pours():
        while True:
            yield b"x" * 1000

    def realm(_request):
        return httpx.Response(200, content=pours())

    result = check(Registry(BEARER.format("https://m.example/token"), realm))

    assert (result.status, result.detail) == (
        CheckStatus.UNEXPECTED,
        "it is larger than 65536 bytes",
    )


def test_refused_password_is_sent_once():
    registry = Registry('Basic realm="x"')
    wrong = secret(("m.example", "robot", "wrong"))

    result = check(registry, credentials=wrong)

    assert result.reason == (
        "requires authentication (it refuses the configured credentials: HTTP 401)"
    )
    assert len(registry.requests) == 2


AZURE = json.dumps({"auths": {"m.example": {"identitytoken": "r3fr3sh"}}}).encode()
HELPED = json.dumps({"credHelpers": {"m.example": "cloud"}}).encode()


def test_refresh_token_is_exchanged_for_a_token():
    forms = []

    def realm(request):
        forms.append((request.method, dict(parse_qsl(request.content.decode()))))
        return httpx.Response(200, json={"access_token": TOKEN})

    registry = Registry(BEARER.format("https://m.example/token"), realm)

    assert check(registry, credentials=AZURE).status is CheckStatus.PRESENT
    form = {
        "grant_type": "refresh_token",
        "client_id": "mirrorhook",
        "refresh_token": "r3fr3sh",
        "service": "s",
        "scope": "repository:hub/nginx:pull",
    }
    assert forms == [("POST", form)]
    assert registry.headers_of("https://m.example") == {"", f"Bearer {TOKEN}"}


def test_refresh_token_is_not_sent_without_tls_to_another_host():
    forms = []

    def realm(request):
        forms.append((request.method, request.content))
        return httpx.Response(200, json={"token": TOKEN})

    registry = Registry(BEARER.format("http://plain.example/token"), realm)

    check(registry, credentials=AZURE, plain_http=frozenset({"plain.example"}))

    assert forms == [("GET", b"")]


def test_refresh_token_is_no_password():
    result = check(Registry('Basic realm="x"'), credentials=AZURE)

    assert result.reason == (
        "requires authentication (it takes a password, but only a token is configured)"
    )


def test_registry_token_is_sent_as_it_is():
    entry = {"auths": {"m.example": {"registrytoken": TOKEN}}}
    registry = Registry(BEARER.format("https://m.example/token"))

    result = check(registry, credentials=json.dumps(entry).encode())

    assert result.status is CheckStatus.PRESENT
    assert [authorization for _, authorization in registry.requests] == ["", f"Bearer {TOKEN}"]


@pytest.mark.parametrize("challenge", ['Basic realm="x"', BEARER.format("https://m.example/token")])
def test_helper_is_asked_for_the_login_after_a_challenge(challenge):
    asked = []

    async def helper(login):
        asked.append(login)
        return Credential("", "", "robot", PASSWORD)

    registry = Registry(challenge)

    assert check(registry, credentials=HELPED, helper=helper).status is CheckStatus.PRESENT
    assert asked == [HelperLogin("cloud", "m.example")]
    assert BASIC in registry.headers_of("https://m.example")


def test_helper_is_not_asked_without_a_challenge():
    async def helper(_login):
        raise AssertionError

    result = check(lambda _: manifest(), credentials=HELPED, helper=helper)

    assert result.status is CheckStatus.PRESENT


def test_failed_helper_leaves_public_images_and_is_named_otherwise():
    public = Registry(BEARER.format("https://m.example/token"))
    private = Registry('Basic realm="x"')
    refused = Registry(BEARER.format("https://m.example/token"), lambda _: answer(401))
    problem = "its credential helper docker-credential-cloud is not in the PATH"

    assert check(public, credentials=HELPED).status is CheckStatus.PRESENT
    for registry in (private, refused):
        assert check(registry, credentials=HELPED).detail == problem


def test_helper_that_is_slow_does_not_count_as_a_failure_of_the_registry():
    async def helper(_login):
        await asyncio.sleep(60)

    result = check(Registry('Basic realm="x"'), credentials=HELPED, helper=helper, timeout=0.8)

    assert result.status is CheckStatus.UNAUTHORIZED
    assert result.detail == "its credential helper docker-credential-cloud has not answered yet"


def test_command_waits_for_a_helper_before_the_time_of_a_check_begins():
    async def helper(_login):
        await asyncio.sleep(5)
        return Credential("", "", "robot", PASSWORD)

    registry = Registry('Basic realm="x"')
    options = {"credentials": HELPED, "helper": helper, "timeout": 0.8, "helper_seconds": 10.0}

    assert check(registry, **options).status is CheckStatus.PRESENT


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("credentials", "detail"),
    [
        (b"", "no credentials are configured for it"),
        (OURS, "its token server refuses the configured credentials: HTTP {}"),
        (AZURE, "its token server refuses the configured credentials: HTTP {}"),
    ],
)
def test_refusal_of_token_server_says_whose_fault_it_is(status, credentials, detail):
    registry = Registry(BEARER.format("https://m.example/token"), lambda _: answer(status))

    result = check(registry, credentials=credentials)

    assert (result.status, result.detail) == (CheckStatus.UNAUTHORIZED, detail.format(status))


def test_destination_that_only_the_proxy_knows_is_left_to_it():
    context = RequestContext("m.example", ("a",), is_named=False)
    proxies = read_proxies({"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "direct.invalid"})

    asyncio.run(check_destination(httpx.URL("https://auth.invalid"), context, proxies))
    for host in ("direct.invalid", "10.1.2.3"):
        with pytest.raises(RegistryError, match="it leads to"):
            asyncio.run(check_destination(httpx.URL(f"https://{host}"), context, proxies))


echoes = st.sampled_from([PASSWORD, BASIC, TOKEN, f"Bearer {TOKEN}", BASIC[6:]])


@given(
    st.integers(100, 599),
    st.dictionaries(
        st.sampled_from(["Content-Type", "Docker-Content-Digest", "Location", "X-Y"]),
        echoes,
    ),
    echoes,
)
def test_result_does_not_quote_registry(status, headers, body):
    def handler(request):
        if "token" in request.url.path:
            return httpx.Response(200, json={"token": TOKEN})
        if "Authorization" not in request.headers:
            realm = BEARER.format("https://m.example/token")
            return answer(401, WWW_Authenticate=realm)
        return httpx.Response(status, headers=headers, content=body.encode())

    result = check(handler, credentials=OURS)

    for part in (PASSWORD, TOKEN, BASIC[6:]):
        assert part not in repr(result)
        assert part not in result.reason


def test_result_does_not_quote_errors():
    def handler(_request):
        raise httpx.LocalProtocolError(f"Illegal header value {PASSWORD!r}")

    assert PASSWORD not in repr(check(handler, credentials=OURS))
