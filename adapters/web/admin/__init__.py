"""The administrator's rooms, the audit, and what an agency says of its own capacity."""

from adapters.web.admin import audit, capacity, deliveries, inbox, lists, partnerships
from adapters.web.done import says
from adapters.web.speech import noted

says(
    {
        "resend": noted("已排队重发，编号不变；谁要求重发已记录。"),
        "off": noted("已停用，不再发送。"),
        "on": noted("已重新申请，等待对方答复握手。"),
        "replayed": noted("已应用。"),
        "mended": noted("改正后的消息已应用，原来的消息保留。"),
        "dropped": noted("已放弃这条消息，原因已记录。"),
        "confirmed": noted("已确认，名额按这个数派单。"),
    }
)

route_handlers = [
    *deliveries.route_handlers,
    *inbox.route_handlers,
    *capacity.route_handlers,
    *audit.route_handlers,
    *lists.route_handlers,
    *partnerships.route_handlers,
]
