"""How fast this server and its UI are, beside peers and as they fill; does it last? `python -m benchmarks --help`."""

import argparse
import re
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks import about, compare, growth, importing, report, servers, soak, ui
from benchmarks.progress import say
from benchmarks.sample import TINY, Size
from benchmarks.suite import SCENARIOS

RESULTS = servers.ROOT / "data/benchmarks"


def main() -> None:
    options = _arguments()
    facts = about.facts()
    with tempfile.TemporaryDirectory(prefix="mlflow-shim-bench-") as folder:
        results, text = WAYS[options.what](options, facts, Path(folder))
    file = options.json or RESULTS / f"{options.what}-{datetime.now(UTC):%Y-%m-%d-%H%M%S}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    if options.markdown:
        options.markdown.write_text(text + "\n")
    print(text)
    say(f"written to {file}")


def _compare(options: argparse.Namespace, facts: dict[str, str], folder: Path) -> tuple[object, str]:
    plan = compare.Plan(
        products=[servers.ours(), *(servers.PEERS[peer]() for peer in options.peers)],
        kinds=options.database,
        scenarios=[scenario for scenario in SCENARIOS if re.search(options.only, scenario.name)],
        size=TINY if options.tiny else Size(),
        rounds=options.rounds,
        minutes=options.minutes,
    )
    results = compare.measure(plan, folder)
    results = replace(results, about=facts | results.about)
    return results, report.markdown(results, details=True)


def _grow(options: argparse.Namespace, facts: dict[str, str], folder: Path) -> tuple[object, str]:
    grown = growth.measure(options.database, growth.TINY if options.tiny else growth.Plan(), folder)
    grown = replace(grown, about=facts | grown.about)
    return grown, growth.markdown(grown)


def _soak(options: argparse.Namespace, facts: dict[str, str], folder: Path) -> tuple[object, str]:
    soaks = soak.measure(options.database, options.minutes, TINY if options.tiny else Size(), folder)
    soaks = replace(soaks, about=facts | soaks.about)
    return soaks, soak.markdown(soaks)


def _import(options: argparse.Namespace, facts: dict[str, str], folder: Path) -> tuple[object, str]:
    imports = importing.measure(
        options.database, importing.TINY if options.tiny else importing.Plan(), options.rounds, folder
    )
    imports = replace(imports, about=facts | imports.about)
    return imports, importing.markdown(imports)


def _show(options: argparse.Namespace, facts: dict[str, str], folder: Path) -> tuple[object, str]:
    products = [servers.ours(), *(servers.PEERS[peer]() for peer in options.peers)]
    visits = ui.measure(products, ui.TINY if options.tiny else ui.Size(), options.rounds, folder)
    visits = replace(visits, about=facts | visits.about)
    return visits, ui.markdown(visits)


WAYS = {"compare": _compare, "growth": _grow, "soak": _soak, "import": _import, "ui": _show}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", choices=WAYS, nargs="?", default="compare")
    parser.add_argument("--peers", type=_peers, default=[], help=f"compare with: {' '.join(servers.PEERS)}")
    parser.add_argument("--database", type=_kinds, default=["sqlite"], help="sqlite (the default), postgresql or both")
    parser.add_argument("--only", default="", metavar="PATTERN", help="compare the scenarios whose names match")
    parser.add_argument("--rounds", type=int, default=2, help="how often to measure (default 2)")
    parser.add_argument(
        "--minutes", type=float, default=10, help="begin no round that would end later; soak for so long (default 10)"
    )
    parser.add_argument("--tiny", action="store_true", help="try the benchmark itself in seconds; figures mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"default: below {RESULTS.relative_to(servers.ROOT)}")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there, too")
    return parser.parse_args()


def _peers(text: str) -> list[str]:
    if unknown := set(text.split()) - servers.PEERS.keys():
        raise argparse.ArgumentTypeError(f"unknown: {' '.join(unknown)}")
    return text.split()


def _kinds(text: str) -> list[str]:
    if text not in (*report.DATABASES, "both"):
        raise argparse.ArgumentTypeError(f"unknown: {text}")
    return list(report.DATABASES) if text == "both" else [text]


if __name__ == "__main__":
    main()
