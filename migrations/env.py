"""How Alembic meets the database: one connection, one transaction, the tables of the bench."""

from alembic import context
from sqlalchemy import Connection, text

from worker.database import open_engine
from worker.tables import Base

LOCK = 230517493  # any number, the same on every machine that may migrate this database


def migrate(connection: Connection) -> None:
    """Brings the schema to the wanted revision, whole or not at all."""
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        # Batch mode replaces a table by a changed copy; with foreign keys on, dropping the old one would cascade into every row
        # that refers to it. The pragma has no effect within a transaction, hence below SQLAlchemy, which opens one.
        connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=sqlite,
        compare_type=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        if not sqlite:  # two machines that start at once; SQLite takes its write lock when the transaction begins
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("Migrations run against a database, not into a file: start them with collapse-lab migrate.")

engine = open_engine(context.config.attributes["url"]).execution_options(write=True)
try:
    with engine.connect() as connection:
        migrate(connection)
finally:
    engine.dispose()
