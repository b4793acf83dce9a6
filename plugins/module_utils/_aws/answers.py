# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a failure of botocore means for a request. Needs botocore alone, so that what speaks S3 to another vendor can ask, too."""

from __future__ import annotations

try:
    import botocore.exceptions as known
    from botocore.parsers import ResponseParserError
except ImportError:  # told by whoever asks for a client
    known = ResponseParserError = None


def may_have_taken_effect(error):
    """Whether a request that ended like this can have been carried out. What is refused, or never reached AWS, has not."""
    if isinstance(error, known.ClientError):
        return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
    return isinstance(error, (known.HTTPClientError, known.IncompleteReadError, ResponseParserError)) and not isinstance(error, known.ConnectionError)
