"""The ward's list of its referrals, and one referral for every side: read, answered, moved."""

from adapters.web.referral import doing, listing, page

route_handlers = [*listing.route_handlers, *page.route_handlers, *doing.route_handlers]
