"""The Grafana dashboard, made from `rows.py`: `python -m bluecode.deploy.dashboard FILE…`.

Needs grafana-foundation-sdk, which the `dev` extra brings; who only imports the dashboard takes the
file in `deploy/grafana`.
"""

import sys
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as shown
from grafana_foundation_sdk.models import dashboard as model

from bluecode.deploy.panels import WIDTH, Kind, Panel, Query
from bluecode.deploy.rows import ROWS

SOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${source}")
Built = timeseries.Panel | stat.Panel | bargauge.Panel


def build() -> model.Dashboard:
    """The whole dashboard, panels laid out in lines from the left."""
    board = (
        dashboard.Dashboard("BlueCode")
        .uid("bluecode")
        .description("What BlueCode lets through, what it stops, and what that costs.")
        .tags(["bluecode"])
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("source").label("Source").type("prometheus"))
        .with_variable(_job())
    )
    ids, top = count(1), 0
    for row in ROWS:
        place = model.GridPos(h=1, w=WIDTH, x=0, y=top)
        board = board.with_row(dashboard.Row(row.title).id(next(ids)).grid_pos(place))
        top += 1
        left, tallest = 0, 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                top, left, tallest = top + tallest, 0, 0
            place = model.GridPos(h=panel.height, w=panel.width, x=left, y=top)
            board = board.with_panel(_built(panel).id(next(ids)).grid_pos(place))
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest
    return board.build()


def render() -> str:
    """The dashboard as the JSON that Grafana imports."""
    return str(JSONEncoder(sort_keys=True, indent=2).encode(build())) + "\n"


def _job() -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable("job")
        .label("Deployment")
        .datasource(SOURCE)
        .query("label_values(bluecode_in_flight, job)")
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(model.VariableOption(text="All", value="$__all"))
    )


def _built(panel: Panel) -> Built:
    built = _MAKERS[panel.kind](panel)
    built.title(panel.title).description(panel.about).datasource(SOURCE).unit(panel.unit)
    for at, query in enumerate(panel.queries):
        built.with_target(_target(query, chr(ord("A") + at), instant=panel.kind == "bars"))
    built.thresholds(_thresholds(panel))
    return built


def _target(query: Query, name: str, *, instant: bool) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).ref_id(name).legend_format(query.legend)
    return target.instant() if instant else target.range()


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    steps = [model.Threshold(value=None, color="green")]
    for value, color in ((panel.warn, "yellow"), (panel.alarm, "red")):
        if value is not None:
            steps.append(model.Threshold(value=value, color=color))
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _series(panel: Panel) -> timeseries.Panel:
    built = timeseries.Panel()
    if panel.log:
        scale = common.ScaleDistributionConfig().type(shown.ScaleDistribution.LOG).log(10)
        built.scale_distribution(scale)
    else:
        built.min(0)
    return (
        built.line_width(1)
        .show_points(shown.VisibilityMode.NEVER)
        .tooltip(common.VizTooltipOptions().mode(shown.TooltipDisplayMode.MULTI))
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(shown.LegendDisplayMode.LIST)
            .placement(shown.LegendPlacement.BOTTOM)
        )
    )


def _stacked(panel: Panel) -> timeseries.Panel:
    stacking = common.StackingConfig().mode(shown.StackingMode.NORMAL).group("A")
    return _series(panel).fill_opacity(30).stacking(stacking)


def _stat(panel: Panel) -> stat.Panel:
    return (
        stat.Panel()
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(shown.BigValueColorMode.VALUE)
        .graph_mode(shown.BigValueGraphMode.AREA)
    )


def _bars(panel: Panel) -> bargauge.Panel:
    return (
        bargauge.Panel()
        .orientation(shown.VizOrientation.HORIZONTAL)
        .display_mode(shown.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .decimals(0)
        .min(0)
    )


_MAKERS: Final[Mapping[Kind, Callable[[Panel], Built]]] = {
    "series": _series,
    "stacked": _stacked,
    "stat": _stat,
    "bars": _bars,
}


def main(files: list[str]) -> None:
    for file in files:
        Path(file).write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
