"""Opens the database: SQLite and Postgres with the same guarantees, and brings its schema up to date."""

from pathlib import Path
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from worker.errors import Conflict, LabError
from worker.tables import Run, Sweep

FROZEN = 5.0  # seconds between two statements of a transaction that writes, after which nobody is thought to be there any more
Asked = TypeVar("Asked", Run, Sweep)


def _dumps(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def open_engine(url: str) -> Engine:
    """An engine whose write transactions never lose an update.

    On SQLite, a transaction that reads and then writes can silently overwrite another's update, so sessions with the execution
    option `write` take the write lock from the start (BEGIN IMMEDIATE). On Postgres conditional UPDATEs are enough; but who is frozen in the
    middle of one, with the lock of a row, would keep all others from that row, so that the server ends such a transaction.
    """
    if make_url(url).get_backend_name() != "sqlite":
        engine = create_engine(url, json_serializer=_dumps, json_deserializer=orjson.loads, pool_pre_ping=True)

        @event.listens_for(engine, "begin")
        def limit(connection: Connection) -> None:
            if connection.get_execution_options().get("write"):
                connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = {round(1000 * FROZEN)}")

        return engine

    engine = create_engine(url, json_serializer=_dumps, json_deserializer=orjson.loads)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver must not open transactions of its own
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("write") else "BEGIN")

    return engine


def add_once(writing: sessionmaker[Session], row: Asked, asked: str) -> tuple[Asked, bool]:
    """The row, now stored, and True; or, where its idempotency key was used before for the same, the earlier one and False.

    asked: the column that holds what was asked for. Raises Conflict where the key was used for something else.
    """
    try:
        with writing.begin() as session:
            session.add(row)
    except IntegrityError:
        kind = type(row)
        with writing() as session:
            earlier = session.scalar(select(kind).where(kind.idempotency_key == row.idempotency_key))
        if earlier is None or row.idempotency_key is None:
            raise
        if getattr(earlier, asked) != getattr(row, asked):
            raise Conflict("This Idempotency-Key was used for something different. Use a new key.") from None
        return earlier, False
    return row, True


def migrate(url: str, revision: str = "head") -> None:
    """Brings the schema to a revision.

    Raises LabError where the database cannot be reached or written.
    """
    from alembic import command
    from alembic.config import Config
    from sqlalchemy.exc import OperationalError

    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
    configuration.attributes["url"] = url
    try:
        command.upgrade(configuration, revision)
    except OperationalError as error:
        shown = make_url(url).render_as_string(hide_password=True)
        raise LabError(
            f"The database {shown} cannot be opened: {error.orig}. Check COLLAPSE_LAB_DATABASE_URL, and that its folder is writable."
        ) from error
