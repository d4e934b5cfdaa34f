"""Hospitals, agencies, stations, partnerships, services with their places, workers with their licences."""
