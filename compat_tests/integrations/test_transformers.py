"""Hugging Face's Trainer, with a model of a few thousand weights that nothing is downloaded for."""

from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Experiment

pytest.importorskip("torch", reason="PyTorch is not installed; `make integrations` has it, unless TORCH is empty")

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

SENTENCES = [
    {"input_ids": torch.arange(n, n + 8) % 32, "attention_mask": torch.ones(8, dtype=torch.long), "labels": n % 2}
    for n in range(16)
]


def trainer(folder: Path, **arguments: object) -> Trainer:
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=32, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=8,
    )  # fmt: skip
    settings = TrainingArguments(
        output_dir=str(folder), report_to="mlflow", use_cpu=True, disable_tqdm=True, max_steps=4,
        per_device_train_batch_size=4, logging_steps=1, eval_strategy="steps", eval_steps=2, **arguments,
    )  # fmt: skip
    return Trainer(BertForSequenceClassification(config), settings, train_dataset=SENTENCES, eval_dataset=SENTENCES)


def test_training_makes_a_run(client: MlflowClient, experiment: Experiment, tmp_path: Path) -> None:
    trainer(tmp_path, run_name="tiny", learning_rate=0.01).train()
    [run] = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("tiny", "FINISHED")
    assert len(run.data.params) > 100  # more than one batch holds
    asked = {"learning_rate": "0.01", "max_steps": "4", "hidden_size": "8", "model_type": "bert"}
    assert {key: run.data.params[key] for key in asked} == asked
    for key, steps in {"loss": [1, 2, 3, 4], "learning_rate": [1, 2, 3, 4], "eval_loss": [2, 4]}.items():
        assert [point.step for point in client.get_metric_history(run.info.run_id, key)] == steps, key
    assert {"train_runtime", "train_loss", "grad_norm", "epoch"} <= run.data.metrics.keys()


def test_training_joins_the_run_it_finds(
    client: MlflowClient, experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TAGS", '{"release.candidate": "RC1"}')
    monkeypatch.setenv("MLFLOW_FLATTEN_PARAMS", "true")
    with mlflow.start_run(run_name="outer") as active:
        trained = trainer(tmp_path)
        trained.train()
        trained.evaluate()
        mlflow.log_param("mine", 1)
    [run] = client.search_runs([experiment.experiment_id])
    assert (run.info.run_id, run.info.run_name, run.info.status) == (active.info.run_id, "outer", "FINISHED")
    assert run.data.tags["release.candidate"] == "RC1"
    assert run.data.params["mine"] == "1"
    assert run.data.params["id2label.0"] == "LABEL_0"
    assert [point.step for point in client.get_metric_history(run.info.run_id, "eval_loss")] == [2, 4, 4]


def test_a_nested_run(
    client: MlflowClient, experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_NESTED_RUN", "1")
    with mlflow.start_run() as parent:
        trainer(tmp_path, run_name="inner").train()
    inner = client.search_runs([experiment.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    assert [(run.info.run_name, run.info.status) for run in inner] == [("inner", "FINISHED")]


def test_a_checkpoint_is_kept_as_a_model(
    client: MlflowClient, experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_MLFLOW_LOG_ARTIFACTS", "1")
    trained = trainer(tmp_path / "here", save_steps=4)
    trained.train()
    [run] = client.search_runs([experiment.experiment_id])
    [output] = run.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert (model.name, model.status) == ("checkpoint-4", "READY")
    files = Path(mlflow.artifacts.download_artifacts(f"models:/{model.model_id}", dst_path=str(tmp_path)))
    back = BertForSequenceClassification.from_pretrained(files / "artifacts" / "checkpoint-4")
    weights = trained.model.state_dict()
    assert back.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[key]) for key, value in back.state_dict().items())
