"""Screening answers that raise a crisis."""
