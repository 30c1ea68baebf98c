from __future__ import annotations

import asyncio
import json
import ssl

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.registry.fake_http import (
    DIGEST,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX,
    MANIFEST,
    OTHER,
    answer,
    check,
    client_of,
    manifest,
)
from tests.registry.virtual_clock import run
from webhook.core import parse_platform, parse_reference
from webhook.registry.client import MAX_LARGE_DOCUMENTS
from webhook.registry.responses import CheckResult, CheckStatus

PRESENT, ABSENT, UNKNOWN = "present", "absent", "unknown"


def presence_of(result):
    if result.is_present:
        return PRESENT
    return ABSENT if result.status.is_absent else UNKNOWN


def raising(error):
    def handler(_request):
        raise error

    return handler


def caused(error, cause):
    error.__cause__ = cause
    return error


HTML = answer(200, Content_Type="text/html; charset=utf-8")
LOOP = answer(307, Location="/v2/hub/nginx/manifests/1")


@pytest.mark.parametrize(
    ("response", "presence", "reason"),
    [
        (manifest(), PRESENT, "has it"),
        (manifest(kind=INDEX), PRESENT, "has it"),
        (manifest(kind=DOCKER_MANIFEST), PRESENT, "has it"),
        (manifest(kind=DOCKER_LIST + "; charset=utf-8"), PRESENT, "has it"),
        (answer(404), ABSENT, "does not have it (HTTP 404)"),
        (answer(403), ABSENT, "refuses access to it (HTTP 403)"),
        (HTML, ABSENT, "sends something that is not a manifest (a web page)"),
        (answer(200), ABSENT, "sends something that is not a manifest"),
        (LOOP, ABSENT, "sends a redirect that cannot be followed (after 5 others)"),
        (
            answer(302),
            ABSENT,
            "sends a redirect that cannot be followed (its address is invalid or without TLS)",
        ),
        (
            answer(302, Location="http://other.example/"),
            ABSENT,
            "sends a redirect that cannot be followed (its address is invalid or without TLS)",
        ),
        (
            answer(302, Location="ftp://other.example/"),
            ABSENT,
            "sends a redirect that cannot be followed (its address is invalid or without TLS)",
        ),
        (
            answer(302, Location="https://other.example:port/"),
            ABSENT,
            "sends a redirect that cannot be followed (its address is invalid or without TLS)",
        ),
        (answer(401), UNKNOWN, "requires authentication (by an unknown scheme)"),
        (
            answer(401, WWW_Authenticate='Basic realm="x"'),
            UNKNOWN,
            "requires authentication (no credentials are configured for it)",
        ),
        (
            answer(401, WWW_Authenticate="Negotiate"),
            UNKNOWN,
            "requires authentication (by an unknown scheme)",
        ),
        (answer(429), UNKNOWN, "limits the rate of requests (HTTP 429)"),
        (answer(500), UNKNOWN, "fails (HTTP 500)"),
        (answer(503), UNKNOWN, "fails (HTTP 503)"),
        (answer(204), UNKNOWN, "sends an unexpected response (HTTP 204)"),
        (answer(418), UNKNOWN, "sends an unexpected response (HTTP 418)"),
    ],
)
def test_response_becomes_result_with_reason(response, presence, reason):
    result = check(lambda _: response)

    assert (presence_of(result), result.reason) == (presence, reason)


@pytest.mark.parametrize(
    ("error", "found", "reason"),
    [
        (
            caused(httpx.ConnectError("x"), ConnectionRefusedError(111, "x")),
            CheckStatus.UNREACHABLE,
            "cannot be reached (connection refused)",
        ),
        (
            caused(httpx.ReadError("x"), ConnectionResetError(104, "x")),
            CheckStatus.UNREACHABLE,
            "cannot be reached (connection reset)",
        ),
        (
            httpx.ConnectError("Name or service not known"),
            CheckStatus.UNREACHABLE,
            "cannot be reached (no connection)",
        ),
        (
            httpx.RemoteProtocolError("illegal header: b'password'"),
            CheckStatus.UNREACHABLE,
            "cannot be reached (the connection was interrupted)",
        ),
        (
            caused(httpx.ConnectError("x"), ssl.SSLCertVerificationError(1, "x")),
            CheckStatus.UNTRUSTED,
            "has a certificate that is not trusted",
        ),
    ],
)
def test_error_has_reason_without_its_own_words(error, found, reason):
    result = check(raising(error))

    assert (result.status, result.reason) == (found, reason)
    assert found.is_failure
    assert presence_of(result) == UNKNOWN


