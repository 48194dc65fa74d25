"""Problems and refused messages in the words of both surfaces."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from native_api.core import errors as e
from native_api.routes import errors as native
from shim import messages as m
from shim.errors import CODES, refuse, sentence

MLFLOW_STATUSES = {
    "INVALID_PARAMETER_VALUE": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "CUSTOMER_UNAUTHORIZED": 401,
    "PERMISSION_DENIED": 403,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
}
"""Of MLflow's `exceptions.py`: clients know an error by its code, proxies by its status."""


def kinds(kind: type[e.Problem] = e.Problem) -> Iterator[type[e.Problem]]:
    for below in kind.__subclasses__():
        yield below
        yield from kinds(below)


PROBLEMS: dict[type[e.Problem], e.Problem] = {
    e.NotFound: e.NotFound("run", "x"),
    e.NoSuchEndpoint: e.NoSuchEndpoint("GET", "/x"),
    e.Busy: e.Busy(3),
    e.Unavailable: e.Unavailable(),
    e.TooManyAttempts: e.TooManyAttempts(3),
    e.WrongMethod: e.WrongMethod("PUT", "/x", ["GET", "POST"]),
}


def problem(kind: type[e.Problem]) -> e.Problem:
    return PROBLEMS.get(kind) or kind("what is wrong")


def test_every_kind_of_problem_has_a_code_on_both_surfaces() -> None:
    of_core = {kind for kind in kinds() if kind.__module__ == e.__name__}
    assert of_core == CODES.keys() == native.CODES.keys()


def test_a_special_kind_of_a_problem_is_told_as_that_problem() -> None:
    class Particular(e.Invalid):
        """A kind of some other module."""

    for tell in (refuse, native.refuse):
        assert tell(Particular("what is wrong")).status == tell(e.Invalid("what is wrong")).status


@pytest.mark.parametrize("kind", CODES)
def test_a_problem_is_told_in_mlflows_shape(kind: type[e.Problem]) -> None:
    refusal = refuse(problem(kind))
    code = json.loads(refusal.body)["error_code"]
    assert json.loads(refusal.body) == {"error_code": code, "message": str(problem(kind))}
    assert refusal.status == (413 if kind is e.TooLarge else MLFLOW_STATUSES[code])


@pytest.mark.parametrize("kind", native.CODES)
def test_a_problem_is_told_in_the_native_shape(kind: type[e.Problem]) -> None:
    refusal = native.refuse(problem(kind))
    status, code = native.CODES[kind]
    assert (refusal.status, json.loads(refusal.body)) == (status, {"error_code": code, "message": str(problem(kind))})


def test_who_may_come_again_is_told_when() -> None:
    for refusal in (refuse(e.Busy(3)), native.refuse(e.Busy(3))):
        assert (refusal.status, (b"retry-after", b"3") in refusal.headers) == (429, True)


def test_who_is_not_known_is_asked_who_it_is() -> None:
    assert dict(refuse(e.Unauthenticated("who?")).headers)[b"www-authenticate"].startswith(b"Basic ")


@pytest.mark.parametrize("error", [ValueError("secret"), KeyError("secret"), OSError(2, "secret", "/secret")])
def test_the_unexpected_is_told_without_details(error: Exception) -> None:
    for refusal in (refuse(error), native.refuse(error)):
        assert refusal.status == 500
        assert b"secret" not in refusal.body
        json.loads(refusal.body)


# Refused messages

RUN = {"run_id": "a"}
METRIC = RUN | {"key": "k", "value": 1, "timestamp": 1}
MISSING = "Missing value for required parameter '{}'. See the API docs for more information about request parameters."
SENTENCES: list[tuple[type[m.Message], object, str]] = [
    (m.GetRun, [], "Invalid request: the body must be a JSON object."),
    (m.GetRun, None, "Invalid request: the body must be a JSON object."),
    (m.GetRun, {}, MISSING.format("run_id")),
    (m.GetRun, {"run_id": None}, MISSING.format("run_id")),
    (m.GetExperiment, {"experiment_id": None}, MISSING.format("experiment_id")),
    (m.LogParam, RUN | {"key": ""}, MISSING.format("key")),
    (m.LogMetric, METRIC | {"value": None}, MISSING.format("value")),
    (m.LogBatch, RUN | {"metrics": [METRIC, {"key": "k", "value": 1}]}, MISSING.format("metrics[1].timestamp")),
    (m.GetRun, {"run_id": 5}, "Invalid value 5 for parameter 'run_id' supplied: "),
    (m.GetExperiment, {"experiment_id": "x"}, "Invalid value \"x\" for parameter 'experiment_id' supplied: "),
    (m.LogMetric, METRIC | {"step": 1.5}, "Invalid value 1.5 for parameter 'step' supplied: "),
    (m.LogMetric, METRIC | {"timestamp": "-1"}, "Invalid value \"-1\" for parameter 'timestamp' supplied: "),
    (m.LogBatch, RUN | {"metrics": [METRIC | {"step": "x"}]}, "Invalid value \"x\" for parameter 'metrics[0].step' "),
    (m.LogBatch, RUN | {"params": {}}, "Invalid value {} for parameter 'params' supplied: "),
    (m.LogBatch, RUN | {"tags": [5]}, "Invalid value 5 for parameter 'tags[0]' supplied: "),
    (m.LogInputs, RUN | {"datasets": [{"dataset": 5}]}, "Invalid value 5 for parameter 'datasets[0].dataset' supplied"),
    (m.LogParam, RUN | {"key": "k" * 251}, "'key' exceeds the maximum length of 250 characters: \"kkk"),
    (
        m.LogBatch,
        RUN | {"metrics": [METRIC] * 1001},
        "Invalid value for parameter 'metrics' supplied: it must hold at most 1000 ",
    ),
    (
        m.SearchDatasets,
        {"experiment_ids": []},
        "Invalid value for parameter 'experiment_ids' supplied: it must hold at least 1 ",
    ),
    (m.SearchRuns, {"max_results": 0}, "Invalid value 0 for parameter 'max_results' supplied: "),
]


@pytest.mark.parametrize(("kind", "body", "words"), SENTENCES)
def test_a_refused_message_is_told_as_mlflow_does(kind: type[m.Message], body: object, words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        kind.model_validate_json(json.dumps(body))
    assert sentence(refused.value).startswith(words)


def test_a_long_value_is_shown_by_its_beginning() -> None:
    with pytest.raises(ValidationError) as refused:
        m.LogMetric.model_validate(METRIC | {"value": "x" * 1_000_000})
    assert len(sentence(refused.value)) < 500
