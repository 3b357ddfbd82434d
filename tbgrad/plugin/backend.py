"""The TensorBoard plugin: a route parses its request, an `*_impl` of `Views` answers with data."""

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

from tbgrad.log.tags import ALERT_PLUGIN_NAME, HISTOGRAM_PLUGIN_NAME, PLUGIN_NAME
from tbgrad.plugin import assets, payload
from tbgrad.plugin.source import LogSource, Request
from tbgrad.plugin.views import OWN_SCALARS, UnknownNameError, Views

_log = logging.getLogger(__name__)

MAX_COLUMNS = 2000
PLOTLY_CACHE_SECONDS = 30 * 86_400


class BadRequestError(ValueError):
    """An argument is missing or is not what it should be."""


class GradientsPlugin(base_plugin.TBPlugin):  # type: ignore[misc]
    """Serves the tab's files and its data; see `http_api.md` for the routes."""

    plugin_name = PLUGIN_NAME

    def __init__(self, context: Any) -> None:
        self._views = Views(LogSource(context.data_provider, context.sampling_hints))

    def get_plugin_apps(self) -> dict[str, Any]:
        """The WSGI application of each route."""
        apps: dict[str, Any] = {
            "/runs": _json_app(self._runs_route),
            "/status": _json_app(self._status_route),
            "/scalars": _json_app(self._scalars_route),
            "/layers": _json_app(self._layers_route),
            "/parameter": _json_app(self._parameter_route),
            "/histogram": _json_app(self._histogram_route),
            "/curvature": _json_app(self._curvature_route),
            "/alerts": _json_app(self._alerts_route),
            "/notes": _json_app(self._notes_route),
            "/plotly": _json_app(self._plotly_route),
            "/plotly.min.js": self._plotly_script_route,
        }
        # One exact route a file: no path of a request is ever joined to a directory.
        for name, content_type in assets.static_files().items():
            apps[f"/static/{name}"] = _file_app(name, content_type)
        return apps

    def is_active(self) -> bool:
        """Whether any run has data of ours; TensorBoard greys the tab out where none has."""
        try:
            return self._views.is_active(Request(RequestContext(), ""))
        except Exception:  # noqa: BLE001 - a provider that is not up yet must not break the page
            return False

    def data_plugin_names(self) -> tuple[str, ...]:
        """Data of these plugins makes the tab active."""
        return (PLUGIN_NAME, HISTOGRAM_PLUGIN_NAME, ALERT_PLUGIN_NAME)

    def frontend_metadata(self) -> Any:
        """Where the tab's module is, and what the tab is called."""
        return base_plugin.FrontendMetadata(
            es_module_path="/static/index.js", tab_name="Gradients", remove_dom=False
        )

    def _runs_route(self, request: Any) -> Any:
        return self._views.runs_impl(_who(request))

    def _status_route(self, request: Any) -> Any:
        return self._views.status_impl(_who(request), _argument(request, "run"))

    def _scalars_route(self, request: Any) -> Any:
        tags = request.args.getlist("tag") or OWN_SCALARS
        return self._views.scalars_impl(_who(request), _argument(request, "run"), tags)

    def _layers_route(self, request: Any) -> Any:
        return self._views.layers_impl(
            _who(request),
            _argument(request, "run"),
            request.args.get("statistic", "norm"),
            _number(request, "columns", 300, MAX_COLUMNS),
        )

    def _parameter_route(self, request: Any) -> Any:
        return self._views.parameter_impl(
            _who(request), _argument(request, "run"), _argument(request, "parameter")
        )

    def _histogram_route(self, request: Any) -> Any:
        return self._views.histogram_impl(
            _who(request), _argument(request, "run"), _argument(request, "parameter")
        )

    def _curvature_route(self, request: Any) -> Any:
        return self._views.curvature_impl(_who(request), _argument(request, "run"))

    def _alerts_route(self, request: Any) -> Any:
        return self._views.alerts_impl(_who(request), _argument(request, "run"))

    def _notes_route(self, request: Any) -> Any:
        return self._views.notes_impl(_who(request), _argument(request, "run"))

    def _plotly_route(self, request: Any) -> Any:  # noqa: ARG002 - same shape as the others
        return {"version": assets.plotly_version()}

    @wrappers.Request.application  # type: ignore[arg-type]
    def _plotly_script_route(self, request: Any) -> Any:
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


def _json_app(route: Callable[[Any], Any]) -> Any:
    """The WSGI application of a route: its data as JSON, what goes wrong as one sentence."""

    @wrappers.Request.application
    def app(request: Any) -> Any:
        if request.method not in ("GET", "HEAD"):
            return _respond(request, {"error": "this address only answers GET"}, 405)
        try:
            return _respond(request, route(request), 200)
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
    return http_util.Respond(request, payload.encode(content), "application/json", code=code)


def _who(request: Any) -> Request:
    return Request(plugin_util.context(request.environ), plugin_util.experiment_id(request.environ))


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
