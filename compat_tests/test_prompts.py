"""Prompts, which clients keep in the model registry."""

from itertools import count

import pytest
from mlflow import MlflowClient, MlflowException, genai

from compat_tests.clients import since

_numbers = count(1)


@pytest.fixture
def name(tracking_uri: str) -> str:
    """A name that no prompt has yet."""
    return f"greeting-{next(_numbers)}"


def test_a_prompt_is_loaded_as_it_was_registered(name: str) -> None:
    made = genai.register_prompt(name, "Hello {{ name }}!", commit_message="first", tags={"team": "red"})
    assert (made.name, made.version) == (name, 1)
    second = genai.register_prompt(name, [{"role": "user", "content": "Hi {{ name }}"}], commit_message="second")
    assert second.version == 2
    first = genai.load_prompt(name, version=1)
    assert (first.template, first.commit_message, first.tags) == ("Hello {{ name }}!", "first", {"team": "red"})
    assert first.format(name="you") == "Hello you!"
    assert genai.load_prompt(f"prompts:/{name}@latest").version == 2
    assert genai.load_prompt(name, version=2).template == [{"role": "user", "content": "Hi {{ name }}"}]
    assert genai.load_prompt(name, version=9, allow_missing=True) is None
    assert genai.load_prompt("never-registered", allow_missing=True) is None


def test_an_alias_of_a_prompt(client: MlflowClient, name: str) -> None:
    for text in ("one", "two"):
        genai.register_prompt(name, text)
    genai.set_prompt_alias(name, "live", 1)
    assert genai.load_prompt(f"prompts:/{name}@live").template == "one"
    genai.set_prompt_alias(name, "live", 2)
    assert client.get_prompt_version_by_alias(name, "live").template == "two"
    genai.delete_prompt_alias(name, "live")
    assert genai.load_prompt(f"prompts:/{name}@live", allow_missing=True, cache_ttl_seconds=0) is None


def test_prompts_and_models_are_found_apart(client: MlflowClient, name: str) -> None:
    genai.register_prompt(name, "Hello")
    client.create_registered_model(f"{name} of models")
    assert [prompt.name for prompt in genai.search_prompts(f"name = '{name}'")] == [name]
    assert genai.search_prompts(f"name = '{name} of models'") == []
    assert client.search_registered_models(f"name = '{name}'") == []
    assert [model.name for model in client.search_registered_models(f"name LIKE '{name}%'")] == [f"{name} of models"]
    assert client.search_model_versions(f"name = '{name}'") == []


@since("3.11", "versions of prompts are found on servers like this")
def test_versions_of_a_prompt_are_found(client: MlflowClient, name: str) -> None:
    genai.register_prompt(name, "Hello")
    assert [version.version for version in client.search_prompt_versions(name)] == [1]


def test_tags_of_prompts_and_of_their_versions(client: MlflowClient, name: str) -> None:
    genai.register_prompt(name, "Hello")
    genai.set_prompt_tag(name, "team", "red")
    genai.set_prompt_version_tag(name, 1, "tested", "yes")
    assert genai.get_prompt_tags(name)["team"] == "red"
    assert client.get_prompt_version(name, 1).tags == {"tested": "yes"}
    genai.delete_prompt_tag(name, "team")
    genai.delete_prompt_version_tag(name, 1, "tested")
    assert "team" not in genai.get_prompt_tags(name)
    assert client.get_prompt_version(name, 1).tags == {}


def test_prompts_go(client: MlflowClient, name: str) -> None:
    for text in ("one", "two"):
        genai.register_prompt(name, text)
    client.delete_prompt_version(name, "2")
    assert genai.load_prompt(f"prompts:/{name}@latest", cache_ttl_seconds=0).template == "one"
    client.delete_prompt_version(name, "1")
    client.delete_prompt(name)
    assert client.get_prompt(name) is None
    assert genai.load_prompt(name, version=1, allow_missing=True, cache_ttl_seconds=0) is None


def test_a_model_is_no_prompt_and_takes_its_name(client: MlflowClient, name: str) -> None:
    client.create_registered_model(name)
    with pytest.raises(MlflowException, match="model"):
        genai.register_prompt(name, "Hello")
    genai.register_prompt(f"{name}-too", "Hello")
    with pytest.raises(MlflowException, match=name):
        client.create_registered_model(f"{name}-too")
