"""The cases of an agency's workers: the list of them, and the page on which one is worked."""

from adapters.web.cases import deeds, filling, mine, papers

route_handlers = [*mine.route_handlers, *filling.route_handlers, *papers.route_handlers, *deeds.route_handlers]
