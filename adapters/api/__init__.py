"""Plain JSON for what FHIR has no word for, and which is about no single person: one module a theme, with the token of /fhir."""

from adapters.api import coverage, follow_up, mandatory_reports, quality, readmissions, time

route_handlers = [
    *coverage.route_handlers,
    *follow_up.route_handlers,
    *mandatory_reports.route_handlers,
    *time.route_handlers,
    *quality.route_handlers,
    *readmissions.route_handlers,
]
