"""The follow-up room: whom to reach today, the page of a call, and what came of it."""

from adapters.web.done import says
from adapters.web.followup import calls, lists
from adapters.web.speech import noted

says(
    {
        "attempt": noted("已记下这次联系。"),
        "plan-attempt": noted("下一次联系已改好。"),
        "outcome": noted("已记下随访结果。"),
        "follow-up-assign": noted("已改由这位社工跟进。"),
        "follow-up-raise": noted("危机已上报，值班人员会收到呼叫。随访继续。"),
        "decide-contact": noted("已准许这一步联系。"),
        "new-need": noted("新需求已成为新转介，并已派单。"),
        "new-need-found": noted("已记下随访结果，新需求已交给医院确认。"),
        "refer-new-need": noted("新需求已转介，并已派单。"),
        "not-refer": noted("已记下不转介的原因。"),
    }
)
route_handlers = [*lists.route_handlers, *calls.route_handlers]
