"""Configs of runs on the native surface, and what MLflow clients see of them: in both directions."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from tests.native_api.routes.conftest import Api
from tests.native_api.routes.test_runs import log, make, seen

pytestmark = pytest.mark.anyio


async def test_params_are_replaced_as_a_whole_and_searched_as_text(home: Api, experiment: Any) -> None:
    made = await make(home, experiment, config={"params_json": {"lr": 0.1, "old": 1}, "seed": 7})
    run_id = made["run_id"]
    first = await seen(home, run_id)
    put = await home.put(f"/run-configs/{run_id}", {"params_json": {"lr": 0.5, "new": True}})
    assert put == made["config"] | {"params_json": {"lr": 0.5, "new": True}}
    assert await home.get(f"/run-configs/{run_id}") == put
    assert (await seen(home, run_id))["params"] == {"lr": "0.5", "new": "true"} != first["params"]

    async def found(condition: str) -> bool:
        ids = [experiment["mlflow_experiment_id"]]
        return bool((await home.mlflow("runs/search", experiment_ids=ids, filter=condition)).get("runs"))

    assert await found("params.lr = '0.5' AND params.new = 'true'")
    assert not await found("params.lr = '0.1'")
    assert not await found("params.old = '1'")
    log_param: dict[str, Any] = {"run_id": UUID(run_id).hex, "key": "lr"}
    await home.mlflow("runs/log-parameter", **log_param, value="0.5")
    await home.mlflow("runs/log-parameter", 400, **log_param, value="0.6")
    assert (await home.get(f"/run-configs/{run_id}"))["params_json"]["lr"] == 0.5


async def test_a_run_without_a_config_can_be_given_one(home: Api, experiment: Any) -> None:
    run_id = await log(home, experiment)
    await home.get(f"/run-configs/{run_id}", expect=404)
    put = await home.put(f"/run-configs/{run_id}", {"env_json": {"os": "linux"}})
    assert (put["params_json"], put["env_json"], put["seed"]) == ({}, {"os": "linux"}, None)
    await home.mlflow("runs/log-parameter", run_id=run_id, key="p", value="v")
    assert await home.get(f"/run-configs/{run_id}") == put | {"params_json": {"p": "v"}}


NUMBERS = [0, -1, 0.5, 1.0, 1e-7, 5e-324, 2**53 + 1, 2**63, 1e15, 1e16, 1.5e300, -1e22, 1.7976931348623157e308]


async def test_params_keep_their_types_and_values(home: Api, experiment: Any) -> None:
    given: dict[str, Any] = {str(place): number for place, number in enumerate(NUMBERS)}
    given |= {"t": True, "f": False, "n": None, "s": "ü \U0001f600 'x' \\", "o": {}, "l": [1, [2.5, {"a": [None]}]]}
    run_id = (await make(home, experiment, config={"params_json": given}))["run_id"]
    shown = (await home.get(f"/run-configs/{run_id}"))["params_json"]
    assert shown.keys() == given.keys()
    for key, value in given.items():
        if isinstance(value, float) and abs(value) >= 1e16:  # comes back with all its digits
            assert float(shown[key]) == value
        else:
            assert (shown[key], type(shown[key])) == (value, type(value))
    texts = (await seen(home, run_id))["params"]
    assert (texts["0"], texts["3"], texts["4"], texts["t"], texts["n"]) == ("0", "1.0", "1e-7", "true", "null")
    for key, text in texts.items():  # what is shown is what can be searched, and logged again
        await home.mlflow("runs/log-parameter", run_id=UUID(run_id).hex, key=key, value=text)


@pytest.mark.parametrize(
    "params",
    [
        {"": 1},
        {"k" * 251: 1},
        {"a\0b": 1},
        {"a": "\0"},
        {"a": {"b\0": 1}},
        {"a": ["\0"]},
        {"a": "x" * 6001},
        {"a": ["x" * 5999]},
        {str(n): n for n in range(1001)},
        {"a": 10**400},
        {"a": json.loads("[" * 40 + "]" * 40)},
    ],
    ids=range(11),
)
async def test_what_are_no_params_is_refused(home: Api, experiment: Any, params: dict[str, Any]) -> None:
    new = {"experiment_id": experiment["experiment_id"]}
    await home.post("/runs", new | {"config": {"params_json": params}}, expect=422)


async def test_numbers_beyond_64_bits_are_refused(home: Api, experiment: Any) -> None:
    for number in ("1e999", "-1e999", "NaN", "Infinity"):
        body = json.dumps({"experiment_id": experiment["experiment_id"], "config": {"params_json": {"a": 5}}})
        body = body.replace("5}", f"{number}}}")
        answer = await home.http.post("/api/runs", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 422, number


async def test_a_source_name_is_the_command_line_while_nothing_better_is_known(home: Api, experiment: Any) -> None:
    async def set_source(value: str) -> None:
        await home.mlflow("runs/set-tag", run_id=run_id, key="mlflow.source.name", value=value)

    async def both() -> tuple[Any, Any]:
        shown = await home.get(f"/run-configs/{run_id}")
        return shown["command_line"], (await seen(home, run_id))["tags"].get("mlflow.source.name")

    run_id = await log(home, experiment)
    await set_source("a.py")
    assert await both() == ("a.py", "a.py")
    await set_source("b.py")
    assert await both() == ("b.py", "b.py")
    await home.put(f"/run-configs/{run_id}", {"command_line": "python b.py"})
    assert await both() == ("python b.py", "python b.py")
    await home.mlflow("runs/delete-tag", run_id=run_id, key="mlflow.source.name")
    assert await both() == ("python b.py", None)
    await set_source("c.py")
    assert await both() == ("python b.py", "c.py")
    await home.put(f"/run-configs/{run_id}", {"command_line": "python b.py -v"})
    assert await both() == ("python b.py -v", "c.py")
    await home.put(f"/run-configs/{run_id}", {"command_line": None})
    await set_source("d.py")
    assert await both() == ("d.py", "d.py")
    await home.put(f"/run-configs/{run_id}", {"command_line": None})
    assert await both() == (None, None)
