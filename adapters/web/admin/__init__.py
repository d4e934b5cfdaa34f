"""The administrator's rooms, the audit, and what an agency says of its own capacity."""

from adapters.web.admin import (
    accounts,
    audit,
    capacity,
    clients,
    deliveries,
    inbox,
    lists,
    overview,
    partnerships,
    routing,
)
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
        "signed-out": noted("已结束这个账号的所有登录。"),
        "put-away": noted("账号已停用。"),
        "client-added": noted("已登记。请把 client_id 告诉对方。"),
        "keys-changed": noted("密钥已更换。"),
        "client-revoked": noted("已吊销，一分钟内全部失效。"),
        "applied": noted("规则已改，按所选日期生效；原来的内容保留。"),
        "confirmed": noted("已确认，名额按这个数派单。"),
    }
)

route_handlers = [
    *overview.route_handlers,
    *deliveries.route_handlers,
    *inbox.route_handlers,
    *capacity.route_handlers,
    *audit.route_handlers,
    *lists.route_handlers,
    *partnerships.route_handlers,
    *accounts.route_handlers,
    *clients.route_handlers,
    *routing.route_handlers,
]
