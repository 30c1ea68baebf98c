from __future__ import annotations

import base64
import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.registry.asking import answer, ask, manifest, secret
from webhook.registry.credentials import (
    Credential,
    CredentialStore,
    InvalidCredentialsError,
    normalize_host,
    parse_credentials,
)
from webhook.registry.responses import CheckStatus

PASSWORD = "s3cr3t-p4ss"
BASIC = "Basic " + base64.b64encode(f"robot:{PASSWORD}".encode()).decode()
TOKEN = "t0k3n.of-some_bytes"
OURS = secret(("m.example", "robot", PASSWORD))


def files(*contents, **options):
    contents = dict(enumerate(contents))
    options = {"read": lambda path: contents[path], "clock": lambda: 0.0} | options
    return CredentialStore(contents, report=lambda _: None, **options)


@pytest.mark.parametrize(
    ("place", "host", "repository", "fits"),
    [
        ("m.example", "m.example", "a", True),
        ("m.example", "m.example:443", "a", True),
        ("m.example", "m.example:5000", "a", False),
        ("m.example", "x.m.example", "a", False),
        ("m.example", "m.example.org", "a", False),
        ("m.example:5000", "m.example:5000", "a", True),
        ("https://m.example", "m.example", "a", True),
        ("https://m.example/v2/", "m.example", "v2/a", True),
        ("https://index.docker.io/v1/", "docker.io", "library/nginx", True),
        ("https://index.docker.io/v1/", "registry-1.docker.io", "library/nginx", True),
        ("docker.io", "docker.io", "a/b", True),
        ("*.azurecr.io", "shop.azurecr.io", "a", True),
        ("*.azurecr.io", "a.b.azurecr.io", "a", False),
        ("*.azurecr.io", "azurecr.io", "a", False),
        ("m.example/team", "m.example", "team/app", True),
        ("m.example/team", "m.example", "team", True),
        ("m.example/team", "m.example", "teams/app", False),
    ],
)
def test_an_entry_is_for_what_the_kubelet_takes_it_for(place, host, repository, fits):
    found = files(secret((place, "u", "p"))).find(host, repository)

    assert (found is not None) is fits


def test_the_longest_path_wins():
    keyring = files(
        secret(("m.example", "all", "p"), ("m.example/a/b", "most", "p")),
        secret(("m.example/a", "some", "p")),
    )

    users = [keyring.find("m.example", name).user for name in ("a/b/c", "a/c", "c")]

    assert users == ["most", "some", "all"]


def test_the_field_auth_is_read_too():
    auth = base64.b64encode(b"robot:a:b").decode()

    (found,) = parse_credentials(json.dumps({"auths": {"a.io": {"auth": auth}}}).encode())

    assert (found.user, found.password) == ("robot", "a:b")


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"auths": []}', b"[" * 100_000])
def test_what_is_no_dockerconfigjson_is_refused(content):
    with pytest.raises(InvalidCredentialsError):
        parse_credentials(content)


@pytest.mark.parametrize("entry", [{}, [], None, {"auth": "%"}, {"auth": "YWJj"}, {"auth": 1}])
def test_an_entry_without_a_password_is_left_out(entry):
    assert parse_credentials(json.dumps({"auths": {"a.io": entry}}).encode()) == []


def test_a_changed_file_is_read_again_and_a_bad_one_keeps_what_it_said():
    now, content, told = [0.0], [OURS], []

    def read(_path):
        if content[0] is None:
            raise FileNotFoundError(2, "No such file or directory")
        return content[0]

    keyring = CredentialStore(["x"], read=read, clock=lambda: now[0], report=told.append)

    def password():
        now[0] += 11
        found = keyring.find("m.example", "a")
        return found and found.password

    assert password() == PASSWORD
    content[0] = secret(("m.example", "robot", "new"))
    assert password() == "new"
    content[0] = None
    assert password() == password() == "new"
    content[0] = b"new: not json"
    assert password() == password() == "new"
    assert told == [
        "credentials file x: it cannot be read: No such file or directory",
        "credentials file x: it is not JSON",
    ]


def test_a_credential_does_not_show_itself():
    assert "p4ss" not in repr(Credential("a.io", "", "robot", "p4ss"))


class Registry:
    """A registry with a login, on m.example; it keeps what every host was told."""

    def __init__(self, challenge, realm=None, location=None):
        self.challenge = challenge
        self.realm = realm or (lambda _: httpx.Response(200, json={"token": TOKEN}))
        self.location = location
        self.told = []

    def __call__(self, request):
        authorization = request.headers.get("Authorization", "")
        self.told.append((f"{request.url.scheme}://{request.url.host}", authorization))
        if "token" in request.url.path:
            return self.realm(request)
        if request.url.host != "m.example":
            return manifest()
        if authorization not in (BASIC, f"Bearer {TOKEN}"):
            return answer(401, WWW_Authenticate=self.challenge)
        return answer(307, Location=self.location) if self.location else manifest()

    def told_to(self, host):
        return {authorization for at, authorization in self.told if at == host}


BEARER = 'Bearer realm="{}",service="s"'


def test_a_password_is_sent_when_it_is_asked_for():
    registry = Registry('Basic realm="x"')

    assert ask(registry, credentials=OURS).status is CheckStatus.PRESENT
    assert registry.told == [("https://m.example", ""), ("https://m.example", BASIC)]


@pytest.mark.parametrize("credentials", [b"", OURS])
def test_a_token_is_fetched_with_a_password_or_without(credentials):
    registry = Registry(BEARER.format("https://m.example/token"))

    assert ask(registry, credentials=credentials).status is CheckStatus.PRESENT
    assert registry.told == [
        ("https://m.example", ""),
        ("https://m.example", BASIC if credentials else ""),
        ("https://m.example", f"Bearer {TOKEN}"),
    ]


