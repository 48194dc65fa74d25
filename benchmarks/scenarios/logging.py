"""Writes: single metrics, batches, and whole training runs."""

from collections.abc import Generator, Iterable, Sequence
from uuid import uuid4

from benchmarks import sample, wire
from benchmarks.checks import require
from benchmarks.processes import Spent
from benchmarks.scenario import Outcome, Target, latency, rate

ID = "?" * 32  # stands for a run's id in a request that is made beforehand
TRAINING_CLIENTS = 16
BATCHES, KEYS = 100, 10
PARAMS = {f"param-{n}": f"value {n}" for n in range(50)}
TAGS = {f"tag-{n}": f"value {n}" for n in range(10)}
RUN_REQUESTS = 1 + 1 + BATCHES + 1  # create, log params and tags, log metrics, end


def metric_by_one(target: Target) -> Outcome:
    return latency(*_log(target, 1, [_metric(step) for step in range(3_000)], "loss", steps=1))


def metric_by_many(target: Target) -> Outcome:
    return rate(*_log(target, 32, [_metric(step) for step in range(2_000)], "loss", steps=1))


def batch_of_100(target: Target) -> Outcome:
    return rate(*_log(target, 16, [batch(number, 10) for number in range(600)], "loss-0", steps=10), each=100)


def batch_of_1000(target: Target) -> Outcome:
    return rate(*_log(target, 16, [batch(number, 100) for number in range(60)], "loss-0", steps=100), each=1000)


def _metric(step: int) -> bytes:
    return wire.post("runs/log-metric", {"run_id": ID} | sample.point("loss", step))


def batch(number: int, steps: int) -> bytes:
    """The log-batch request with this number (from 0), each of which has as many new steps of KEYS metrics."""
    metrics = [sample.point(f"loss-{key}", step) for step in steps_of(number, steps) for key in range(KEYS)]
    return wire.post("runs/log-batch", {"run_id": ID, "metrics": metrics})


def steps_of(number: int, steps: int) -> range:
    return range(number * steps, (number + 1) * steps)


def _log(target: Target, clients: int, requests: Sequence[bytes], key: str, steps: int) -> tuple[wire.Exchange, Spent]:
    """Each client logs to a run of its own, `steps` new steps of the key with each request."""
    run_ids = new_runs(target.port, clients)
    done, spent = target.exchange([addressed(requests, run_id) for run_id in run_ids], target.size.seconds)
    check_logged(target.port, run_ids, key, [[answer.ok for answer in lane] for lane in done.lanes], steps)
    return done, spent


def new_experiment(port: int) -> str:
    (answer,) = wire.ask(port, wire.post("experiments/create", {"name": uuid4().hex}))
    return str(answer["experiment_id"])


def new_runs(port: int, count: int) -> list[str]:
    """Runs in an experiment of their own."""
    create = wire.post("runs/create", {"experiment_id": new_experiment(port), "start_time": sample.START})
    return [message["run"]["info"]["run_id"] for message in wire.ask(port, *[create] * count)]


def addressed(requests: Iterable[bytes], run_id: str) -> Generator[bytes, object, None]:
    """The requests, for this run."""
    for request in requests:
        yield request.replace(ID.encode(), run_id.encode(), 1)


def check_logged(port: int, run_ids: Sequence[str], key: str, lanes: Sequence[Sequence[bool]], steps: int) -> None:
    """Each run's history of the key has every acknowledged point once; of a request that failed, it may have them.

    `lanes` says of each run's requests whether they were acknowledged.
    """
    histories = wire.ask(port, *[wire.get("metrics/get-history", run_id=run_id, metric_key=key) for run_id in run_ids])
    for history, acknowledged in zip(histories, lanes, strict=True):
        points = {point["step"]: point["value"] for point in history.get("metrics", [])}
        sent = range(len(acknowledged) * steps)
        told = [step for number, ok in enumerate(acknowledged) if ok for step in steps_of(number, steps)]
        require(len(points) == len(history.get("metrics", [])), f"no point of {key} twice")
        require(set(told) <= points.keys() <= set(sent), f"the points of {key} that were acknowledged, and no others")
        require(all(value == sample.value_at(step) for step, value in points.items()), f"the values of {key} as sent")


def training_run(target: Target) -> Outcome:
    """As a client trains: create a run, log params and tags, then metrics batch by batch, end it; then the next."""
    batches = [batch(number, 1) for number in range(BATCHES)]
    experiment_id = new_experiment(target.port)
    lanes = [_train(experiment_id, batches) for _ in range(TRAINING_CLIENTS)]
    done, spent = target.exchange(lanes, 2 * target.size.seconds)
    for lane in done.lanes:
        if len(lane) >= RUN_REQUESTS:
            _check_trained(target.port, lane[0].message()["run"]["info"]["run_id"])
    return rate(done, spent, each=1 / RUN_REQUESTS)


def _train(experiment_id: str, batches: Sequence[bytes]) -> Generator[bytes, wire.Answer | None, None]:
    create = wire.post("runs/create", {"experiment_id": experiment_id, "start_time": sample.START})
    params, tags = sample.pairs(PARAMS), sample.pairs(TAGS)
    describe = wire.post("runs/log-batch", {"run_id": ID, "params": params, "tags": tags})
    end = wire.post("runs/update", {"run_id": ID, "status": "FINISHED", "end_time": sample.START + 1})
    while True:
        created = yield create
        if created is None:
            raise TypeError("needs the answers")
        yield from addressed([describe, *batches, end], created.message()["run"]["info"]["run_id"])


def _check_trained(port: int, run_id: str) -> None:
    (answer,) = wire.ask(port, wire.get("runs/get", run_id=run_id))
    latest = {f"loss-{key}": sample.value_at(BATCHES - 1) for key in range(KEYS)}
    shown = sample.seen(answer["run"])
    require((shown.metrics, shown.params, shown.tags) == (latest, PARAMS, TAGS), "what the run logged, whole")
    require(answer["run"]["info"]["status"] == "FINISHED", "the run to have ended")
