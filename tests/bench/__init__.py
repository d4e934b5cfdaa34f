"""`make bench`: what the service can do, each figure beside a control that was measured in the same run."""
