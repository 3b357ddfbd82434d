"""The TensorBoard plugin: a route parses its request, a function of `views` answers with data."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from tensorboard import plugin_util
from tensorboard.backend import http_util
from tensorboard.context import RequestContext
from tensorboard.errors import PublicError
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

from tbgrad.log.tags import (
    ALERT_PLUGIN_NAME,
    HISTOGRAM_PLUGIN_NAME,
    PLUGIN_NAME,
    STEP_LEVELS_PLUGIN_NAME,
    STEPS_PLUGIN_NAME,
)
from tbgrad.plugin import answer, assets
from tbgrad.plugin.source import LogSource, Snapshot, UnknownNameError
from tbgrad.plugin.views import alerts, curvature, landscape, layers, parameter, run, scalars
from tbgrad.plugin.views.paths import MAX_RUNS, paths

_log = logging.getLogger(__name__)

MAX_COLUMNS = 2000
MAX_POINT = 1_000_000
PLOTLY_CACHE_SECONDS = 30 * 86_400


class BadRequestError(ValueError):
    """An argument is missing or is not what it should be."""


class GradientsPlugin(base_plugin.TBPlugin):  # type: ignore[misc]
    """Serves the tab's files and its data; see `http_api.md` for the routes."""

    plugin_name = PLUGIN_NAME

    def __init__(self, context: Any) -> None:
        self._source = LogSource(context.data_provider, context.sampling_hints)

    def get_plugin_apps(self) -> dict[str, Any]:
        """The WSGI application of each route."""
        apps: dict[str, Any] = {
            f"/{name}": _json_app(self._source, view) for name, view in ROUTES.items()
        }
        apps["/plotly.min.js"] = _plotly_script_app
        # One exact route a file: no path of a request is ever joined to a directory.
        for name, content_type in assets.static_files().items():
            apps[f"/static/{name}"] = _file_app(name, content_type)
        return apps

    def is_active(self) -> bool:
        """Whether any run has data of ours; TensorBoard greys the tab out where none has."""
        try:
            return run.is_active(self._source.snapshot(RequestContext(), ""))
        except Exception:  # noqa: BLE001 - a provider that is not up yet must not break the page
            return False

    def data_plugin_names(self) -> tuple[str, ...]:
        """Data of these plugins makes the tab active."""
        return (
            PLUGIN_NAME, HISTOGRAM_PLUGIN_NAME, ALERT_PLUGIN_NAME, STEPS_PLUGIN_NAME,
            STEP_LEVELS_PLUGIN_NAME,
        )  # fmt: skip

    def frontend_metadata(self) -> Any:
        """Where the tab's module is, and what the tab is called."""
        return base_plugin.FrontendMetadata(
            es_module_path="/static/index.js", tab_name="Gradients", remove_dom=False
        )


def _layers(snapshot: Snapshot, request: Any) -> Any:
    statistic = request.args.get("statistic", "norm")
    columns = _number(request, "columns", 300, MAX_COLUMNS)
    return layers.layers(snapshot, _argument(request, "run"), statistic, columns)


def _finding(snapshot: Snapshot, request: Any) -> Any:
    point = _number(request, "point", 1, MAX_POINT)
    return landscape.finding(snapshot, _argument(request, "run"), _argument(request, "name"), point)


def _trajectories(snapshot: Snapshot, request: Any) -> Any:
    others = request.args.getlist("with")
    if len(others) > MAX_RUNS:
        raise BadRequestError(f"'with' must name at most {MAX_RUNS} runs, not {len(others):,}")
    try:
        return paths(snapshot, _argument(request, "run"), others, request.args.get("layer", ""))
    except ValueError as error:
        raise BadRequestError(" ".join(str(error).split())[:300]) from error


def _of_run(view: Callable[[Snapshot, str], Any]) -> Callable[[Snapshot, Any], Any]:
    return lambda snapshot, request: view(snapshot, _argument(request, "run"))


def _of_parameter(view: Callable[[Snapshot, str, str], Any]) -> Callable[[Snapshot, Any], Any]:
    return lambda snapshot, request: view(
        snapshot, _argument(request, "run"), _argument(request, "parameter")
    )


ROUTES: dict[str, Callable[[Snapshot, Any], Any]] = {
    "runs": lambda snapshot, _: run.runs(snapshot),
    "tables": lambda *_: run.tables(),
    "status": _of_run(run.status),
    "scalars": lambda snapshot, request: scalars.scalars(
        snapshot, _argument(request, "run"), request.args.getlist("tag")
    ),
    "layers": _layers,
    "parameter": _of_parameter(parameter.parameter),
    "histogram": _of_parameter(parameter.histogram),
    "curvature": _of_run(curvature.curvature),
    "findings": _of_run(landscape.findings),
    "finding": _finding,
    "trajectories": _trajectories,
    "alerts": _of_run(alerts.alerts),
    "notes": _of_run(alerts.notes),
    "plotly": lambda *_: {"version": assets.plotly_version()},
}
"""What answers each address, given what TensorBoard has stored and the request."""


@wrappers.Request.application
def _plotly_script_app(request: Any) -> Any:
    script = assets.plotly_gzipped()
    if script is None:
        return http_util.Respond(
            request, "The Python package plotly is not installed.", "text/plain", code=404
        )
    # The page asks for it with the version in the query, so it may be kept.
    expires = PLOTLY_CACHE_SECONDS if request.args.get("version") else 0
    return http_util.Respond(
        request, script, "text/javascript", content_encoding="gzip", expires=expires
    )


def _file_app(name: str, content_type: str) -> Any:
    @wrappers.Request.application
    def app(request: Any) -> Any:
        return http_util.Respond(request, assets.read_static(name), content_type)

    return app


def _json_app(source: LogSource, view: Callable[[Snapshot, Any], Any]) -> Any:
    """The WSGI application of a route: its data as JSON, what goes wrong as one sentence."""

    @wrappers.Request.application
    def app(request: Any) -> Any:
        if request.method not in ("GET", "HEAD"):
            return _respond(request, {"error": "this address only answers GET"}, 405)
        try:
            environ = request.environ
            snapshot = source.snapshot(
                plugin_util.context(environ), plugin_util.experiment_id(environ)
            )
            return _respond(request, view(snapshot, request), 200)
        except BadRequestError as error:
            return _respond(request, {"error": str(error)}, 400)
        except UnknownNameError as error:
            return _respond(request, {"error": str(error.args[0])}, 404)
        except PublicError as error:
            return _respond(request, {"error": str(error)}, error.http_code)
        except Exception as error:  # noqa: BLE001 - the tab shows it, TensorBoard's page lives on
            _log.exception("tbgrad: %s failed", request.path)
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            return _respond(request, {"error": f"reading the log failed ({reason})"}, 500)

    return app


def _respond(request: Any, content: Any, code: int) -> Any:
    return http_util.Respond(request, answer.as_json(content), "application/json", code=code)


def _argument(request: Any, name: str) -> str:
    value = request.args.get(name)
    if not value:
        raise BadRequestError(f"the argument {name!r} is missing")
    return str(value)


def _number(request: Any, name: str, default: int, most: int) -> int:
    value = request.args.get(name)
    if value is None:
        return default
    if not value.isascii() or not value.isdigit() or not 1 <= int(value[:9]) <= most:
        raise BadRequestError(
            f"{name!r} must be a whole number from 1 to {most}, not {value[:40]!r}"
        )
    return int(value)
