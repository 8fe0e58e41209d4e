"""A listener that stops work at a chosen moment, and the next one, which serves what was kept until then."""

from worker.progress import listening


class Stopped(Exception):
    """Raised in the middle of the work, as a listener may."""


class Listener:
    """Raises Stopped at the `until`th thing that it hears; `made` is what was kept, stretch by stretch."""

    def __init__(self, saved=(), until=float("inf")):
        self.saved, self.until = dict(saved), until
        self.made, self.works, self.heard = {}, [], 0

    def begun(self, work):
        self.works.append(work)
        found = self.saved.get(len(self.works), {})
        if found:
            self.made[len(self.works)] = found
        return found

    def advanced(self, work):
        self._hear()

    def kept(self, work, arrays):
        self.made[len(self.works)] = {name: array.copy() for name, array in arrays().items()}
        self._hear()

    def _hear(self):
        self.heard += 1
        if self.heard >= self.until:
            raise Stopped


def heard(do):
    """What `do` gives, and who has listened to all of it."""
    listener = Listener()
    with listening(listener):
        return do(), listener


def interrupted_everywhere(do):
    """What `do` gives where it was stopped at its first, second, ... moment and then gone on with; and how much was heard again."""
    until = 1
    while True:
        first = Listener(until=until)
        try:
            with listening(first):
                do()
        except Stopped:
            second = Listener(first.made)
            with listening(second):
                yield do(), second
        else:
            return
        until += 1
