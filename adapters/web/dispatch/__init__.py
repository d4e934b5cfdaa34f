"""Where a coordinator places what nobody has, a supervisor looks after a team, and crises stand in red until a person acknowledges."""

from adapters.web.dispatch import board, completeness, crises, escalations, hands, roster, signing, work

route_handlers = [
    *crises.route_handlers,
    *board.route_handlers,
    *work.route_handlers,
    *signing.route_handlers,
    *escalations.route_handlers,
    *completeness.route_handlers,
    *hands.route_handlers,
    *roster.route_handlers,
]
