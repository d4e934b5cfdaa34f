"""The ward's page to refer, and what is printed of a referral."""

from adapters.web.refer import asking, printing

route_handlers = [*asking.route_handlers, *printing.route_handlers]
