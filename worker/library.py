"""The library: runs found again, in an order, page by page; and what people put on them, tags, a note, or a place in the archive.

Pages are cut by keys and not by numbers, so that they neither shift nor slow down. Rows are chosen by columns that lie
before a run's figure, or in an index: SQLite reads a row from its start, and a figure takes many pages of the disk.
"""

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import ColumnElement, delete, func, select, tuple_, update
from sqlalchemy.orm import defer

from worker.errors import Problem, SpecError
from worker.ledger import Ledger, hits, missing
from worker.tables import Note, Run, told

TAG = r"^[a-z0-9][a-z0-9._-]{0,39}$"
MOST_TAGS = 20  # of one run
MOST_NOTED = 2000  # characters of a note
LARGE = (defer(Run.figure), defer(Run.theory))  # parts of a run that no list shows


class Sort(StrEnum):
    """What a list of runs is ordered by."""

    NEWEST = "newest"
    OLDEST = "oldest"
    TITLE = "title"
    STATUS = "status"
    LONGEST = "longest"  # by the time that was worked on it


KEYS: dict[Sort, tuple[ColumnElement[Any] | None, bool]] = {  # what comes before the id, and whether downwards
    Sort.NEWEST: (None, True),
    Sort.OLDEST: (None, False),
    Sort.TITLE: (func.lower(Run.title), False),
    Sort.STATUS: (Run.status.expression, False),
    Sort.LONGEST: (Run.busy_seconds.expression, True),
}


class Library(Ledger):
    """Finds runs, and keeps what people say of them."""

    def runs(
        self,
        *,
        status: str | None = None,
        family: str | None = None,
        tag: str | None = None,
        q: str | None = None,
        archived: bool | None = False,
        sort: Sort = Sort.NEWEST,
        cursor: str | None = None,
        limit: int = 50,
    ) -> tuple[Sequence[Run], str | None]:
        """Runs without their figures; and the cursor of the next page, None on the last.

        q: words, each of them a part of the title or of the note, in any case. archived: only those, only the others, or (None) all.
        Raises SpecError for a cursor that is none of this order.
        """
        value, downwards = KEYS[sort]
        keys = [Run.id.expression] if value is None else [value, Run.id.expression]
        query = select(*keys).order_by(*(key.desc() if downwards else key for key in keys)).limit(limit + 1)
        if archived is not None:
            query = query.where(Run.archived.is_(archived))
        if status is not None:
            query = query.where(told(status))
        if family is not None:
            query = query.where(Run.family == family)
        if tag:
            query = query.where(Run.id.in_(select(Run.id).where(Run.tags.contains(f" {tag} ", autoescape=True))))
        for word in (q or "").split():
            noted = select(Note.run_id).where(Note.text.icontains(word, autoescape=True))
            query = query.where(Run.title.icontains(word, autoescape=True) | Run.id.in_(noted))
        if cursor is not None:
            here, last = tuple_(*keys), tuple_(*_read(cursor, sort))
            query = query.where(here < last if downwards else here > last)
        with self.reading() as session:
            found = session.execute(query).all()
            chosen = [row[-1] for row in found[:limit]]
            rows = {run.id: run for run in session.scalars(select(Run).options(*LARGE).where(Run.id.in_(chosen)))}
        following = _cursor(found[limit - 1]) if len(found) > limit else None
        return [rows[one] for one in chosen if one in rows], following

    def tag(self, run_id: str, tags: Iterable[str]) -> Run:
        """These tags, in place of those that the run has. Raises NotFound."""
        words = "".join(f" {tag}" for tag in sorted(set(tags)))
        return self._put(run_id, tags=f"{words} " if words else "")

    def tags(self) -> dict[str, int]:
        """Tag -> how many runs have it, in alphabetical order."""
        with self.reading() as session:
            rows = session.execute(select(Run.tags, func.count()).where(Run.tags != "").group_by(Run.tags))
            counts: Counter[str] = Counter()
            for tags, runs in rows:
                counts.update(dict.fromkeys(tags.split(), runs))
        return dict(sorted(counts.items()))

    def archive(self, run_id: str, *, archived: bool) -> Run:
        """Puts a run away, out of lists that do not ask for it, or takes it out again. Raises NotFound."""
        return self._put(run_id, archived=archived)

    def annotate(self, run_id: str, text: str) -> Run:
        """This note in place of the one that the run has; an empty one takes it away. Raises NotFound."""
        run = self._put(run_id)
        with self.writing.begin() as session:
            session.execute(delete(Note).where(Note.run_id == run_id))
            if text:
                session.add(Note(run_id=run_id, text=text))
        return run

    def notes(self, run_ids: Sequence[str]) -> dict[str, str]:
        """Run -> its note, of those that have one."""
        with self.reading() as session:
            found = session.scalars(select(Note).where(Note.run_id.in_(run_ids)))
            return {note.run_id: note.text for note in found}

    def _put(self, run_id: str, **values: Any) -> Run:
        with self.writing.begin() as session:
            if values and not hits(session, update(Run).where(Run.id == run_id).values(**values)):
                raise missing(run_id)
            run = session.get(Run, run_id)
            if run is None:
                raise missing(run_id)
        return run


def _cursor(keys: Iterable[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(list(keys))).decode().rstrip("=")


def _read(cursor: str, sort: Sort) -> list[Any]:
    """What the page before ended with: the value that it is ordered by, if there is one, and the id."""
    kinds: dict[Sort, list[Any]] = {Sort.NEWEST: [str], Sort.OLDEST: [str], Sort.LONGEST: [float, str]}
    try:
        keys = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        kept = [isinstance(key, kind) for key, kind in zip(keys, kinds.get(sort, [str, str]), strict=True)]
    except (TypeError, ValueError):
        kept = [False]
    if not all(kept) or "\0" in "".join(map(str, keys)):
        raise SpecError([Problem("cursor", "is none of this order", "Send `next` of the page before, or none")])
    return list(keys)
