"""Which proxy a request takes: as the programs written in Go, of which copy uses some."""

from __future__ import annotations

from contextlib import suppress

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.registry.proxies import read_proxies
from webhook.registry.responses import RegistryError

PROXY = "http://proxy.example:3128"


def find(url, **environment):
    proxy = read_proxies(environment).find(httpx.URL(url))
    return proxy and (proxy.variable, str(proxy.url))


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "https://a.example", None),
        ({"HTTPS_PROXY": ""}, "https://a.example", None),
        ({"HTTPS_PROXY": PROXY}, "https://a.example", ("HTTPS_PROXY", PROXY)),
        ({"HTTPS_PROXY": PROXY}, "http://a.example", None),
        ({"HTTP_PROXY": PROXY}, "http://a.example", ("HTTP_PROXY", PROXY)),
        ({"HTTP_PROXY": PROXY}, "https://a.example", None),
        ({"https_proxy": PROXY}, "https://a.example", ("https_proxy", PROXY)),
        ({"HTTPS_PROXY": PROXY, "https_proxy": "b:1"}, "https://a.io", ("HTTPS_PROXY", PROXY)),
        ({"HTTPS_PROXY": "proxy:3128"}, "https://a.io", ("HTTPS_PROXY", "http://proxy:3128")),
        ({"HTTPS_PROXY": "https://p:1"}, "https://a.io", ("HTTPS_PROXY", "https://p:1")),
        ({"ALL_PROXY": PROXY}, "https://a.example", None),
    ],
)
def test_proxy_is_selected_by_scheme(environment, url, proxy):
    assert find(url, **environment) == proxy


# Each was compared with the answer of http.ProxyFromEnvironment of Go 1.26.
@pytest.mark.parametrize(
    ("exceptions", "host", "is_direct"),
    [
        ("", "a.example", False),
        ("*", "a.example", True),
        ("*", "10.1.2.3", True),
        ("a.example", "a.example", True),
        ("a.example", "A.EXAMPLE", True),
        ("A.Example", "a.example", True),
        ("a.example", "b.a.example", True),
        ("a.example", "nota.example", False),
        (".a.example", "a.example", False),
        (".a.example", "b.a.example", True),
        ("*.a.example", "a.example", False),
        ("*.a.example", "b.a.example", True),
        ("*a.example", "a.example", False),
        (" b.example , a.example ", "a.example", True),
        (",,", "a.example", False),
        (":443", "a.example", False),
        ("a.example:443", "a.example", True),
        ("a.example:5000", "a.example:5000", True),
        ("a.example:5000", "a.example", False),
        ("10.0.0.0/8", "10.1.2.3:5000", True),
        ("10.9.9.9/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "a.example", False),
        ("10.0.0.0/99", "10.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:5000", "10.1.2.3", False),
        ("1.2.3", "10.1.2.3", False),
        ("2.3", "10.1.2.3", False),
        ("10.0.0.0/8", "[::ffff:10.1.2.3]", True),
        ("::ffff:10.0.0.0/104", "10.1.2.3", True),
        ("fd00::/8", "[fd00::1]:5000", True),
        ("fd00::1", "[fd00::1]", True),
        ("[fd00::1]:5000", "[fd00::1]:5000", True),
        ("[fd00::1]:5000", "[fd00::1]", False),
        ("bücher.example", "xn--bcher-kva.example", True),
        ("", "localhost:5000", True),
        ("", "127.0.0.1:5000", True),
        ("", "127.9.9.9", True),
        ("", "[::1]:5000", True),
    ],
)
def test_exceptions_are_those_of_go(exceptions, host, is_direct):
    environment = {"HTTPS_PROXY": PROXY, "NO_PROXY": exceptions}

    assert (find(f"https://{host}/v2/", **environment) is None) == is_direct
    lower = {"https_proxy": PROXY, "no_proxy": exceptions}
    assert (find(f"https://{host}/v2/", **lower) is None) == is_direct


@pytest.mark.parametrize(
    ("exceptions", "url", "is_direct"),
    [
        ("https://a.example", "https://a.example", True),
        ("https://a.example", "http://a.example", False),
        ("all://a.example", "http://a.example", True),
    ],
)
def test_exceptions_may_have_a_scheme_as_in_httpx(exceptions, url, is_direct):
    environment = {"HTTPS_PROXY": PROXY, "HTTP_PROXY": PROXY, "NO_PROXY": exceptions}

    assert (find(url, **environment) is None) == is_direct


@pytest.mark.parametrize("value", ["socks5://p:1", "http://", "http://p:x", "://"])
def test_invalid_proxy_is_reported_without_its_value(value):
    value = value.replace("//", "//robot:s3cr3t@") if "p" in value else value
    with pytest.raises(RegistryError, match="HTTPS_PROXY has no proxy that can be used") as caught:
        find("https://a.example", HTTPS_PROXY=value)

    assert "s3cr3t" not in str(caught.value)


def test_password_of_proxy_is_not_shown():
    proxies = read_proxies({"HTTPS_PROXY": "http://robot:s3cr3t@p:1"})

    assert "s3cr3t" not in repr((proxies, proxies.find(httpx.URL("https://a.example"))))


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_environment_can_be_read(proxy, exceptions):
    with suppress(RegistryError):
        find("https://a.example", HTTPS_PROXY=proxy, NO_PROXY=exceptions)
