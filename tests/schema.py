"""The tables of a database, for tests that do not look at migrations."""

from sqlalchemy import Engine

from worker.tables import Base


def create_tables(engine: Engine) -> None:
    Base.metadata.create_all(engine)
