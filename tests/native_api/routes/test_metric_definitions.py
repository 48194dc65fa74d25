"""Metric definitions on the native surface."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from tests.native_api.routes.conftest import Api

pytestmark = pytest.mark.anyio

numbers = count()


def new_key() -> str:
    return f"metric {next(numbers)}"


async def declare(api: Api, **fields: Any) -> Any:
    return await api.post("/metric-definitions", {"key": new_key(), **fields})


async def test_a_metric_is_declared_shown_changed_and_deleted(api: Api) -> None:
    made = await declare(api, key="r2/macro", display_name="R²", unit="1", goal="max")
    assert made | {"metric_id": "", "created_at": ""} == {
        "metric_id": "",
        "key": "r2/macro",
        "display_name": "R²",
        "unit": "1",
        "goal": "max",
        "created_at": "",
    }
    path = f"/metric-definitions/{made['metric_id']}"
    assert await api.get(path) == made
    changed = await api.put(path, {"unit": None, "key": "r2"})
    assert changed == made | {"unit": None, "key": "r2"} == await api.get(path)
    assert await api.put(path, {}) == changed
    await api.delete(path)
    for call in (api.get(path, 404), api.put(path, {}, 404), api.delete(path, 404)):
        assert (await call)["error_code"] == "NOT_FOUND"


async def test_without_a_goal_the_last_value_counts(api: Api) -> None:
    assert (await declare(api))["goal"] == "last"


async def test_a_declared_key_is_a_conflict(api: Api) -> None:
    first, second = await declare(api), await declare(api)
    await api.post("/metric-definitions", {"key": first["key"]}, 409)
    await api.put(f"/metric-definitions/{second['metric_id']}", {"key": first["key"]}, 409)


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": ""},
        {"key": None},
        {"key": "x" * 251},
        {"key": "a\0b"},
        {"key": "train/loss"},
        {"key": "val/acc"},
        {"key": "test/"},
        {"goal": "best"},
        {"goal": None},
        {"unit": ""},
        {"metric_id": "0" * 32},
    ],
)
async def test_what_is_no_definition_is_refused(api: Api, wrong: dict[str, Any]) -> None:
    await api.post("/metric-definitions", {"key": new_key()} | wrong, 422)
    await api.put(f"/metric-definitions/{(await declare(api))['metric_id']}", wrong, 422)


@pytest.mark.parametrize("key", ["x" * 250, "training/loss", "a/val/acc", "val", "Val/acc", "eval/acc", "é", " "])
async def test_other_keys_are_free(api: Api, key: str) -> None:
    made = await declare(api, key=key)
    assert (await api.get("/metric-definitions", key=key))["items"] == [made]
    await api.delete(f"/metric-definitions/{made['metric_id']}")


async def test_definitions_are_listed_page_by_page_by_key(api: Api) -> None:
    made = [await declare(api) for _ in range(3)]
    items: list[Any] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await api.get("/metric-definitions", limit=2, **cursor)
        items += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert [item for item in items if item in made] == sorted(made, key=lambda item: item["key"])
    assert items == sorted(items, key=lambda item: item["key"])


async def test_everybody_reads_and_only_writers_declare(api: Api) -> None:
    made = await declare(api)
    project_id = await api.project()
    outsider, viewer = await api.register(), await api.member(project_id, "viewer")
    for somebody in (outsider, viewer):
        assert await somebody.get(f"/metric-definitions/{made['metric_id']}") == made
        assert (await somebody.get("/metric-definitions", key=made["key"]))["items"] == [made]
        await somebody.post("/metric-definitions", {"key": new_key()}, 403)
    await declare(await api.member(project_id, "editor"))


async def test_only_who_declared_it_or_an_administrator_changes_a_definition(api: Api) -> None:
    project_id = await api.project()
    one, two = await api.member(project_id, "editor"), await api.member(project_id, "editor")
    path = f"/metric-definitions/{(await declare(one))['metric_id']}"
    await two.put(path, {"goal": "min"}, 403)
    await two.delete(path, 403)
    assert (await one.put(path, {"goal": "max"}))["goal"] == "max"
    assert (await api.put(path, {"unit": "%"}))["unit"] == "%"
    await one.delete(path)