def test_hanging_registry_times_out():
    async def hangs(_request):
        await asyncio.sleep(3600)

    result = check(hangs, timeout=0.8)

    assert result.reason == "does not answer in time (800 ms)"
    assert result.status is CheckStatus.TIMEOUT


def test_dripping_registry_times_out():
    async def drips():
        for _ in range(3600):
            await asyncio.sleep(0.5)
            yield b" "

    def handler(_request):
        return httpx.Response(200, headers={"Content-Type": INDEX}, content=drips())

    result = check(handler, platforms=(parse_platform("linux/amd64"),))

    assert result.status is CheckStatus.TIMEOUT


def test_body_larger_than_limit_is_refused():
    async def pours():
        while True:
            yield b"x" * 65536

    def handler(_request):
        return httpx.Response(200, headers={"Content-Type": INDEX}, content=pours())

    result = check(handler, platforms=(parse_platform("linux/amd64"),))

    assert result.status is CheckStatus.UNEXPECTED
    assert "larger than 1048576 bytes" in result.reason


@pytest.mark.parametrize(
    ("size", "found"), [(1, CheckStatus.UNEXPECTED), (512, CheckStatus.PLATFORM)]
)
def test_body_in_tiny_parts_is_refused(size, found):
    sent = []
    body = json.dumps({"manifests": [], "x": "y" * 100_000}).encode()

    async def drips():
        for begin in range(0, len(body), size):
            sent.append(begin)
            yield body[begin : begin + size]

    def handler(_request):
        return httpx.Response(200, headers={"Content-Type": INDEX}, content=drips())

    result = check(handler, platforms=(parse_platform("linux/amd64"),))

    assert result.status is found
    assert (len(sent) < 100) == (size == 1)


@pytest.mark.parametrize(
    ("response", "is_failure"),
    [
        (answer(200), False),
        (answer(401), False),
        (answer(404), False),
        (answer(429), True),
        (answer(503), True),
        (httpx.ConnectError("refused"), True),
        (None, True),
    ],
)
def test_registry_is_up_if_it_answers(response, is_failure):
    asked = []

    async def handler(request):
        asked.append(str(request.url))
        if response is None:
            await asyncio.sleep(60)
        if isinstance(response, Exception):
            raise response
        return response

    async def main():
        return await client_of(handler).check_registry("docker.io")

    assert run(main()).status.is_failure == is_failure
    assert asked == ["https://registry-1.docker.io/v2/"]


def test_large_documents_are_read_a_few_at_a_time():
    reading, most = 0, 0

    async def body():
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        await asyncio.sleep(0.1)
        yield b" " * 100_000 + b'{"manifests": []}'
        reading -= 1

    def handler(_request):
        return httpx.Response(200, headers={"Content-Type": INDEX}, content=body())

    async def main():
        client = client_of(handler, platforms=(parse_platform("linux/amd64"),))
        images = (parse_reference(f"m.example/a{number}") for number in range(20))
        return await asyncio.gather(*map(client.check_image, images))

    results = run(main())

    assert {result.status for result in results} == {CheckStatus.PLATFORM}
    assert most == MAX_LARGE_DOCUMENTS


@pytest.mark.parametrize(
    ("image", "url"),
    [
        ("nginx", "https://registry-1.docker.io/v2/library/nginx/manifests/latest"),
        ("m.example/a/b:1", "https://m.example/v2/a/b/manifests/1"),
        (f"m.example/a:1@{DIGEST}", f"https://m.example/v2/a/manifests/{DIGEST}"),
        ("m.example:5000/a", "https://m.example:5000/v2/a/manifests/latest"),
        ("plain.example:5000/a", "http://plain.example:5000/v2/a/manifests/latest"),
        ("[fd00::1]:5000/a", "https://[fd00::1]:5000/v2/a/manifests/latest"),
    ],
)
def test_manifest_is_requested_by_digest_or_tag(image, url):
    seen = []

    def handler(request):
        seen.append(request)
        return answer(404)

    check(handler, image, plain_http=frozenset({"plain.example:5000"}))

    (request,) = seen
    assert (request.method, str(request.url)) == ("HEAD", url)
    for kind in (MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST):
        assert kind in request.headers["Accept"].split(", ")


