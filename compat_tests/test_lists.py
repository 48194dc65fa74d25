"""Lists that clients before 2.0 ask for, which MLflow's servers have not had since."""

from itertools import count

import pytest
from mlflow import MlflowClient
from mlflow.entities import Experiment, ViewType

from compat_tests import targets
from compat_tests.clients import needs

if targets.TARGET == "stock":
    pytest.skip("MLflow's own server has no lists any more", allow_module_level=True)

_numbers = count(1)


@needs("mlflow.MlflowClient.list_experiments")
def test_experiments_are_listed_oldest_first(client: MlflowClient, experiment: Experiment) -> None:
    deleted = client.create_experiment(f"{experiment.name} deleted")
    client.delete_experiment(deleted)
    last = client.create_experiment(f"{experiment.name} last")
    listed = [one.experiment_id for one in client.list_experiments()]
    assert listed[-2:] == [experiment.experiment_id, last]
    assert [one.experiment_id for one in client.list_experiments(ViewType.ALL)][-2:] == [deleted, last]
    assert deleted in [one.experiment_id for one in client.list_experiments(ViewType.DELETED_ONLY)]
    paged: list[str] = []
    token = None
    while token or not paged:
        page = client.list_experiments(max_results=1, page_token=token)
        paged += [one.experiment_id for one in page]
        token = page.token
    assert paged == listed


@needs("mlflow.MlflowClient.list_run_infos")
def test_runs_are_listed(client: MlflowClient, experiment: Experiment) -> None:
    made = [client.create_run(experiment.experiment_id).info.run_id for _ in range(3)]
    page = client.list_run_infos(experiment.experiment_id, max_results=2, order_by=["attributes.start_time ASC"])
    rest = client.list_run_infos(
        experiment.experiment_id, max_results=2, order_by=["attributes.start_time ASC"], page_token=page.token
    )
    assert {info.run_id for info in [*page, *rest]} == set(made)
    client.delete_run(made[0])
    [deleted] = client.list_run_infos(experiment.experiment_id, ViewType.DELETED_ONLY)
    assert deleted.run_id == made[0]


@needs("mlflow.MlflowClient.list_registered_models")
def test_registered_models_are_listed_by_name(client: MlflowClient) -> None:
    names = [client.create_registered_model(f"listed {next(_numbers)}").name for _ in range(3)]
    assert [model.name for model in client.list_registered_models(1000) if model.name in names] == names
    first = client.list_registered_models(max_results=1)
    second = client.list_registered_models(max_results=1, page_token=first.token)
    assert [model.name for model in [*first, *second]] == [model.name for model in client.list_registered_models(2)]
