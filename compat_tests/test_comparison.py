"""The recorded calls, sent to MLflow's own server and to ours: status, error code and every field must be the same."""

import json

import pytest

from compat_tests import targets
from compat_tests.comparison.calls import CALLS, ENDPOINTS
from compat_tests.comparison.differences import DIFFERENCES
from compat_tests.comparison.replay import Answer, replay

INTENDED = {call: difference for difference in DIFFERENCES for call in difference.calls}
# MLflow's server in our place shows that the calls themselves are sound: nothing but ids and times may differ then.
TARGETS = ["stock"] if targets.TARGET == "stock" else ["sqlite", "postgresql"]


@pytest.fixture(scope="module")
def stock(stock_uri: str) -> dict[str, Answer]:
    """What MLflow says to each call, by its name."""
    return replay(stock_uri, CALLS)


@pytest.fixture(scope="module", params=TARGETS)
def ours(
    request: pytest.FixtureRequest, stock: dict[str, Answer], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Answer]:
    """What we say to each call; with MLflow's answers, and the words of every error, also left in answers.json."""
    folder = tmp_path_factory.mktemp(request.param)
    with targets.running(request.param, folder) as uri:
        answers = replay(uri, CALLS)
    record = {name: {"stock": vars(stock[name]), "ours": vars(answer)} for name, answer in answers.items()}
    (folder / "answers.json").write_text(json.dumps(record, indent=1))
    return answers


@pytest.mark.parametrize("name", [call.name for call in CALLS])
def test_both_say_the_same(stock: dict[str, Answer], ours: dict[str, Answer], name: str) -> None:
    words = f"stock: {stock[name].message!r}, ours: {ours[name].message!r}"
    if name in INTENDED and targets.TARGET != "stock":
        assert stock[name].says(INTENDED[name].stock), f"{stock[name].gist}, {words}"
        assert ours[name].says(INTENDED[name].ours), f"{ours[name].gist}, {words}"
    else:
        assert ours[name].lines == stock[name].lines, words


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_endpoint_is_called_well_and_badly(stock: dict[str, Answer], endpoint: str) -> None:
    method, _, path = endpoint.partition(" ")
    calls = [call for call in CALLS if call.method == method and f"{call.path}/".startswith(f"{path}/")]
    assert {bool(stock[call.name].code) for call in calls} == {True, False}


def test_intended_differences_are_differences() -> None:
    assert [difference for difference in DIFFERENCES if difference.stock == difference.ours] == []


def test_intended_differences_are_about_known_calls() -> None:
    assert INTENDED.keys() <= {call.name for call in CALLS}
    assert len(INTENDED) == sum(len(difference.calls) for difference in DIFFERENCES)


def test_no_two_calls_have_one_name() -> None:
    assert len({call.name for call in CALLS}) == len(CALLS)
