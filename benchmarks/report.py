"""What was measured, kept as JSON and shown as Markdown: `python -m benchmarks.report RESULTS.json`."""

import argparse
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from benchmarks.scenario import LESS_IS_BETTER, Outcome, Scenario, Unit

DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(frozen=True)
class Measured:
    """One round of a scenario: what it came to and the most memory meanwhile, in MiB, or why it did not."""

    outcome: Outcome | None = None
    memory: float = 0
    refused: str = ""


@dataclass(frozen=True)
class Figure:
    """All rounds of one scenario on one server."""

    database: str
    scenario: str
    unit: Unit
    product: str
    rounds: list[Measured] = field(default_factory=list)

    @property
    def outcomes(self) -> list[Outcome]:
        return [measured.outcome for measured in self.rounds if measured.outcome]

    @property
    def refused(self) -> str:
        return next((measured.refused for measured in self.rounds if measured.refused), "")

    @property
    def median(self) -> float:
        return statistics.median(outcome.value for outcome in self.outcomes)

    @property
    def failed(self) -> int:
        return sum(outcome.failed for outcome in self.outcomes)


@dataclass(frozen=True)
class Results:
    """The first of the products is ours."""

    products: list[str]
    about: dict[str, str] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)

    def add(self, database: str, scenario: Scenario, product: str, measured: Measured) -> None:
        figure = self.find(database, scenario.name, product)
        if figure is None:
            figure = Figure(database, scenario.name, scenario.unit, product)
            self.figures.append(figure)
        figure.rounds.append(measured)

    def find(self, database: str, scenario: str, product: str) -> Figure | None:
        sought = (database, scenario, product)
        return next((f for f in self.figures if (f.database, f.scenario, f.product) == sought), None)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--details", action="store_true", help="show percentiles, processor time and memory, too")
    options = parser.parse_args()
    print(markdown(msgspec.json.decode(options.results.read_bytes(), type=Results), options.details))


def markdown(results: Results, details: bool) -> str:
    rounds = {len(figure.rounds) for figure in results.figures}
    parts = [facts(results.about | {"rounds": " to ".join(map(str, sorted({min(rounds), max(rounds)})))})]
    for database, title in DATABASES.items():
        figures = [figure for figure in results.figures if figure.database == database]
        if figures:
            parts += [f"### {title}", comparison(results, figures), *reasons(figures)]
            parts += [detailed(figures)] if details else []
    return "\n\n".join(parts)


def facts(about: dict[str, str]) -> str:
    return table(["", ""], [[key, value] for key, value in about.items()])


def comparison(results: Results, figures: Sequence[Figure]) -> str:
    """Medians of the rounds; beside each peer's, how many times better ours is."""
    by_scenario: dict[str, dict[str, Figure]] = {}
    for figure in figures:
        by_scenario.setdefault(figure.scenario, {})[figure.product] = figure
    ours, *peers = results.products
    lines = [
        [name, cell(row[ours]), *(compared(row[ours], row.get(peer)) for peer in peers)]
        for name, row in by_scenario.items()
    ]
    return table(["scenario", *results.products], lines)


def cell(figure: Figure) -> str:
    if not figure.outcomes:
        return "not served" if figure.refused == "not served" else "failed"
    scaled = any(outcome.scaled for outcome in figure.outcomes)
    failed = f", {figure.failed} failed" if figure.failed else ""
    return f"{'~' if scaled else ''}{number(figure.median)} {figure.unit}{failed}"


def compared(ours: Figure, peer: Figure | None) -> str:
    if peer is None:
        return ""
    if not peer.outcomes or not ours.outcomes or peer.failed:  # a server that fails is not slow: no ratio is fair
        return cell(peer)
    return f"{cell(peer)} ({number(ratio(ours, peer))}x)"


def ratio(ours: Figure, peer: Figure) -> float:
    """How many times better ours is."""
    return peer.median / ours.median if ours.unit in LESS_IS_BETTER else ours.median / peer.median


def reasons(figures: Iterable[Figure]) -> list[str]:
    """Why there is no figure where one failed."""
    told = [f"{f.product}, {f.scenario}: {f.refused}" for f in figures if f.refused not in ("", "not served")]
    return ["Failed:\n\n" + "\n".join(f"- {reason}" for reason in told)] if told else []


def detailed(figures: Iterable[Figure]) -> str:
    """Of single operations the median and the tail, the median over the rounds."""
    head = ["scenario", "server", "p50 ms", "p95 ms", "p99 ms", "server CPU ms each", "client CPU", "most MiB"]
    return table(head, [[f.scenario, f.product, *_details(f)] for f in figures if f.outcomes])


def _details(figure: Figure) -> list[str]:
    def over(value: Callable[[Outcome], float]) -> str:
        return number(statistics.median(value(outcome) for outcome in figure.outcomes))

    times = [outcome.times for outcome in figure.outcomes if outcome.times]
    tail = [number(statistics.median(getattr(time, name) for time in times)) for name in ("p50", "p95", "p99") if times]
    client = max(outcome.spent.client / (outcome.spent.seconds or 1) for outcome in figure.outcomes)
    return [
        *(tail or ["", "", ""]),
        over(lambda outcome: outcome.spent.server / outcome.count * 1000),
        f"{client:.0%}",
        number(max(measured.memory for measured in figure.rounds)),
    ]


def number(value: float) -> str:
    """Three digits or more."""
    places = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{places}f}"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines))


if __name__ == "__main__":
    main()
