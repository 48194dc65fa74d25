"""Sends recorded calls to a server, and writes down its answers in words that do not depend on which server it is."""

import json
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from compat_tests.comparison.call import Call

# What MLflow's client makes of an answer that is no JSON object; any other status is an INTERNAL_ERROR to it.
CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "ENDPOINT_NOT_FOUND",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
    501: "NOT_IMPLEMENTED",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
FILE_HEADERS = ["Content-Type", "Content-Range", "X-Content-Type-Options"]
FILE_NAME = re.compile(r"""attachment;.*?filename(?:\*=UTF-8''(.*)|="(.*)"|=([^;]*))$""", re.IGNORECASE)
UNORDERED = {"tags", "params", "dataset_inputs", "model_inputs", "model_outputs", "dataset_summaries", "files"}
PLACEHOLDER = re.compile(r"\{([a-z]+:[^{}]+)\}")
PROXIED = re.compile(r"^mlflow-artifacts:/(\d+)")
RUN_ID = re.compile(r"(?<!m-)\b[0-9a-f]{32}\b")
MODEL_ID = re.compile(r"\bm-(?!(.)\1{31}\b)[0-9a-f]{32}\b")  # but for those that the calls make up
RANDOM_NAME = re.compile(r"[a-z]+-[a-z]+-\d+")
REPEATED = re.compile(r"(.)\1{99,}")
VERSION = re.compile(r"\d+\.\d+\.\d+\S*")
MANY_PAGES = 40
AN_HOUR = 3_600_000


@dataclass(frozen=True)
class Answer:
    status: int
    code: str
    """The error code as MLflow's client understands it; empty where there is no error."""
    body: Any
    """What was said, with placeholders for what differs anyhow; nothing for an error."""
    message: str
    """The words of an error: free text, written down but not compared."""

    @property
    def lines(self) -> list[str]:
        """What is compared, to the last digit: 1 is not 1.0."""
        return [
            f"{self.status} {self.code}",
            *json.dumps(self.body, ensure_ascii=False, indent=1, sort_keys=True).split("\n"),
        ]

    def says(self, gist: str) -> bool:
        """Whether this is the gist of it, or its status."""
        return gist in (self.gist, str(self.status))

    @property
    def gist(self) -> str:
        """The answer on one line: the code, or the names or points that were found, or all of it."""
        if self.code:
            return f"{self.status} {self.code}"
        pages = self.body if isinstance(self.body, list) else [self.body]
        parts = [found_in(page) for page in pages]
        if None not in parts:
            return f"{self.status} " + " | ".join(filter(None, parts))
        return f"{self.status} {json.dumps(self.body, ensure_ascii=False, sort_keys=True)}"


def found_in(page: Any) -> str | None:
    match page:
        case {"runs": runs}:
            return ", ".join(run["info"]["run_name"] for run in runs)
        case {"models": models}:
            return ", ".join(model["info"]["name"] for model in models)
        case {"model": {"info": info, "data": data}}:
            pairs = [*info.get("tags", []), *data.get("params", []), *data.get("metrics", [])]
            return ", ".join([info["name"], info["status"], *(f"{pair['key']} {pair['value']}" for pair in pairs)])
        case {"experiments": experiments}:
            return ", ".join(experiment["name"] for experiment in experiments)
        case {"metrics": points}:
            return ", ".join(f"{point['value']} at {point['step']}" for point in points)
        case _:
            return None


def replay(uri: str, calls: Iterable[Call]) -> dict[str, Answer]:
    """What the server at this address answers to the calls, by their names."""
    conversation = Conversation(uri)
    return {call.name: conversation.answer(call) for call in calls}


