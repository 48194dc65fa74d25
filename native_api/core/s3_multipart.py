"""Uploads to S3 in parts that clients put there themselves, which obstore has no calls for."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Callable, Sequence
from urllib.error import HTTPError
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from urllib.request import Request, urlopen
from xml.etree import ElementTree

from native_api.core.blobs import Begun, Part, Stored
from native_api.core.errors import Invalid, NotFound, Problem, Unavailable

SECONDS = 60
"""How long an address of this server's own is good, and how long it waits for the answer."""

logger = logging.getLogger(__name__)


def resigned(url: str, secret: str, method: str, more: dict[str, str]) -> str:
    """A signed address made over into one for another method, with more in its query.

    AWS Signature Version 4, as in Amazon's "Authenticating Requests: Using Query Parameters".
    """
    parts = urlsplit(url)
    given = {name: value for name, value in parse_qsl(parts.query) if name != "X-Amz-Signature"}
    query = urlencode(sorted((given | more).items()), quote_via=quote, safe="-_.~")
    scope = given["X-Amz-Credential"].partition("/")[2]
    request = f"{method}\n{parts.path}\n{query}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    signature = _hmac(key, f"AWS4-HMAC-SHA256\n{given['X-Amz-Date']}\n{scope}\n{digest}").hex()
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{query}&X-Amz-Signature={signature}"


def _signature(url: str) -> str:
    return dict(parse_qsl(urlsplit(url).query))["X-Amz-Signature"]


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


class S3Multipart:
    """A Multipart in a bucket of S3. `sign` gives an address for a GET of a key, which is good for some seconds."""

    def __init__(self, sign: Callable[[str, int], str], secret: str) -> None:
        self._sign = sign
        self._secret = secret

    def can_sign(self) -> bool:
        """Whether the secret is the one that addresses are signed with."""
        url = self._sign("a", 1)
        return _signature(resigned(url, self._secret, "GET", {})) == _signature(url)

    def begin(self, key: str, parts: int, seconds: int) -> Begun:
        answer = self._send(key, "POST", {"uploads": ""})
        upload_id = _text(answer, "UploadId")
        template = self._sign(key, seconds)
        named = [{"partNumber": str(number), "uploadId": upload_id} for number in range(1, parts + 1)]
        return Begun(upload_id, [resigned(template, self._secret, "PUT", name) for name in named])

    def complete(self, key: str, upload_id: str, parts: Sequence[Part]) -> Stored:
        root = ElementTree.Element("CompleteMultipartUpload")
        for part in sorted(parts):
            element = ElementTree.SubElement(root, "Part")
            ElementTree.SubElement(element, "PartNumber").text = str(part.number)
            ElementTree.SubElement(element, "ETag").text = part.etag
        try:
            self._send(key, "POST", {"uploadId": upload_id}, ElementTree.tostring(root))
        except NotFound:
            # A client whose answer was lost asks again, and the upload is no more: is this the file that it made?
            size, etag = self._head(key)
            if etag.strip('"') != _etag(parts):
                raise
        else:
            size, etag = self._head(key)
        return Stored(size, None, etag)

    def abort(self, key: str, upload_id: str) -> None:
        try:
            self._send(key, "DELETE", {"uploadId": upload_id})
        except NotFound:
            return

    def _head(self, key: str) -> tuple[int, str]:
        """The size and the ETag of a file."""
        url = resigned(self._sign(key, SECONDS), self._secret, "HEAD", {})
        try:
            with urlopen(Request(url, method="HEAD"), timeout=SECONDS) as answer:
                return int(answer.headers["Content-Length"]), answer.headers["ETag"]
        except HTTPError as error:
            raise (
                NotFound("artifact", key) if error.code == 404 else Unavailable("The store of artifacts is")
            ) from None
        except OSError as error:
            logger.error("S3 does not answer: %s", error)
            raise Unavailable("The store of artifacts is") from None

    def _send(self, key: str, method: str, query: dict[str, str], body: bytes | None = None) -> ElementTree.Element:
        """What S3 answers. It may say 200 first and then that it failed after all."""
        url = resigned(self._sign(key, SECONDS), self._secret, method, query)
        try:
            with urlopen(
                Request(url, body, {"Content-Type": "application/xml"}, method=method), timeout=SECONDS
            ) as answer:
                content = answer.read()
        except HTTPError as error:
            content = error.read()
            if not content:
                raise _problem("", str(error.code)) from None
        except OSError as error:
            logger.error("S3 does not answer: %s", error)
            raise Unavailable("The store of artifacts is") from None
        try:
            root = ElementTree.fromstring(content) if content else ElementTree.Element("Nothing")
        except ElementTree.ParseError:
            raise _problem("", "no XML") from None
        if root.tag == "Error":
            raise _problem(_text(root, "Code"), _text(root, "Message"))
        return root


def _text(root: ElementTree.Element, name: str) -> str:
    """What an element holds, whatever its namespace."""
    return root.findtext(f"{{*}}{name}", "") or root.findtext(name, "")


def _etag(parts: Sequence[Part]) -> str:
    """What S3 calls the file of these parts; nothing for what cannot be the ETags of parts."""
    try:
        digests = [bytes.fromhex(part.etag.strip('"')) for part in sorted(parts)]
    except ValueError:
        return ""
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(parts)}"


def _problem(code: str, message: str) -> Problem:
    if code == "NoSuchUpload":
        return NotFound("upload", "of this file")
    if code in ("InvalidPart", "InvalidPartOrder", "EntityTooSmall", "MalformedXML", "InvalidArgument"):
        return Invalid(f"These are not the parts of the upload: {code}")
    logger.error("S3 refuses: %s %s", code, message)
    return Unavailable("The store of artifacts is")
