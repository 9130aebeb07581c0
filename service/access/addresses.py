"""Addresses of the Internet Protocol, as texts."""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_address(text: str) -> bool:
    """Whether a text is an address, and not a name."""
    return address_of(text) is not None


def is_loopback(text: str) -> bool:
    """Whether a text is an address that only its own machine reaches."""
    address = address_of(text)
    return address is not None and bool(address.is_loopback)


def address_of(text: str) -> Address | None:
    """The address that a text is, without its zone. One of version 4 inside one of version 6 is that of version 4."""
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