class Conversation:
    def __init__(self, uri: str) -> None:
        self.address = urlsplit(uri).netloc
        self.known: dict[str, str] = {}
        """What earlier answers held, by placeholder."""
        self.began = time.time() * 1000

    def answer(self, call: Call) -> Answer:
        if call.pages:
            return self.all_pages(call)
        status, headers, content = self.send(call)
        time.sleep(0.002)  # no two things are made in the same millisecond, so that orders by time are certain
        return self.understood(call, status, headers, content)

    def all_pages(self, call: Call) -> Answer:
        """One answer for all pages: a list of what each of them says."""
        pages: list[Any] = []
        token = None
        while token or not pages:
            status, headers, content = self.send(call, token)
            page = self.understood(call, status, headers, content)
            if page.code:
                return page
            assert len(pages) < MANY_PAGES, f"{call.name} does not end"
            pages.append(page.body)
            token = json.loads(content).get("next_page_token")
        return Answer(200, "", pages, "")

    def send(self, call: Call, token: str | None = None) -> tuple[int, HTTPMessage, bytes]:
        query, body, headers = self.filled(dict(call.query)), self.filled(call.body), dict(call.headers)
        if token:
            (query if call.method == "GET" else body)["page_token"] = token
        path = quote(self.filled(call.path), safe="/%+'") + (f"?{urlencode(query, doseq=True)}" if query else "")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None and not call.path.startswith("/api/2.0/mlflow-artifacts"):
            headers = {"Content-Type": "application/json"} | headers
        connection = HTTPConnection(self.address, timeout=60)
        try:
            connection.request(call.method, path, body, {key: value for key, value in headers.items() if value})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def filled(self, value: Any) -> Any:
        """The value with its placeholders replaced by what they stand for on this server."""
        if isinstance(value, bytes):
            return self.filled(value.decode("latin-1")).encode("latin-1")
        if isinstance(value, str):
            return PLACEHOLDER.sub(lambda found: self.known[found[1]], value)
        return nested(value, self.filled)

    def understood(self, call: Call, status: int, headers: HTTPMessage, content: bytes) -> Answer:
        if "Content-Disposition" in headers and status < 400:
            said = {name: headers[name].partition("; charset")[0] for name in FILE_HEADERS if name in headers}
            named = {"name": file_name(headers["Content-Disposition"]), "content": content.decode("latin-1")}
            return Answer(status, "", said | named, "")
        try:
            body = json.loads(content or b"{}", parse_constant=lambda name: f"bare {name}")
        except ValueError:
            body = content.decode(errors="replace")
        if status >= 300 and isinstance(body, dict):
            return Answer(status, body.get("error_code", "INTERNAL_ERROR"), None, str(body.get("message", body)))
        if status >= 300:
            return Answer(status, CODES.get(status, "INTERNAL_ERROR"), None, str(body))
        for placeholder, where in call.keep.items():
            value = body
            for key in where.split("."):
                value = value[key]
            self.known[placeholder] = value
        if isinstance(body, str):
            return Answer(status, "", VERSION.sub("{version}", body), "")
        return Answer(status, "", self.neutral(body), "")

    def neutral(self, value: Any, key: str = "", within: str = "") -> Any:
        """A part of an answer without what differs anyhow: ids, times, tokens, made-up names, chance orders."""
        match value:
            case dict():
                if value.get("key") == "mlflow.runName":
                    value = value | {"value": self.neutral(value.get("value"), "run_name")}
                if value.get("key") == "mlflow.log-model.history":
                    value = value | {"value": json.loads(value["value"])}
                return {name: self.neutral(part, name, key) for name, part in value.items()}
            case list():
                parts = [self.neutral(part, key, key) for part in value]
                if key in UNORDERED or (key, within) == ("metrics", "data"):
                    return sorted(parts, key=json.dumps)
                return sorted(parts, key=lambda part: str(part.get("run_id"))) if key == "metrics" else parts
            case str():
                return self.neutral_text(value, key)
            case int() if key.endswith(("_time", "_timestamp_ms")) and abs(value - self.began) < AN_HOUR:
                return "{now}"
            case _:
                return value

    def neutral_text(self, text: str, key: str) -> str:
        if key == "experiment_id":
            return self.name_of("experiment", text)
        if key == "next_page_token":
            return "{token}"
        if key in ("run_name", "name") and RANDOM_NAME.fullmatch(text):
            return "{random name}"
        text = PROXIED.sub(lambda found: f"mlflow-artifacts:/{self.name_of('experiment', found[1])}", text)
        text = REPEATED.sub(lambda found: f"{{{found[1]} x {len(found[0])}}}", text)
        text = MODEL_ID.sub(lambda found: self.name_of("model", found[0]), text)
        return RUN_ID.sub(lambda found: self.name_of("run", found[0]), text)

    def name_of(self, kind: str, id: str) -> str:
        """The placeholder of an id, if one stands for it; MLflow's default experiment is 0 everywhere."""
        names = [name for name, value in self.known.items() if value == id and name.startswith(f"{kind}:")]
        if names or not id.strip("0"):
            return f"{{{names[0]}}}" if names else id
        return f"{{some {kind}}}"


def file_name(disposition: str) -> str | None:
    """The name that a browser would save a download under, in whichever way it is written."""
    found = FILE_NAME.fullmatch(disposition)
    return found and unquote(found[1] or found[2] or found[3])


def nested(value: Any, change: Callable[[Any], Any]) -> Any:
    match value:
        case dict():
            return {change(key): change(part) for key, part in value.items()}
        case list():
            return [change(part) for part in value]
        case _:
            return value
