"""Prompts, which clients keep in the model registry."""

from itertools import count

import mlflow
import pytest
from mlflow import MlflowClient, MlflowException

from compat_tests.clients import needs, since

prompts = mlflow.genai if hasattr(mlflow, "genai") and hasattr(mlflow.genai, "load_prompt") else mlflow

_numbers = count(1)


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients ask the server each time."""
    for kind in ("ALIAS", "VERSION"):
        monkeypatch.setenv(f"MLFLOW_{kind}_PROMPT_CACHE_TTL_SECONDS", "0")


@pytest.fixture
def name(tracking_uri: str) -> str:
    """A name that no prompt has yet."""
    return f"greeting-{next(_numbers)}"


def test_a_prompt_is_loaded_as_it_was_registered(name: str) -> None:
    made = prompts.register_prompt(name, "Hello {{ name }}!", commit_message="first")
    assert (made.name, int(made.version)) == (name, 1)
    assert int(prompts.register_prompt(name, "Hi", commit_message="second").version) == 2
    first = prompts.load_prompt(name, version=1)
    assert (first.template, first.commit_message) == ("Hello {{ name }}!", "first")
    assert first.format(name="you") == "Hello you!"
    assert prompts.load_prompt(f"prompts:/{name}/2").template == "Hi"


@needs("mlflow.MlflowClient.create_prompt_version")
def test_a_prompt_of_messages_and_tags(name: str) -> None:
    messages = [{"role": "user", "content": "Hi {{ name }}"}]
    prompts.register_prompt(name, "Hello")
    prompts.register_prompt(name, messages, tags={"team": "red"})
    latest = prompts.load_prompt(f"prompts:/{name}@latest")
    assert (latest.version, latest.template, latest.tags) == (2, messages, {"team": "red"})


@needs("mlflow.load_prompt.allow_missing")
def test_a_prompt_may_be_missing(name: str) -> None:
    assert prompts.load_prompt(name, version=1, allow_missing=True) is None
    prompts.register_prompt(name, "Hello")
    assert prompts.load_prompt(name, version=9, allow_missing=True) is None


def test_an_alias_of_a_prompt(client: MlflowClient, name: str) -> None:
    for text in ("one", "two"):
        prompts.register_prompt(name, text)
    prompts.set_prompt_alias(name, "live", 1)
    assert prompts.load_prompt(f"prompts:/{name}@live").template == "one"
    prompts.set_prompt_alias(name, "live", 2)
    assert client.load_prompt(f"prompts:/{name}@live").template == "two"
    prompts.delete_prompt_alias(name, "live")
    with pytest.raises(MlflowException, match="live"):
        prompts.load_prompt(f"prompts:/{name}@live")


@since("3.9", "load_prompt takes the word of servers like this for an alias that is missing")
def test_an_alias_may_be_missing(client: MlflowClient, name: str) -> None:
    prompts.register_prompt(name, "one")
    prompts.set_prompt_alias(name, "live", 1)
    assert client.get_prompt_version_by_alias(name, "live").template == "one"
    prompts.delete_prompt_alias(name, "live")
    assert prompts.load_prompt(f"prompts:/{name}@live", allow_missing=True) is None


@needs("mlflow.search_prompts")
def test_prompts_and_models_are_found_apart(client: MlflowClient, name: str) -> None:
    prompts.register_prompt(name, "Hello")
    client.create_registered_model(f"{name} of models")
    assert [prompt.name for prompt in prompts.search_prompts(f"name = '{name}'")] == [name]
    assert prompts.search_prompts(f"name = '{name} of models'") == []
    assert client.search_registered_models(f"name = '{name}'") == []
    assert [model.name for model in client.search_registered_models(f"name LIKE '{name}%'")] == [f"{name} of models"]
    assert client.search_model_versions(f"name = '{name}'") == []


@since("3.11", "search_prompt_versions asks servers other than Unity Catalog")
def test_versions_of_a_prompt_are_found(client: MlflowClient, name: str) -> None:
    prompts.register_prompt(name, "Hello")
    assert [version.version for version in client.search_prompt_versions(name)] == [1]


@needs("mlflow.genai.set_prompt_tag")
def test_tags_of_prompts_and_of_their_versions(client: MlflowClient, name: str) -> None:
    prompts.register_prompt(name, "Hello")
    prompts.set_prompt_tag(name, "team", "red")
    prompts.set_prompt_version_tag(name, 1, "tested", "yes")
    assert prompts.get_prompt_tags(name)["team"] == "red"
    assert client.get_prompt_version(name, 1).tags == {"tested": "yes"}
    prompts.delete_prompt_tag(name, "team")
    prompts.delete_prompt_version_tag(name, 1, "tested")
    assert "team" not in prompts.get_prompt_tags(name)
    assert client.get_prompt_version(name, 1).tags == {}


@needs("mlflow.MlflowClient.delete_prompt_version")
def test_prompts_go(client: MlflowClient, name: str) -> None:
    for text in ("one", "two"):
        prompts.register_prompt(name, text)
    client.delete_prompt_version(name, "2")
    assert prompts.load_prompt(f"prompts:/{name}@latest").template == "one"
    client.delete_prompt_version(name, "1")
    client.delete_prompt(name)
    assert client.get_prompt(name) is None
    assert prompts.load_prompt(name, version=1, allow_missing=True) is None


def test_a_model_is_no_prompt_and_takes_its_name(client: MlflowClient, name: str) -> None:
    client.create_registered_model(name)
    with pytest.raises(MlflowException, match="model"):
        prompts.register_prompt(name, "Hello")
    prompts.register_prompt(f"{name}-too", "Hello")
    with pytest.raises(MlflowException, match=name):
        client.create_registered_model(f"{name}-too")
