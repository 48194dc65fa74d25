"""The MLflow API as one list, in MLflow's own order; below it, what we do not serve."""

from __future__ import annotations

from collections.abc import Sequence

from native_api.core.access import Scope
from native_api.web.endpoint import Log, Read, Row, Steps, Stream, Write
from shim import artifact_messages as a
from shim import experiments, logged_models, metrics, model_versions, registered_models, runs, server
from shim import logged_model_messages as lm
from shim import messages as m
from shim import registry_messages as r
from shim import workspaces as workspaces_
from shim.artifacts import Files
from shim.direct_artifacts import Addresses
from shim.ui import absent, graphql, people
from shim.ui.absent import TraceMetrics
from shim.ui.pages import Pages
from shim.ui.people import ChangePassword, OneUser, People

PUBLIC, READ, WRITE, ADMIN = Scope.PUBLIC, Scope.READ, Scope.WRITE, Scope.ADMIN

TRACKING_PREFIXES = ("/api/2.0/mlflow", "/ajax-api/2.0/mlflow")
PREVIEW_PREFIXES = (*TRACKING_PREFIXES, "/api/2.0/preview/mlflow")
"""With the one that clients before 2.0 ask the registry at, and the oldest ask everything at."""
TRACKING_3_PREFIXES = ("/api/3.0/mlflow",)
UI_PREFIXES, UI_3_PREFIXES = ("/ajax-api/2.0/mlflow",), ("/ajax-api/3.0/mlflow",)
WORKSPACE_PREFIXES = (*TRACKING_3_PREFIXES, *UI_3_PREFIXES)
ARTIFACT_PREFIXES = ("/api/2.0/mlflow-artifacts", "/ajax-api/2.0/mlflow-artifacts")
ROOT_PREFIXES = ("",)


def tracking(artifact_root: str) -> Sequence[Row]:
    """Experiments, runs, metrics: version 2.0 of MLflow's tracking API."""
    create = experiments.Create(artifact_root)
    # fmt: off
    return [
        Write("POST", "/experiments/create",                 m.CreateExperiment,    create,                      WRITE),
        Read( "POST", "/experiments/search",                 m.SearchExperiments,   experiments.search,          READ),
        Read( "GET",  "/experiments/search",                 m.SearchExperiments,   experiments.search,          READ),
        Read( "GET",  "/experiments/list",                   m.ListExperiments,     experiments.list_all,        READ),
        Read( "GET",  "/experiments/get",                    m.GetExperiment,       experiments.get,             READ),
        Read( "GET",  "/experiments/get-by-name",            m.GetExperimentByName, experiments.get_by_name,     READ),
        Write("POST", "/experiments/delete",                 m.GetExperiment,       experiments.delete,          WRITE),
        Write("POST", "/experiments/restore",                m.GetExperiment,       experiments.restore,         WRITE),
        Write("POST", "/experiments/update",                 m.UpdateExperiment,    experiments.update,          WRITE),
        Write("POST", "/experiments/set-experiment-tag",     m.SetExperimentTag,    experiments.set_tag,         WRITE),
        Write("POST", "/experiments/delete-experiment-tag",  m.DeleteExperimentTag, experiments.delete_tag,      WRITE),
        Read( "POST", "/experiments/search-datasets",        m.SearchDatasets,      experiments.search_datasets, READ),
        Write("POST", "/runs/create",                        m.CreateRun,           runs.create,                 WRITE),
        Write("POST", "/runs/update",                        m.UpdateRun,           runs.update,                 WRITE),
        Write("POST", "/runs/delete",                        m.OneRun,              runs.delete,                 WRITE),
        Write("POST", "/runs/restore",                       m.OneRun,              runs.restore,                WRITE),
        Log(  "POST", "/runs/log-metric",                    m.LogMetric,           runs.log_metric,             WRITE),
        Log(  "POST", "/runs/log-parameter",                 m.LogParam,            runs.log_parameter,          WRITE),
        Log(  "POST", "/runs/set-tag",                       m.SetTag,              runs.set_tag,                WRITE),
        Write("POST", "/runs/delete-tag",                    m.DeleteTag,           runs.delete_tag,             WRITE),
        Read( "GET",  "/runs/get",                           m.GetRun,              runs.get,                    READ),
        Read( "POST", "/runs/search",                        m.SearchRuns,          runs.search,                 READ),
        Log(  "POST", "/runs/log-batch",                     m.LogBatch,            runs.log_batch,              WRITE),
        Write("POST", "/runs/log-model",                     m.LogModel,            runs.log_model,              WRITE),
        Write("POST", "/runs/log-inputs",                    m.LogInputs,           runs.log_inputs,             WRITE),
        Write("POST", "/runs/outputs",                       m.LogOutputs,          runs.log_outputs,            WRITE),
        Read( "GET",  "/metrics/get-history",                m.GetHistory,          metrics.history,             READ),
        Read( "GET",  "/metrics/get-history-bulk",           m.GetHistoryBulk,      metrics.history_bulk,        READ),
        Read( "GET",  "/metrics/get-history-bulk-interval",  m.GetHistoryInterval,  metrics.history_interval,    READ),
    ]
    # fmt: on