def test_redirect_is_followed():
    def handler(request):
        if request.url.host == "m.example":
            return answer(307, Location="https://cdn.example/here")
        return manifest()

    assert check(handler).status is CheckStatus.PRESENT


def test_cookies_are_not_kept():
    sent = []

    def handler(request):
        sent.append(request.headers.get("Cookie"))
        location = f"https://m.example/{len(sent)}"
        return answer(307, Location=location, Set_Cookie="a=b; Domain=m.example; Path=/")

    check(handler)

    assert sent == [None] * 6


def test_other_digest_than_requested_is_mismatch():
    result = check(lambda _: manifest(OTHER), f"m.example/a@{DIGEST}")

    assert result.status is CheckStatus.MISMATCH


def test_invalid_digest_is_dropped():
    assert check(lambda _: manifest("password")).digest == ""
    assert check(lambda _: manifest()).digest == DIGEST


AMD, ARM7 = {"os": "linux", "architecture": "amd64"}, {"os": "linux", "architecture": "arm"}
ARM7 = {**ARM7, "variant": "v7"}


def index_of(*platforms):
    return {"manifests": [{"digest": DIGEST, "platform": each} for each in platforms]}


@pytest.mark.parametrize(
    ("body", "config", "wanted", "reason"),
    [
        (index_of(AMD, ARM7), None, "linux/amd64", "has it"),
        (index_of(AMD, ARM7), None, "linux/arm", "has it"),
        (index_of(AMD, ARM7), None, "linux/arm/v7", "has it"),
        (
            index_of(AMD, ARM7),
            None,
            "linux/arm/v6",
            "has it for other platforms only (not for linux/arm/v6)",
        ),
        (
            index_of(AMD),
            None,
            "linux/arm64",
            "has it for other platforms only (not for linux/arm64)",
        ),
        (
            index_of(),
            None,
            "linux/amd64",
            "has it for other platforms only (not for linux/amd64)",
        ),
        ({"config": {"digest": OTHER}}, AMD, "linux/amd64", "has it"),
        (
            {"config": {"digest": OTHER}},
            AMD,
            "linux/arm64",
            "has it for other platforms only (not for linux/arm64)",
        ),
        (
            {"config": {"digest": OTHER}},
            None,
            "linux/amd64",
            "does not have it (its configuration is not there: HTTP 404)",
        ),
        (
            {"config": {"digest": "../x"}},
            AMD,
            "linux/amd64",
            ("sends something that is not a manifest (it is neither a manifest nor an index)"),
        ),
        (
            [],
            AMD,
            "linux/amd64",
            ("sends something that is not a manifest (it is neither a manifest nor an index)"),
        ),
    ],
)
def test_image_must_have_wanted_platforms(body, config, wanted, reason):
    def handler(request):
        assert request.method == "GET"
        if request.url.path.endswith(f"/blobs/{OTHER}"):
            return answer(404) if config is None else httpx.Response(200, json=config)
        return manifest(body=body)

    result = check(handler, platforms=(parse_platform(wanted),))

    assert result.reason == reason


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["manifests", "platform", "config", "digest", "os", "x"]),
                inner,
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_body_gives_result(content):
    def handler(_request):
        return httpx.Response(200, headers={"Content-Type": INDEX}, content=content)

    result = check(handler, platforms=(parse_platform("linux/amd64"),))

    assert result.status in CheckStatus


@given(
    st.integers(100, 599),
    st.dictionaries(
        st.sampled_from(["Content-Type", "Docker-Content-Digest", "Location", "WWW-Authenticate"]),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60),
    ),
)
def test_any_status_and_headers_give_result(status, headers):
    result = check(lambda _: httpx.Response(status, headers=headers))

    assert result.status in CheckStatus


def test_status_has_reason():
    for each in CheckStatus:
        assert CheckResult(each).reason
        assert not (each.is_absent and each.is_failure)


def test_manifest_is_returned_if_it_is_there():
    async def get(handler):
        client = client_of(handler)
        try:
            return await client.get_manifest(parse_reference("m.example/hub/nginx:1"))
        finally:
            await client.close()

    result, content = run(get(lambda _: manifest(body={"a": 1})))
    assert (result.status, content) == (CheckStatus.PRESENT, b'{"a": 1}')
    assert run(get(lambda _: answer(404)))[0].status is CheckStatus.ABSENT
