"""How fast the server is beside its peers: `python -m benchmarks --help`."""

import argparse
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks import about, compare, report, servers
from benchmarks.sample import TINY, Size
from benchmarks.scenarios import SCENARIOS

RESULTS = servers.ROOT / "data/benchmarks"


def main() -> None:
    options = _arguments()
    facts = about.facts()
    plan = compare.Plan(
        products=[servers.ours(), *(servers.PEERS[peer]() for peer in options.peers)],
        kinds=list(report.DATABASES) if options.database == "both" else [options.database],
        scenarios=[scenario for scenario in SCENARIOS if re.search(options.only, scenario.name)],
        size=TINY if options.tiny else Size(),
        rounds=options.rounds,
        minutes=options.minutes,
    )
    with tempfile.TemporaryDirectory(prefix="mlflow-shim-bench-") as folder:
        results = compare.measure(plan, Path(folder))
    results.about.update(facts | results.about)
    _save(options.json, msgspec.json.format(msgspec.json.encode(results)))
    text = report.markdown(results, details=True)
    if options.markdown:
        options.markdown.write_text(text + "\n")
    print(text)


def _save(chosen: Path | None, content: bytes) -> None:
    file = chosen or RESULTS / f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    compare.say(f"written to {file}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--peers", type=_peers, default=[], help=f"beside ours: {' '.join(servers.PEERS)}")
    parser.add_argument("--database", choices=[*report.DATABASES, "both"], default="sqlite")
    parser.add_argument("--only", default="", metavar="PATTERN", help="the scenarios whose names match")
    parser.add_argument("--rounds", type=int, default=2, help="how often to measure each server (default 2)")
    parser.add_argument("--minutes", type=float, default=10, help="begin no round that would end later (default 10)")
    parser.add_argument("--tiny", action="store_true", help="try the benchmark itself in seconds; figures mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"default: below {RESULTS.relative_to(servers.ROOT)}")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there, too")
    return parser.parse_args()


def _peers(text: str) -> list[str]:
    if unknown := set(text.split()) - servers.PEERS.keys():
        raise argparse.ArgumentTypeError(f"unknown: {' '.join(unknown)}")
    return text.split()


if __name__ == "__main__":
    main()
