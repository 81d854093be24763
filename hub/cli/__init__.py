"""The command ``hub``: one small file per command that parses, makes one call and prints.

Laws: data goes to stdout, prose and progress to stderr; what a command needs is imported when it runs, so that
``hub --help`` stays light.
"""
