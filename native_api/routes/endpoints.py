"""The native API as one list."""

# ruff: noqa: E501 - one row, one line

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from native_api.core.access import Scope
from native_api.routes import (
    artifacts,
    audit,
    auth,
    batch_import,
    datasets,
    experiments,
    members,
    metric_definitions,
    metrics,
    models,
    openapi,
    orgs,
    projects,
    reports,
    run_configs,
    runs,
    tokens,
    users,
)
from native_api.web.endpoint import Read, Row, Steps, Stream, Write

PUBLIC, READ, WRITE, ADMIN = Scope.PUBLIC, Scope.READ, Scope.WRITE, Scope.ADMIN


def endpoints(accounts: auth.Accounts, artifact_root: str) -> Sequence[Row]:
    """Every path below `/api`. New experiments keep their artifacts below `artifact_root`."""
    people = users.Users(accounts.guard)
    create_experiment = partial(experiments.create, artifact_root=artifact_root)
    # fmt: off
    rows: list[Row] = [
        # Who asks
        Steps("POST",   "/auth/register",                         auth.Register,                accounts.register,             PUBLIC),
        Steps("POST",   "/auth/login",                            auth.Login,                   accounts.login,                PUBLIC, 200),
        Steps("POST",   "/auth/token",                            auth.PasswordForm,            accounts.token,                PUBLIC, 200),
        Read( "GET",    "/users",                                 users.ListUsers,              users.page,                    READ),
        Steps("POST",   "/users",                                 users.CreateUser,             people.create,                 ADMIN),
        Read( "GET",    "/users/{user_id}",                       users.OneUser,                users.get,                     READ),
        Steps("PUT",    "/users/{user_id}",                       users.ChangeUser,             people.change,                 ADMIN),
        Write("POST",   "/users/{user_id}/deactivate",            users.OneUser,                users.deactivate,              ADMIN, 200),
        Read( "GET",    "/tokens",                                tokens.ListTokens,            tokens.page,                   READ),
        Write("POST",   "/tokens",                                tokens.CreateToken,           tokens.create,                 ADMIN),
        Read( "GET",    "/tokens/{token_id}",                     tokens.OneToken,              tokens.get,                    READ),
        Write("DELETE", "/tokens/{token_id}",                     tokens.OneToken,              tokens.revoke,                 ADMIN),
        # Tenants
        Read( "GET",    "/orgs",                                  orgs.ListOrgs,                orgs.page,                     READ),
        Write("POST",   "/orgs",                                  orgs.CreateOrg,               orgs.create,                   ADMIN),
        Read( "GET",    "/orgs/{org_id}",                         orgs.OneOrg,                  orgs.get,                      READ),
        Write("PUT",    "/orgs/{org_id}",                         orgs.ChangeOrg,               orgs.change,                   ADMIN),
        Write("DELETE", "/orgs/{org_id}",                         orgs.OneOrg,                  orgs.delete,                   ADMIN),
        Read( "GET",    "/org-members",                           members.ListOrgMembers,       members.page_of_orgs,          READ),
        Write("POST",   "/org-members",                           members.AddOrgMember,         members.add_to_org,            ADMIN),
        Read( "GET",    "/org-members/{org_member_id}",           members.OneOrgMember,         members.get_of_org,            READ),
        Write("PUT",    "/org-members/{org_member_id}",           members.ChangeOrgMember,      members.change_in_org,         ADMIN),
        Write("DELETE", "/org-members/{org_member_id}",           members.OneOrgMember,         members.remove_from_org,       ADMIN),
        Read( "GET",    "/projects",                              projects.ListProjects,        projects.page,                 READ),
        Write("POST",   "/projects",                              projects.CreateProject,       projects.create,               ADMIN),
        Read( "GET",    "/projects/{project_id}",                 projects.OneProject,          projects.get,                  READ),
        Write("PUT",    "/projects/{project_id}",                 projects.ChangeProject,       projects.change,               ADMIN),
        Write("DELETE", "/projects/{project_id}",                 projects.OneProject,          projects.delete,               ADMIN),
        Read( "GET",    "/project-members",                       members.ListProjectMembers,   members.page_of_projects,      READ),
        Write("POST",   "/project-members",                       members.AddProjectMember,     members.add_to_project,        ADMIN),
        Read( "GET",    "/project-members/{project_member_id}",   members.OneProjectMember,     members.get_of_project,        READ),
        Write("PUT",    "/project-members/{project_member_id}",   members.ChangeProjectMember,  members.change_in_project,     ADMIN),
        Write("DELETE", "/project-members/{project_member_id}",   members.OneProjectMember,     members.remove_from_project,   ADMIN),
        # Datasets
        Read( "GET",    "/datasets",                              datasets.ListDatasets,        datasets.page,                 READ),
        Write("POST",   "/datasets",                              datasets.CreateDataset,       datasets.create,               WRITE),
        Read( "GET",    "/datasets/{dataset_id}",                 datasets.OneDataset,          datasets.get,                  READ),
        Write("PUT",    "/datasets/{dataset_id}",                 datasets.ChangeDataset,       datasets.change,               WRITE),
        Write("DELETE", "/datasets/{dataset_id}",                 datasets.OneDataset,          datasets.delete,               WRITE),
        Read( "GET",    "/dataset-versions",                      datasets.ListVersions,        datasets.page_of_versions,     READ),
        Write("POST",   "/dataset-versions",                      datasets.CreateVersion,       datasets.create_version,       WRITE),
        Read( "GET",    "/dataset-versions/{dataset_version_id}", datasets.OneVersion,          datasets.get_version,          READ),
        Write("PUT",    "/dataset-versions/{dataset_version_id}", datasets.ChangeVersion,       datasets.change_version,       WRITE),
        Write("DELETE", "/dataset-versions/{dataset_version_id}", datasets.OneVersion,          datasets.delete_version,       WRITE),
        # Metric definitions
        Read( "GET",    "/metric-definitions",                    metric_definitions.ListDefinitions,metric_definitions.page,       READ),
        Write("POST",   "/metric-definitions",                    metric_definitions.CreateDefinition,metric_definitions.create,     WRITE),
        Read( "GET",    "/metric-definitions/{metric_id}",        metric_definitions.OneDefinition,metric_definitions.get,        READ),
        Write("PUT",    "/metric-definitions/{metric_id}",        metric_definitions.ChangeDefinition,metric_definitions.change,     WRITE),
        Write("DELETE", "/metric-definitions/{metric_id}",        metric_definitions.OneDefinition,metric_definitions.delete,     WRITE),
        # Experiments
        Read( "GET",    "/experiments",                           experiments.ListExperiments, experiments.page,              READ),
        Write("POST",   "/experiments",                           experiments.CreateExperiment, create_experiment,             WRITE),
        Read( "GET",    "/experiments/{experiment_id}",           experiments.OneExperiment,   experiments.get,               READ),
        Write("PUT",    "/experiments/{experiment_id}",           experiments.ChangeExperiment, experiments.change,            WRITE),
        Write("DELETE", "/experiments/{experiment_id}",           experiments.OneExperiment,   experiments.delete,            WRITE),
        # Runs
        Read( "GET",    "/runs",                                  runs.ListRuns,               runs.page,                     READ),
        Write("POST",   "/runs",                                  runs.CreateRun,              runs.create,                   WRITE),
        Read( "GET",    "/runs/{run_id}",                         runs.OneRun,                 runs.get,                      READ),
        Write("PUT",    "/runs/{run_id}",                         runs.ChangeRun,              runs.change,                   WRITE),
        Write("DELETE", "/runs/{run_id}",                         runs.OneRun,                 runs.delete,                   WRITE),
        Write("POST",   "/runs/{run_id}/complete",                runs.CompleteRun,            runs.complete,                 WRITE, 200),
        Write("POST",   "/runs/{run_id}/metrics",                 metrics.LogMetrics,          metrics.log,                   WRITE),
        Read( "GET",    "/runs/{run_id}/metrics",                 metrics.ListMetrics,         metrics.page,                  READ),
        Read( "GET",    "/run-configs/{run_id}",                  run_configs.OneRunConfig,    run_configs.get,               READ),
        Write("PUT",    "/run-configs/{run_id}",                  run_configs.ChangeRunConfig, run_configs.put,               WRITE),
        # Artifacts
        Read( "GET",    "/artifacts",                             artifacts.ListArtifacts,      artifacts.page,                READ),
        Write("POST",   "/artifacts",                             artifacts.CreateArtifact,     artifacts.create,              WRITE),
        Read( "GET",    "/artifacts/{artifact_id}",               artifacts.OneArtifact,        artifacts.get,                 READ),
        Write("PUT",    "/artifacts/{artifact_id}",               artifacts.ChangeArtifact,     artifacts.change,              WRITE),
        Write("DELETE", "/artifacts/{artifact_id}",               artifacts.OneArtifact,        artifacts.delete,              WRITE),
        Read( "GET",    "/run-artifacts",                         artifacts.ListLinks,          artifacts.page_of_links,       READ),
        Write("POST",   "/run-artifacts",                         artifacts.CreateLink,         artifacts.create_link,         WRITE),
        Read( "GET",    "/run-artifacts/{run_artifact_id}",       artifacts.OneLink,            artifacts.get_link,            READ),
        Write("PUT",    "/run-artifacts/{run_artifact_id}",       artifacts.ChangeLink,         artifacts.change_link,         WRITE),
        Write("DELETE", "/run-artifacts/{run_artifact_id}",       artifacts.OneLink,            artifacts.delete_link,         WRITE),
        # Models
        Read( "GET",    "/models",                                models.ListModels,            models.page,                   READ),
        Write("POST",   "/models",                                models.CreateModel,           models.create,                 WRITE),
        Read( "GET",    "/models/{name}",                         models.OfModel,               models.get,                    READ),
        Write("PUT",    "/models/{name}",                         models.ChangeModel,           models.change,                 WRITE),
        Write("DELETE", "/models/{name}",                         models.OfModel,               models.delete,                 WRITE),
        Read( "GET",    "/models/{name}/versions",                models.ListModelVersions,     models.page_of_versions,       READ),
        Write("POST",   "/models/{name}/versions",                models.CreateModelVersion,    models.create_version,         WRITE),
        Read( "GET",    "/models/{name}/versions/{version}",      models.OneModelVersion,       models.get_version,            READ),
        Write("PUT",    "/models/{name}/versions/{version}",      models.ChangeModelVersion,    models.change_version,         WRITE),
        Write("DELETE", "/models/{name}/versions/{version}",      models.OneModelVersion,       models.delete_version,         WRITE),
        Read( "GET",    "/models/{name}/aliases/{alias}",         models.OneAlias,              models.get_alias,              READ),
        Write("PUT",    "/models/{name}/aliases/{alias}",         models.PutAlias,              models.put_alias,              WRITE),
        Write("DELETE", "/models/{name}/aliases/{alias}",         models.OneAlias,              models.delete_alias,           WRITE),
        # Batch import
        Stream("POST",  "/batch-import",                          batch_import.create,          WRITE, batch_import.BatchImport, batch_import.Job),
        Read( "GET",    "/batch-import-jobs",                     batch_import.ListJobs,        batch_import.page,             READ),
        Read( "GET",    "/batch-import-jobs/{job_id}",            batch_import.OneJob,          batch_import.get,              READ),
        Read( "GET",    "/batch-import-errors",                   batch_import.ListErrors,      batch_import.page_of_errors,   READ),
        # Reports
        Read( "GET",    "/reports/experiments/{experiment_id}/leaderboard",  reports.OfLeaderboard,  reports.leaderboard,  READ),
        Read( "GET",    "/reports/experiments/{experiment_id}/best-run",     reports.OfBestRun,      reports.best_run,     READ),
        Read( "GET",    "/reports/projects/{project_id}/dashboard",          reports.OfDashboard,    reports.dashboard,    READ),
        # The audit log
        Read( "GET",    "/audit-log",                             audit.ListEntries,            audit.page,                    READ),
    ]
    # fmt: on
    return [*rows, *openapi.pages(rows)]