def test_the_realm_is_asked_for_what_the_challenge_says():
    urls = []

    def realm(request):
        urls.append(request.url)
        return httpx.Response(200, json={"access_token": TOKEN, "expires_in": 300})

    ask(Registry(BEARER.format("https://auth.example/token?a=b") + ',scope="x:y"', realm))

    (url,) = urls
    assert dict(url.params) == {"a": "b", "service": "s", "scope": "x:y"}


def test_another_host_gets_no_credentials_by_a_redirect():
    registry = Registry('Basic realm="x"', location="https://cdn.example/blob")

    assert ask(registry, credentials=OURS).status is CheckStatus.PRESENT
    assert registry.told_to("https://cdn.example") == {""}


def test_another_host_gets_no_token_by_a_redirect():
    registry = Registry(BEARER.format("https://m.example/token"), location="https://cdn.example/x")

    assert ask(registry, credentials=OURS).status is CheckStatus.PRESENT
    assert registry.told_to("https://cdn.example") == {""}


def test_a_realm_elsewhere_gets_the_password_over_tls_as_the_protocol_says():
    registry = Registry(BEARER.format("https://auth.example/token"))

    assert ask(registry, credentials=OURS).status is CheckStatus.PRESENT
    assert registry.told_to("https://auth.example") == {BASIC}


def test_a_registry_without_tls_cannot_send_the_password_elsewhere():
    registry = Registry(BEARER.format("https://auth.example/token"))

    finding = ask(registry, credentials=OURS, plain_http=frozenset({"m.example"}))

    assert finding.status is CheckStatus.PRESENT
    assert registry.told_to("https://auth.example") == {""}


def test_a_realm_without_tls_is_not_gone_to():
    registry = Registry(BEARER.format("http://auth.example/token"))

    finding = ask(registry, credentials=OURS)

    assert finding.status is CheckStatus.UNAUTHORIZED
    assert registry.told_to("http://auth.example") == set()


def test_a_realm_that_redirects_is_not_followed():
    def realm(_request):
        return answer(302, Location="https://evil.example/token")

    registry = Registry(BEARER.format("https://m.example/token"), realm)

    finding = ask(registry, credentials=OURS)

    assert finding.reason == "asks for a login (its realm gives no token: HTTP 302)"
    assert registry.told_to("https://evil.example") == set()


def test_a_challenge_behind_a_redirect_is_answered_with_what_is_for_that_host():
    told = []

    def handler(request):
        told.append((request.url.host, request.headers.get("Authorization")))
        if request.url.host == "m.example":
            return answer(307, Location="https://other.example/x")
        return answer(401, WWW_Authenticate='Basic realm="x"')

    finding = ask(handler, credentials=OURS)

    assert finding.reason == "asks for a login (and no credentials for it are given)"
    assert told == [("m.example", None), ("other.example", None)]


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
        (httpx.Response(200, json={"token": TOKEN, "expires_in": "x"}), CheckStatus.PRESENT),
        (httpx.Response(200, json={"token": TOKEN, "expires_in": 1e300}), CheckStatus.PRESENT),
    ],
)
def test_every_answer_of_a_realm_has_its_meaning(response, found):
    registry = Registry(BEARER.format("https://m.example/token"), lambda _: response)

    assert ask(registry, credentials=OURS).status is found


@pytest.mark.parametrize("realm", ["", "x", "https://", "https://u:p@a.example/t", "//a"])
def test_a_realm_that_is_no_address_is_not_gone_to(realm):
    registry = Registry(BEARER.format(realm))

    assert ask(registry, credentials=OURS).status is CheckStatus.UNAUTHORIZED


def test_a_refused_password_is_no_reason_to_try_for_ever():
    registry = Registry('Basic realm="x"')
    wrong = secret(("m.example", "robot", "wrong"))

    finding = ask(registry, credentials=wrong)

    assert finding.reason == "asks for a login (HTTP 401)"
    assert len(registry.told) == 2


echoes = st.sampled_from([PASSWORD, BASIC, TOKEN, f"Bearer {TOKEN}", BASIC[6:]])


@given(
    st.integers(100, 599),
    st.dictionaries(
        st.sampled_from(["Content-Type", "Docker-Content-Digest", "Location", "X-Y"]),
        echoes,
    ),
    echoes,
)
def test_a_registry_that_writes_back_what_it_was_sent_is_not_quoted(status, headers, body):
    def handler(request):
        if "token" in request.url.path:
            return httpx.Response(200, json={"token": TOKEN})
        if "Authorization" not in request.headers:
            realm = BEARER.format("https://m.example/token")
            return answer(401, WWW_Authenticate=realm)
        return httpx.Response(status, headers=headers, content=body.encode())

    finding = ask(handler, credentials=OURS)

    for part in (PASSWORD, TOKEN, BASIC[6:]):
        assert part not in repr(finding)
        assert part not in finding.reason


def test_a_password_that_no_header_can_hold_is_not_told():
    def handler(_request):
        raise httpx.LocalProtocolError(f"Illegal header value {PASSWORD!r}")

    assert PASSWORD not in repr(ask(handler, credentials=OURS))


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("A.example", "a.example"),
        ("a.example:443", "a.example"),
        ("a.example:80", "a.example"),
        ("a.example:8443", "a.example:8443"),
        ("index.docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
    ],
)
def test_a_registry_goes_by_one_name(host, name):
    assert normalize_host(host) == name
