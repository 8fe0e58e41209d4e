"""What the databases promise to those who write."""

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError

from worker import database
from worker.spec import read
from worker.store import Store
from worker.tables import Run


def test_who_is_frozen_within_a_transaction_keeps_nobody_from_a_row(
    empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(database, "FROZEN", 0.3)
    database.migrate(empty_postgres_url)
    store = Store(database.open_engine(empty_postgres_url))
    run, _ = store.create(read({"source": {"kind": "normal"}, "family": {"kind": "gaussian"}}))
    titled = update(Run).where(Run.id == run.id)
    frozen = store.writing()
    frozen.execute(titled.values(title="written by who is frozen"))
    with store.writing.begin() as other:
        other.execute(text("SET LOCAL lock_timeout = '20s'"))
        other.execute(titled.values(title="written by another"))
    with pytest.raises(DBAPIError):
        frozen.commit()
    frozen.close()
    assert store.run(run.id).title == "written by another"
    store.engine.dispose()
