"""Addresses of the Internet Protocol, as texts."""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_address(text: str) -> bool:
    """Whether a text is an address, and not a name."""
    return _parsed(text) is not None


def is_loopback(text: str) -> bool:
    """Whether a text is an address that only its own machine reaches."""
    parsed = _parsed(text)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return parsed is not None and bool((mapped or parsed).is_loopback)


def _parsed(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
