"""The set-up: embedded database, migrations, settings, commands."""
