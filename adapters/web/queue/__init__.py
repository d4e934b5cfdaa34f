"""`/queue`: where a social worker works: what is offered, what is theirs, what is late, with a key for every act."""

from adapters.web.queue import deeds, looking, many

route_handlers = [*looking.route_handlers, *deeds.route_handlers, *many.route_handlers]
