"""The verbs of the command line, one module each: ``add_arguments(parser)`` and ``run(args) -> exit status``.

Modules keep their heavy imports inside ``run``, so that ``rnnpool VERB --help`` answers at once.
"""