def tracking_models() -> Sequence[Row]:
    """Logged models, which are a part of version 2.0 of the tracking API."""
    one = "/logged-models/{model_id}"
    # fmt: off
    return [
        Write("POST",   "/logged-models",                 lm.CreateModel,    logged_models.create,     WRITE),
        Read( "POST",   "/logged-models/search",          lm.SearchModels,   logged_models.search,     READ),
        Read( "GET",    one,                              lm.GetModel,       logged_models.get,        READ),
        Write("PATCH",  one,                              lm.FinalizeModel,  logged_models.finalize,   WRITE),
        Write("DELETE", one,                              lm.OneModel,       logged_models.delete,     WRITE),
        Write("PATCH",  f"{one}/tags",                    lm.PutModelTags,   logged_models.put_tags,   WRITE),
        Write("DELETE", f"{one}/tags/{{tag_key:path}}",   lm.DeleteModelTag, logged_models.delete_tag, WRITE),
        Write("POST",   f"{one}/params",                  lm.AddModelParams, logged_models.add_params, WRITE),
    ]
    # fmt: on


def tracked_artifacts(files: Files) -> Sequence[Row]:
    """The files of runs and of logged models: the tracking API as well."""
    direct = Addresses(files)
    # fmt: off
    return [
        Steps( "GET",  "/artifacts/list",                      a.ListArtifacts,         files.list_of_run,       READ),
        Steps( "POST", "/artifacts/presigned-upload-url",      a.PresignUpload,         direct.presign_upload,   WRITE),
        Steps( "POST", "/artifacts/presigned-download-url",    a.PresignDownload,       direct.presign_download, READ),
        Stream("POST", "/upload-artifact",                     files.upload_to_run,     WRITE),
        Steps( "GET",  "/logged-models/{model_id}/artifacts/directories",
                                                               a.ListModelArtifacts,    files.list_of_model,     READ),
        Stream("GET",  "/logged-models/{model_id}/artifacts/files",
                                                               files.download_of_model, READ),
    ]
    # fmt: on


