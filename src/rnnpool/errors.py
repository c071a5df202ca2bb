"""The one exception a user of the package is meant to read.

Raised for input that the user can mend (a file, an argument, a shape). Its message names the thing, what it was and
what it may be; the command line prints it without a traceback and exits with status 2.
"""


class InputError(ValueError):
    """Something the caller gave cannot be used; the message says what and why."""
