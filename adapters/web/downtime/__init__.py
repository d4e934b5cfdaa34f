"""The room for when the service is away: open work on paper, and what was done meanwhile."""

from adapters.web.done import says
from adapters.web.downtime import entering, lists
from adapters.web.speech import noted

says({"enter-late": noted("已补录，时间照实记下。")})
route_handlers = [*lists.route_handlers, *entering.route_handlers]
