"""Notices go to https at public addresses, and to the networks that the operator names; never anywhere else."""

import ipaddress

import pytest

from service.notices.reach import allowed

NONE = ()
LAN = (ipaddress.ip_network("10.2.0.0/16"), ipaddress.ip_network("::1/128"))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.2.3.4", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "192.0.0.8", "198.18.0.1", "203.0.113.9", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1",
        "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
        "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::1", "2001:db8::1",
        "::ffff:0:127.0.0.1", "nonsense", "",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused_in_every_disguise(address):
    assert not allowed("https://subscriber.example/hook", [address], NONE)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "240e::1", "64:ff9b::808:808"])
def test_https_to_a_public_address_is_allowed_and_http_is_not(address):
    assert allowed("https://subscriber.example:8443/hook?a=b", [address], NONE)
    assert not allowed("http://subscriber.example/hook", [address], NONE)
    assert not allowed("http://subscriber.example/hook", [address], LAN)


@pytest.mark.parametrize("port", [22, 25, 80, 445, 636])
def test_the_port_of_another_protocol_is_refused_on_public_addresses(port):
    """Behaviour 34."""
    assert not allowed(f"https://subscriber.example:{port}/", ["93.184.216.34"], NONE)
    assert allowed(f"https://subscriber.example:{port}/", ["10.2.0.1"], LAN)


def test_every_address_of_a_host_must_be_allowed():
    assert not allowed("https://subscriber.example/", ["93.184.216.34", "10.2.0.1"], NONE)
    assert allowed("https://subscriber.example/", ["93.184.216.34", "10.2.0.1"], LAN)


def test_http_reaches_the_networks_that_the_operator_names_and_no_neighbour():
    assert allowed("http://his.internal/hook", ["10.2.255.1"], LAN)
    assert allowed("http://his.internal/hook", ["::ffff:10.2.0.1"], LAN)
    assert allowed("http://[::1]:9000/", ["::1"], LAN)
    assert not allowed("http://his.internal/hook", ["10.3.0.1"], LAN)
    assert not allowed("https://his.internal/hook", ["10.3.0.1"], LAN)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/", "file:///etc/passwd", "a.example/hook", "https://", "https:///hook", "https://u:p@a.example/",
        "https://u@a.example/", "https://a.example/#x", "https://a.example:0/", "https://a.example:99999/",
        "https://a.example/a b", "https://a.example/\r\nx", "https://[::1", "javascript:alert(1)", "",
    ],
)  # fmt: skip
def test_what_is_no_plain_https_url_is_refused(url):
    assert not allowed(url, ["93.184.216.34"], NONE)


def test_a_host_that_nobody_knows_yet_is_no_fault_of_the_url():
    assert allowed("https://soon.example/hook", [], NONE)
    assert not allowed("http://soon.example/hook", [], NONE)
