"""Two certificates as certutil made them: a witness's own, and the one it signed for a member. Public parts only."""

from __future__ import annotations

import calendar

from ansible_collections.botops.fleet.plugins.module_utils._pacemaker import certificates

WITNESS = """Certificate:
    prose that certutil writes around the block
-----BEGIN CERTIFICATE-----
MIICtzCCAZ+gAwIBAgIBZTANBgkqhkiG9w0BAQsFADASMRAwDgYDVQQDEwdRTmV0
IENBMCAXDTI2MTEyMTA4NDU0NloYDzIxMjYxMTIxMDg0NTQ2WjASMRAwDgYDVQQD
EwdRTmV0IENBMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqXJdsvPw
fUMPXJEoqafJ1R4EciafNlLSTiu/xLdXUzofVwhEuG1TehBMVegYtBMZkcy6uJ9l
Oi9AV7muAFxqq/GBRXNgp5RFXjdkbhauM9UDRrb9FpEf6shq6s0BJC2CWLjFhcXm
fpd8fmTmiiVhEhsfPC9tUMGkyutGCJiaRAQBz0fAs7FSt9KVJKvLQHZCA9Z8lob7
J80C1op0Rkt25J8kPfsPubcbmYTvT9NP9bH491ZhJ50cQgZgDjI7o3UlY3vv1Jz2
N6PmFX5PiEAt8kvYueelgApxiZh65/320wpLNsSTLmIn6ZUaACUrQtJvcBof0r9m
FydgVJlWESwSdwIDAQABoxYwFDASBgNVHRMBAf8ECDAGAQH/AgEAMA0GCSqGSIb3
DQEBCwUAA4IBAQBqEzHyU6PdWqb8gW5TMkW4r1rIEFc2PuxMegjeZNJWhXcu3o2A
tWoXUGUhc7RRWVdyJXN/rs2xUAIrtPbaP82Z8JsktS6YA3NjNBjjZ4DXEiUy22Ao
ypofyaBjUPkXMZupH+iFSoQauy6uPX/Y1kSYzv9gncZ1BBLQfTe0rFOLf8n17k0W
O+5JKBM/GrRLi4SYV0m/UPQSm8JbKQVFUgDdHZDKgYEnyE3LtHcaVVOL76bfOV+j
/wRhjDYjIXekLuyV86FQZikkj7KUuZOqhscD2UHnDFHzgtXb+Oz1zd6U5tHBuHRV
TsYiSRAm0XPtwgoZ7ZOI1oyLHG8Hokzfa1bG
-----END CERTIFICATE-----
"""
MEMBER = """-----BEGIN CERTIFICATE-----
MIIDHTCCAgWgAwIBAgIEeDArMzANBgkqhkiG9w0BAQsFADASMRAwDgYDVQQDEwdR
TmV0IENBMB4XDTI2MTEyMTA4NDgwMloXDTM2MTEyMTA4NDgwMlowDzENMAsGA1UE
AxMEZGVtbzCCAaIwDQYJKoZIhvcNAQEBBQADggGPADCCAYoCggGBALW7cctT49TM
PQ1FvbM34S7s/u/klsP08LaCgp00bCe1Ft2dl0VpQyIt4A6zGRTiZMDqDWAdbmy1
bnznQ3KQ+OSP5AFIDG0h65Csc7Ro+tXe//XpZ9Bwof0TTRKEirWRnewa8jvJoHxm
hNfHo+4C7BcsLLKxOMMlXJgA3AplBnSYEYHnMiNy9nbzGj5ZHJcs78rRjDwc0OB/
zMXTU60SUG7/EPTJYg6xdr0FyDoFUHJcpJNLrBYUOX4H+IEBfO0Q5utuFHjOoHXn
TyfL9uLKOhE6oQ0icaG8noirVSGIk999xSipiEOhUri6PLmq1MHc9ddhGX23IeUZ
2BDXpxCCNz2tW18l65lS/tjUA86ORGWxjgC+fn3GHmyrAR+mq/4DsWcWhFFLSJhm
wXJFSww+tCwtRmOLuYEQxyQBXcL/F/QyCAdWv1M4gL/udHKCKMRZPIT++hYtsxOf
UduRhj1u01mHRf7Ev3afi2f9U30KTJ4xmgtIV0V5obXB06ZSo94JGQIDAQABMA0G
CSqGSIb3DQEBCwUAA4IBAQCJuRgxHWEZXm2mC8Vr9De1y/XlN4pYGZbquu/6QpWv
eoZ6S+T0gLAMsl1FaQPv/9djGoMV8G7uAp/yW5aWQzkg/sMlYkaalQ+JDitlItmd
e7GvILhEfaCUjpzVK9G8j45jqj+AHGH2zWg4Cu1wlmsJ4bc7P/nW8DWIg28Vl5Nu
ku/6aJnH/SpN5BnTjPnURusEQ7qEw+r2HZEigevPR9NuVDLqergJBw9KzJDuX7/E
1WdKz32aExytBPxluZvmS2ATaDbk4cG/eFTHg/2JuIyLiIqT/pr3yAinMyOY+9Lf
gGDNu4AAZ/sPrVbx1PbBeDhpfkcUpvAqCZJKIEGnNvuj
-----END CERTIFICATE-----
"""


def test_only_the_block_is_kept():
    assert certificates.pem(WITNESS).startswith("-----BEGIN CERTIFICATE-----\n")
    assert certificates.pem("nothing here") == ""


def test_a_year_with_four_digits():
    name, end = certificates.fields(certificates.der(WITNESS))
    assert name == "QNet CA"
    assert end == calendar.timegm((2126, 11, 21, 8, 45, 46))


def test_a_year_with_two_digits():
    name, end = certificates.fields(certificates.der(MEMBER))
    assert name == "demo"
    assert end == calendar.timegm((2036, 11, 21, 8, 48, 2))
