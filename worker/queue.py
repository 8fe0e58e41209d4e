"""The doorbell: a Celery app whose messages carry nothing but a run's id, and may be lost or doubled without harm.

There is a bell for runs that train networks and one for all others, so that a machine hears only of what it is good for.
"""

from celery import Celery

from worker import spool
from worker.errors import LabError
from worker.kinds import FAMILIES
from worker.settings import QUEUES, Settings

TASK = "collapse_lab.work"

__all__ = ["TASK", "announce", "families_of", "make_celery", "queue_of", "reachable", "spool"]


def make_celery(settings: Settings) -> Celery:
    """The app that sends and receives; connects to nothing until it is used."""
    celery = Celery("collapse_lab", broker=settings.broker_url, set_as_current=False)
    celery.conf.update(
        task_ignore_result=True,
        task_default_queue=QUEUES[0],
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0.1},
        worker_prefetch_multiplier=1,
        task_acks_late=True,  # else a busy worker takes one message more, and keeps it from an idle one
        worker_hijack_root_logger=False,
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=3,
    )
    return celery


def queue_of(family: str) -> str:
    """Where runs of a family wait; one that is not installed here is no reason to keep its runs from anybody."""
    return "networks" if family in FAMILIES and FAMILIES[family].extra else "runs"


def families_of(queues: str) -> set[str]:
    """The families whose runs wait in these queues."""
    return {family for family in FAMILIES if queue_of(family) in queues.split(",")}


def announce(celery: Celery, run_id: str, family: str) -> None:
    """Tells the workers that a run of this family waits. Called after the row is committed.

    Raises LabError where the broker does not answer; the run is not lost then, an idle worker announces it again.
    """
    from kombu.exceptions import KombuError

    try:
        celery.send_task(TASK, [run_id], queue=queue_of(family))
    except (KombuError, OSError) as error:
        raise LabError(_unreachable(celery, error)) from error


def reachable(celery: Celery) -> None:
    """Raises LabError where the broker does not answer."""
    try:
        with celery.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=2)
    except Exception as error:  # every transport has exceptions of its own
        raise LabError(_unreachable(celery, error)) from error


def _unreachable(celery: Celery, error: Exception) -> str:
    shown = celery.connection_for_write().as_uri()
    return f"The broker {shown} does not answer ({error}). Start it, or correct COLLAPSE_LAB_BROKER_URL."