def model_registry() -> Sequence[Row]:
    """Registered models and their versions: version 2.0 of MLflow's model registry."""
    model, version = "/registered-models", "/model-versions"
    # fmt: off
    return [
        Write("POST",   f"{model}/create",              r.CreateModel,       registered_models.create,      WRITE),
        Write("POST",   f"{model}/rename",              r.RenameModel,       registered_models.rename,      WRITE),
        Write("PATCH",  f"{model}/update",              r.UpdateModel,       registered_models.update,      WRITE),
        Write("DELETE", f"{model}/delete",              r.OneModel,          registered_models.delete,      WRITE),
        Read( "GET",    f"{model}/get",                 r.OneModel,          registered_models.get,         READ),
        Read( "GET",    f"{model}/search",              r.SearchModels,      registered_models.search,      READ),
        Read( "GET",    f"{model}/list",                r.SearchModels,      registered_models.search,      READ),
        Read( "POST",   f"{model}/get-latest-versions", r.GetLatestVersions, model_versions.latest,         READ),
        Read( "GET",    f"{model}/get-latest-versions", r.GetLatestVersions, model_versions.latest,         READ),
        Write("POST",   f"{model}/set-tag",             r.SetModelTag,       registered_models.set_tag,     WRITE),
        Write("DELETE", f"{model}/delete-tag",          r.DeleteModelTag,    registered_models.delete_tag,  WRITE),
        Write("POST",   f"{model}/alias",               r.SetAlias,          model_versions.set_alias,      WRITE),
        Write("DELETE", f"{model}/alias",               r.OneAlias,          model_versions.delete_alias,   WRITE),
        Read( "GET",    f"{model}/alias",               r.OneAlias,          model_versions.get_by_alias,   READ),
        Write("POST",   f"{version}/create",            r.CreateVersion,     model_versions.create,         WRITE),
        Write("PATCH",  f"{version}/update",            r.UpdateVersion,     model_versions.update,         WRITE),
        Write("POST",   f"{version}/transition-stage",  r.TransitionStage,   model_versions.move,           WRITE),
        Write("DELETE", f"{version}/delete",            r.OneVersion,        model_versions.delete,         WRITE),
        Read( "GET",    f"{version}/get",               r.OneVersion,        model_versions.get,            READ),
        Read( "GET",    f"{version}/search",            r.SearchVersions,    model_versions.search,         READ),
        Read( "GET",    f"{version}/get-download-uri",  r.OneVersion,        model_versions.download_uri,   READ),
        Write("POST",   f"{version}/set-tag",           r.SetVersionTag,     model_versions.set_tag,        WRITE),
        Write("DELETE", f"{version}/delete-tag",        r.DeleteVersionTag,  model_versions.delete_tag,     WRITE),
    ]
    # fmt: on


def tracking_3(files: Files) -> Sequence[Row]:
    """What MLflow has at version 3.0 only, for clients."""
    return [Steps("GET", "/server-info", m.Nothing, server.Info(Addresses(files)).get, PUBLIC)]


def ui(people: People) -> Sequence[Row]:
    """What only MLflow's UI asks at version 2.0, of no workspace."""
    return [
        Stream("GET", "/users/current", people.current, PUBLIC),
        Steps("PATCH", "/users/update-password", ChangePassword, people.change_password, READ),
        Read("GET", "/gateway-proxy", m.Nothing, absent.gateway_endpoints, READ),
        Read("POST", "/gateway-proxy", m.Nothing, absent.gateway_endpoints, READ),
        Read("GET", "/webhooks", m.Nothing, absent.nothing, READ),
    ]


def ui_3() -> Sequence[Row]:
    """The same at version 3.0: features, permissions, and lists of what this server does not have."""
    # fmt: off
    return [
        Read( "GET",  "/server-info",               m.Nothing,    server.info_for_ui,         READ),
        Read( "GET",  "/users/current/permissions", m.Nothing,    people.permissions,         READ),
        Read( "GET",  "/users/roles/list",          OneUser,      people.roles,               READ),
        Read( "GET",  "/ui-telemetry",              m.Nothing,    absent.telemetry,           READ),
        Read( "POST", "/ui-telemetry",              m.Nothing,    absent.telemetry_records,   READ),
        Read( "GET",  "/assistant/config",          m.Nothing,    absent.assistant_config,    READ),
        Read( "GET",  "/assistant/providers",       m.Nothing,    absent.assistant_providers, READ),
        Read( "POST", "/traces/search",             m.Nothing,    absent.nothing,             READ),
        Read( "POST", "/traces/metrics",            TraceMetrics, absent.trace_metrics,       READ),
        Read( "POST", "/datasets/search",           m.Nothing,    absent.nothing,             READ),
        Read( "GET",  "/mcp-servers",               m.Nothing,    absent.nothing,             READ),
        *(Read("GET", f"/{name}/list", m.Nothing, absent.nothing, READ) for name in absent.LISTS),
    ]
    # fmt: on


