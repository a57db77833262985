"""The command `dropsmith` with its subcommands; errors end in a sentence and an exit code."""

import sys
import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from inspect import signature
from typing import Annotated, Any

import typer

from dropsmith.cli._data_options import takes_data_options
from dropsmith.cli._signals import EndSignal, clear_signals, signals_handled
from dropsmith.cli._standard_streams import Output, report_output_fault, standard_streams
from dropsmith.cli.audit import audit
from dropsmith.cli.compare import compare
from dropsmith.cli.export import export
from dropsmith.cli.methods import methods
from dropsmith.cli.predict import predict
from dropsmith.cli.push import push
from dropsmith.cli.recipes import recipes
from dropsmith.cli.report import report
from dropsmith.cli.search import search
from dropsmith.cli.sites import sites
from dropsmith.cli.train import train
from dropsmith.errors import DropsmithError, printable
from dropsmith.files import system_sentence

COMMANDS: dict[str, Callable[..., None]] = {
    "compare": compare,
    "train": train,
    "search": search,
    "methods": methods,
    "recipes": recipes,
    "sites": sites,
    "audit": audit,
    "predict": predict,
    "export": export,
    "push": push,
    "report": report,
}

_NAME = "dropsmith"

EXIT_FAILURE, EXIT_USAGE, EXIT_INTERRUPT = 1, 2, 130
"""Exit codes: a run failed; the command cannot be carried out; interrupted."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command in `arguments`, or in those of the process, and exit.

    The exit code is 0 after success, 1 if a run or a system call failed, 2 if the command cannot be
    carried out, 130 after an interrupt, 143 or 129 after SIGTERM or SIGHUP, and 141 if the reader
    of standard output has closed it.
    """
    with standard_streams() as output:
        code = _exit_code(arguments)
        fault = output.finish()
        raise SystemExit(code if fault is None else report_output_fault(fault))


def _exit_code(arguments: Sequence[str] | None) -> int:
    # Pillow's warnings about metadata of pictures concern no pixels.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        with signals_handled():
            return app()(args=arguments, prog_name=_NAME, standalone_mode=False) or 0
    except typer.TyperException as error:
        # Without arguments the help has been printed, which is no error.
        if error.format_message():
            print(_sentence(error), file=sys.stderr)
        return error.exit_code
    except SystemExit as end:  # libraries exit so if the reader of standard output has closed it
        return end.code if isinstance(end.code, int) else EXIT_FAILURE
    except OSError as error:
        return _system_error(error)
    except KeyboardInterrupt as interrupt:
        return _interrupted(interrupt)


def _interrupted(interrupt: KeyboardInterrupt) -> int:
    clear_signals()
    lines = getattr(interrupt, "__notes__", ["interrupted: nothing is lost"])
    print("", *lines, "  the same command continues from here", sep="\n", file=sys.stderr)
    return 128 + interrupt.number if isinstance(interrupt, EndSignal) else EXIT_INTERRUPT


def _system_error(error: OSError) -> int:
    """Print the error of a system call, unless it was printing, which is reported at the end."""
    if not (isinstance(sys.stdout, Output) and error is sys.stdout.fault):
        print(f"error: {printable(system_sentence(error))}", file=sys.stderr)
    return EXIT_FAILURE


def _user_code_error(error: Exception) -> str | None:
    """The sentence for an error in the user's own code; None for an error elsewhere."""
    from dropsmith.user_code import user_fault

    place = user_fault(error)
    if place is None or isinstance(error, typer.TyperException | typer.Exit | typer.Abort):
        return None
    return f"your own code failed with {type(error).__name__}: {error}\n  at {place}"


def _sentence(error: typer.TyperException) -> str:
    """A mistake in the arguments, in the form of our errors, with the command for help."""
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    command = _NAME if context is None else context.command_path
    return f"error: {message[:1].lower()}{message[1:]}\n  what can be typed: {command} --help"


def app() -> typer.Typer:
    """The command with all subcommands."""
    commands = typer.Typer(
        help="Dropout and the methods built on it, for any PyTorch model.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Start with: dropsmith compare digits",
    )
    commands.callback()(_version)
    for name, command in COMMANDS.items():
        commands.command(name)(_without_traceback(_with_data_options(command)))
    return commands


def _print_version(requested: bool) -> None:
    if requested:
        from dropsmith._version import __version__

        print(f"dropsmith {__version__}")
        raise typer.Exit


def _version(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None: ...


def _with_data_options(command: Callable[..., None]) -> Callable[..., None]:
    takes_them = "data_options" in signature(command).parameters
    return takes_data_options(command) if takes_them else command


def _without_traceback(command: Callable[..., None]) -> Callable[..., None]:
    """The subcommand, with errors that print their message without a traceback."""

    @wraps(command)
    def run_command(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except DropsmithError as error:
            print(f"error: {printable(str(error))}", file=sys.stderr)
            raise typer.Exit(EXIT_USAGE) from None
        except OSError as error:
            raise typer.Exit(_system_error(error)) from None
        except MemoryError:
            print(
                "error: this machine has too little memory\n"
                "  make the batch, the model or the data smaller",
                file=sys.stderr,
            )
            raise typer.Exit(EXIT_FAILURE) from None
        except KeyboardInterrupt as interrupt:
            raise typer.Exit(_interrupted(interrupt)) from None
        except Exception as error:
            if (sentence := _user_code_error(error)) is None:
                raise
            print(f"error: {printable(sentence)}", file=sys.stderr)
            raise typer.Exit(EXIT_FAILURE) from None

    return run_command
