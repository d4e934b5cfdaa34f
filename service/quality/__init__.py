"""What is looked at across cases: whether the work hangs together."""