def workspaces() -> Sequence[Row]:
    """Projects, as MLflow's workspaces: calls that name none to work in."""
    # fmt: off
    return [
        Read( "GET",    "/workspaces",                  m.Nothing,         workspaces_.search, READ),
        Write("POST",   "/workspaces",                  m.CreateWorkspace, workspaces_.create, ADMIN, 201),
        Read( "GET",    "/workspaces/{workspace_name}", m.OneWorkspace,    workspaces_.get,    READ),
        Write("PATCH",  "/workspaces/{workspace_name}", m.UpdateWorkspace, workspaces_.update, ADMIN),
        Write("DELETE", "/workspaces/{workspace_name}", m.DeleteWorkspace, workspaces_.delete, ADMIN, 204),
    ]
    # fmt: on


def proxied_artifacts(files: Files) -> Sequence[Row]:
    """The artifact proxy: files below `mlflow-artifacts:/`, through the server or, where the store can, past it."""
    direct = Addresses(files)
    # fmt: off
    return [
        Steps( "GET",    "/artifacts",                  a.ListProxied,    files.list_proxied, READ),
        Stream("GET",    "/artifacts/{path:path}",      files.download,   READ),
        Stream("PUT",    "/artifacts/{path:path}",      files.upload,     WRITE),
        Stream("DELETE", "/artifacts/{path:path}",      files.delete,     WRITE),
        Steps( "POST",   "/mpu/create/{folder:path}",   a.BeginUpload,    direct.begin,       WRITE),
        Steps( "POST",   "/mpu/complete/{folder:path}", a.CompleteUpload, direct.complete,    WRITE),
        Steps( "POST",   "/mpu/abort/{folder:path}",    a.AbortUpload,    direct.abort,       WRITE),
        Steps( "GET",    "/presigned/{path:path}",      a.Presigned,      direct.download,    READ),
    ]
    # fmt: on


def pages(pages: Pages) -> Sequence[Row]:
    """What stands at the root, without a version: for people, and for whoever looks after the server."""
    return [
        Stream("GET", "/", pages.index, PUBLIC),
        Stream("GET", "/static-files/{path:path}", pages.file, PUBLIC),
        Stream("GET", "/login", pages.login_form, PUBLIC),
        Stream("POST", "/login", pages.login, PUBLIC),
        Stream("POST", "/logout", pages.logout, PUBLIC),
        Stream("GET", "/health", server.health, PUBLIC),
        Stream("GET", "/ready", server.ready, PUBLIC),
        Stream("GET", "/version", server.own_version, PUBLIC),
    ]


def ui_root(files: Files) -> Sequence[Row]:
    """What MLflow's UI asks for at the root."""
    return [
        Read("POST", "/graphql", m.GraphQL, graphql.answer, READ),
        Stream("GET", "/get-artifact", files.download_of_run, READ),
        Stream("GET", "/model-versions/get-artifact", files.download_of_version, READ),
    ]


NOT_SERVED = (
    "datasets",
    "gateway",
    "get-online-trace-details",
    "issues",
    "label-schemas",
    "prompt-optimization",
    "review-queues",
    "scorers",
    "traces",
    "unified-traces",
)
"""MLflow's endpoints that answer ENDPOINT_NOT_FOUND, by how their path begins: clients then fall back or say so."""
