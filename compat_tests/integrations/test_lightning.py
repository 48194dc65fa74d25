"""Lightning's logger for MLflow, with a network of one layer."""

from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Experiment, Run

pytest.importorskip("torch", reason="PyTorch is not installed; `make integrations` has it, unless TORCH is empty")

import torch
import yaml
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import MLFlowLogger
from torch.utils.data import DataLoader, TensorDataset

EPOCHS, STEPS = 3, 4


class Line(LightningModule):  # type: ignore[misc]
    """Learns the sum of two numbers, unless it is told at which step to fail."""

    def __init__(self, rate: float = 0.1, schedule: dict[str, int] | None = None, fails_at: int | None = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.fails_at = fails_at
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch: Any, index: int) -> Any:
        if self.global_step == self.fails_at:
            raise ArithmeticError("the loss is lost")
        loss = self.loss(batch)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        self.log("val/loss", self.loss(batch))

    def loss(self, batch: Any) -> Any:
        features, targets = batch
        return torch.nn.functional.mse_loss(self.layer(features), targets)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=self.hparams["rate"])


def data() -> Any:
    """As many batches as an epoch has steps."""
    features = torch.arange(32.0).reshape(16, 2) / 32
    return DataLoader(TensorDataset(features, features.sum(dim=1, keepdim=True)), batch_size=4)


def train(model: Line, logger: MLFlowLogger, folder: Path, **checkpoint: Any) -> ModelCheckpoint:
    saved = ModelCheckpoint(dirpath=folder, filename="{epoch}-{step}", **checkpoint)
    trainer = Trainer(
        accelerator="cpu", max_epochs=EPOCHS, log_every_n_steps=1, logger=logger, callbacks=[saved],
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(model, data(), data())
    return saved


def run_of(client: MlflowClient, logger: MLFlowLogger) -> Run:
    return client.get_run(str(logger.run_id))


def folders(client: MlflowClient, run: Run) -> list[str]:
    return sorted(file.path for file in client.list_artifacts(run.info.run_id))


def test_a_fit_logs_hyperparameters_and_metrics_by_step(
    client: MlflowClient, tracking_uri: str, tmp_path: Path
) -> None:
    seed_everything(7, verbose=False)
    logger = MLFlowLogger("lines", run_name="first", tracking_uri=tracking_uri, tags={"team": "vision"})
    train(Line(rate=0.05, schedule={"warm": 1, "cold": 2}), logger, tmp_path)
    run = run_of(client, logger)
    assert (run.info.run_name, run.info.status) == ("first", "FINISHED")
    assert run.data.tags["team"] == "vision"
    assert run.data.params == {"rate": "0.05", "schedule/warm": "1", "schedule/cold": "2", "fails_at": "None"}
    steps = [point.step for point in client.get_metric_history(run.info.run_id, "train_loss_step")]
    assert steps == list(range(EPOCHS * STEPS))
    last_steps = [STEPS * epoch + STEPS - 1 for epoch in range(EPOCHS)]
    for key in ("val/loss", "train_loss_epoch", "epoch"):
        history = {point.step: point.value for point in client.get_metric_history(run.info.run_id, key)}
        assert history.keys() >= set(last_steps), key
    assert run.data.metrics["epoch"] == EPOCHS - 1
    assert folders(client, run) == []


@pytest.mark.parametrize(
    ("log_model", "kept"),
    [("all", {"epoch=0-step=4", "epoch=1-step=8", "epoch=2-step=12"}), (True, {"epoch=2-step=12"})],
)
def test_checkpoints_are_kept_as_artifacts(
    client: MlflowClient, experiment: Experiment, tracking_uri: str, tmp_path: Path, log_model: Any, kept: set[str]
) -> None:
    seed_everything(7, verbose=False)
    logger = MLFlowLogger(experiment.name, tracking_uri=tracking_uri, log_model=log_model)
    model = Line()
    saved = train(model, logger, tmp_path / "here", monitor="val/loss", save_top_k=1 if log_model is True else EPOCHS)
    run = run_of(client, logger)
    assert run.info.experiment_id == experiment.experiment_id
    assert set(folders(client, run)) == kept
    best = Path(saved.best_model_path).stem
    files = Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=best, dst_path=tmp_path))
    assert {file.name for file in files.iterdir()} == {f"{best}.ckpt", "metadata.yaml", "aliases.txt"}
    assert files.joinpath("aliases.txt").read_text() == "['latest', 'best']"
    told = yaml.safe_load(files.joinpath("metadata.yaml").read_text())
    assert told["score"] == pytest.approx(run.data.metrics["val/loss"])
    back = Line.load_from_checkpoint(files / f"{best}.ckpt", weights_only=True)
    assert all(torch.equal(back.state_dict()[key], value) for key, value in model.state_dict().items())


def test_a_run_is_continued(client: MlflowClient, experiment: Experiment, tracking_uri: str, tmp_path: Path) -> None:
    first = MLFlowLogger(experiment.name, tracking_uri=tracking_uri)
    saved = train(Line(), first, tmp_path)
    second = MLFlowLogger(tracking_uri=tracking_uri, run_id=first.run_id, prefix="more")
    trainer = Trainer(
        accelerator="cpu", max_epochs=EPOCHS + 1, log_every_n_steps=1, logger=second,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(Line(), data(), data(), ckpt_path=saved.best_model_path, weights_only=True)
    run = run_of(client, second)
    assert (run.info.run_id, run.info.status) == (first.run_id, "FINISHED")
    steps = [point.step for point in client.get_metric_history(run.info.run_id, "more-train_loss_step")]
    assert steps == list(range(EPOCHS * STEPS, EPOCHS * STEPS + STEPS))
    assert len(client.search_runs([experiment.experiment_id])) == 1


def test_a_fit_that_fails_ends_its_run(
    client: MlflowClient, experiment: Experiment, tracking_uri: str, tmp_path: Path
) -> None:
    logger = MLFlowLogger(experiment.name, tracking_uri=tracking_uri)
    with pytest.raises(ArithmeticError):
        train(Line(fails_at=5), logger, tmp_path)
    run = run_of(client, logger)
    assert run.info.status == "FAILED"
    steps = [point.step for point in client.get_metric_history(run.info.run_id, "train_loss_step")]
    assert steps == [0, 1, 2, 3, 4]
