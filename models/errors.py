"""The one error tree of Conflictwire. `ingest.errors` and `flows` add branches; callers may catch the root."""


class ConflictwireError(Exception):
    """Base of every error that Conflictwire raises on purpose.

    The message says what was wrong, where, and what to do about it, on one line.
    `exit_code` is the status with which the command line ends when the error reaches it.
    """

    exit_code = 1


class ModelError(ConflictwireError):
    """The weights are missing, damaged, or made for another version of the code."""


class CorpusError(ConflictwireError):
    """A file in the corpus format breaks the codebook."""
