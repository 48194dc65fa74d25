"""The scenarios as one list."""

from benchmarks.scenario import Data, Scenario
from benchmarks.scenarios import artifacts, histories, logging, mixed, python_client, searches, server

# Those that need the same data share one start of the server and run in this order: what is asked cold comes first.
# fmt: off
SCENARIOS = [
    Scenario("first answer, fresh database",                  "s",         Data.NOTHING, server.first_answer),
    Scenario("memory, idle",                                  "MiB",       Data.NOTHING, server.memory_idle),
    Scenario("log-metric, 1 client, p50",                     "ms",        Data.NOTHING, logging.metric_by_one),
    Scenario("log-metric, 32 clients",                        "req/s",     Data.NOTHING, logging.metric_by_many),
    Scenario("log-batch of 100, 16 clients",                  "metrics/s", Data.NOTHING, logging.batch_of_100),
    Scenario("log-batch of 1,000, 16 clients",                "metrics/s", Data.NOTHING, logging.batch_of_1000),
    Scenario("training run, 16 at once",                      "runs/s",    Data.NOTHING, logging.training_run),
    Scenario("Python client, 1,000 steps of 5 metrics",       "s",         Data.NOTHING, python_client.steps),
    Scenario("artifact of 200 MB, put",                       "MB/s",      Data.NOTHING, artifacts.put_large),
    Scenario("artifact of 200 MB, get",                       "MB/s",      Data.NOTHING, artifacts.get_large),
    Scenario("artifact of 1 GiB, put",                        "MB/s",      Data.NOTHING, artifacts.put_huge),
    Scenario("artifact of 1 GiB, get",                        "MB/s",      Data.NOTHING, artifacts.get_huge),
    Scenario("200 files of 10 KiB, 8 clients, put",           "files/s",   Data.NOTHING, artifacts.put_small),
    Scenario("200 files of 10 KiB, 8 clients, get",           "files/s",   Data.NOTHING, artifacts.get_small),
    Scenario("memory, most while writing",                    "MiB",       Data.NOTHING, server.memory_most),
    Scenario("first answer, existing database",               "s",         Data.SAMPLE,  server.first_answer),
    Scenario("first 100 of 10,000 runs by a metric, cold",    "ms",        Data.SAMPLE,  searches.first_100_cold),
    Scenario("first 100 of 10,000 runs by a metric, warm",    "ms",        Data.SAMPLE,  searches.first_100_warm),
    Scenario("first 1,000 of 10,000 runs by a metric, cold",  "ms",        Data.SAMPLE,  searches.first_1000_cold),
    Scenario("first 1,000 of 10,000 runs by a metric, warm",  "ms",        Data.SAMPLE,  searches.first_1000_warm),
    Scenario("filter 10,000 runs by a metric and a param",    "ms",        Data.SAMPLE,  searches.filtered),
    Scenario("page through 10,000 runs, 1,000 at a time",     "s",         Data.SAMPLE,  searches.page_through),
    Scenario("history of 100,000 points, by pages of 25,000", "s",         Data.SAMPLE,  histories.page_through),
    Scenario("bulk interval, 20 runs x 10,000 points",        "ms",        Data.SAMPLE,  histories.bulk_interval),
    Scenario("runs/get, 1,000 metrics and 500 params",        "ms",        Data.SAMPLE,  searches.wide_run),
    Scenario("mixed load, log-batch, p99",                    "ms",        Data.SAMPLE,  mixed.log_batch_p99),
    Scenario("mixed load, searches, p99",                     "ms",        Data.SAMPLE,  mixed.search_p99),
    Scenario("memory, most while reading",                    "MiB",       Data.SAMPLE,  server.memory_most),
]
# fmt: on
