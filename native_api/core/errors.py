"""What can go wrong as things of the domain. Each surface chooses its own status and words for them."""


class Problem(Exception):
    """An expected failure. Its message is shown to the caller, so it never holds SQL, paths or secrets."""

    @property
    def message(self) -> str:
        return str(self)


class NotFound(Problem):
    """The thing does not exist, or the actor may not see it."""

    def __init__(self, noun: str, key: object) -> None:
        super().__init__(f"No {noun} with id {key!r} was found")
        self.noun, self.key = noun, key


class UnknownAlias(NotFound):
    """A registered model that the actor may see has no such alias."""

    def __init__(self, alias: str) -> None:
        super().__init__("alias", alias)
        self.args = (f"Registered model alias {alias} not found.",)


class Invalid(Problem):
    """A value that no state of the database would make acceptable."""


class Exists(Problem):
    """A name that must be unique is taken."""


class Conflict(Problem):
    """The state of the thing does not allow the change."""


class Unauthenticated(Problem):
    """The caller is not known."""


class Forbidden(Problem):
    """The caller may see the thing, but not do this to it."""


class TooLarge(Problem):
    """The request is larger than this server takes."""


class Busy(Problem):
    """The queue of writes is full: nothing was done, try again after `retry_after` seconds."""

    def __init__(self, retry_after: int = 1) -> None:
        super().__init__("The server is busy; nothing was written. Try again shortly.")
        self.retry_after = retry_after


class Unsupported(Problem):
    """What was asked for is not offered by this server."""


class Unavailable(Problem):
    """The database, or what `who` names, cannot be reached just now: nothing was done, try again."""

    def __init__(self, who: str = "The database is") -> None:
        super().__init__(f"{who} not available just now. Try again shortly.")


class TooManyAttempts(Problem):
    """Too many wrong credentials came from here: no more are looked at for `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many failed attempts to log in; try again in {retry_after} seconds")
        self.retry_after = retry_after


class NoSuchEndpoint(Problem):
    """The surface has no such path, or not with this method."""

    def __init__(self, method: str, path: str) -> None:
        super().__init__(f"No endpoint {method} {path}")


class WrongMethod(Problem):
    """The surface has such a path, but only with other methods."""

    def __init__(self, method: str, path: str, allowed: list[str]) -> None:
        super().__init__(f"No endpoint {method} {path}: it takes {', '.join(allowed)}")
        self.allowed = allowed
