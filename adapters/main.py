"""The `yuanshe` command: finds a command's module when it is asked for, so `yuanshe db` never loads a web server."""

import importlib
import importlib.util
import logging
import signal
import sys
from types import FrameType
from typing import NoReturn

import click

from service.errors import YuansheError

# The first word a person types, the module that answers, and the line that `--help` shows.
COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("serve", "Answer HTTP: the FHIR surface and the pages."),
    "work": ("work", "Run jobs and sweeps: clocks, deliveries, the event log's order."),
    "listen": ("listen", "Take HL7 v2 ADT over MLLP."),
    "hl7": ("hl7", "Messages of HL7 v2 that wait for a person: list, show, mend, replay, drop."),
    "demo": ("demo", "Set up the demo network, run one referral round, and keep serving."),
    "migrate": ("migrate", "Bring the database to the schema of this version."),
    "db": ("db", "Start, stop, back up or restore the database."),
    "import": ("import_", "Load the directory from plain files."),
    "export": ("export", "Write the data out as plain files."),
    "client": ("client", "Add, list or revoke clients of the API."),
    "account": ("account", "Add, list or put away people's accounts, and set their passwords."),
    "replay": ("replay", "Send a file to a running service; each refusal is explained beside an example."),
    "delivery": ("delivery", "List notices that were not delivered, and send them again."),
    "roster": ("roster", "Say where the crisis rosters are short of people, and how pages fared."),
    "hand-over": ("hand_over", "Give a person's work to a colleague, and back."),
    "audit": ("audit", "Verify the chain of the audit log."),
}


class Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [
            name for name, (module, _) in COMMANDS.items() if importlib.util.find_spec(f"adapters.commands.{module}")
        ]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        return importlib.import_module(f"adapters.commands.{COMMANDS[cmd_name][0]}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="yuanshe")
def yuanshe() -> None:
    """院社 Yuanshe: referrals between hospitals and social work agencies, from the bed to the closed follow-up."""


def _terminated(number: int, frame: FrameType | None) -> None:
    # An exception, so that locks, children and the embedded database are given up on the way out.
    raise SystemExit(128 + number)


def _untraced(record: logging.LogRecord) -> bool:
    """While a database is away its pool says so every few seconds: in a line, without the way there."""
    record.exc_info = None
    return True


def main() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncpg.pool").addFilter(_untraced)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # It logs URLs, which may hold secrets of subscribers.
    signal.signal(signal.SIGTERM, _terminated)
    try:
        yuanshe()
    except YuansheError as error:
        _stop(str(error))
    except OSError as error:
        # A folder that cannot be made, a full disk: the operator's to mend, and the path says where.
        _stop(f"{error.strerror or type(error).__name__}: {error.filename}" if error.filename else str(error))
    except Exception as error:
        # Told apart by name, so that `yuanshe db` need not load the database driver.
        if type(error).__name__ != "UndefinedTableError":
            raise
        _stop("The database is not at the schema of this version: run `yuanshe migrate`.")


def _stop(why: str) -> NoReturn:
    click.echo(f"yuanshe: {why}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
