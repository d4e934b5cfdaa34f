"""Where a coordinator places what nobody has, a supervisor looks after a team, and crises stand in red until a person acknowledges."""

from adapters.web.dispatch import board, crises

route_handlers = [*crises.route_handlers, *board.route_handlers]
