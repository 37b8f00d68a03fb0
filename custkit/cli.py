"""The ``custkit`` command: run reports, draw the course's company, check the environment."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import __version__, reports
from .errors import CustkitError, ParameterError

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130
WIDE = 1000  # columns where there is no terminal: nothing is broken for a file or a pipe

ABOUT = """\
custkit turns a file of orders into a page a manager can act on:
who will buy again, what they are worth, and whom to contact."""

HELP = f"""\
usage: custkit COMMAND [options]

{ABOUT}

commands:
  report     run a report; without a name, list the reports and their parameters
  simulate   draw the course's company, Juniper Lane, at any size and from any seed
  doctor     check that this computer has everything custkit needs

examples:
  custkit doctor
  custkit report rfm-forecast --demo
  custkit report rfm-forecast --orders my_orders.csv --columns customer_id=Cust,amount=Sales --currency EUR

options:
  -h, --help    show this text; custkit report NAME --help explains one report
  --version     show the version

Bad input is refused with one line per fault (exit code 2) and nothing is written.
"""

RUN_HELP = """\
running:
  --demo               use the example data: CDNOW (69,659 real order rows, in USD); for lifecycle-health the
                       course's company, Juniper Lane, with its visits and spend
  --out DIR            where the page and its tables go (default: a folder named after the report)
  --params TABLE.csv   run once per row: columns are parameters, a column "name" gives each run's folder;
                       order files are looked for beside the table; runs done before are not repeated
  --jobs N             with --params: how many run at the same time (default 1)
"""

DOCTOR_HELP = """\
usage: custkit doctor

Check Python, the packages, the notebook kernel, fonts, data and write access. Every line that fails says
what to do; the exit code is 1 when something needed is missing.
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are ours: one line, no usage block."""

    def error(self, message: str) -> NoReturn:
        raise ParameterError(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        0 done; 1 something failed; 2 the input or the options cannot be used; 130 interrupted.
    """
    for stream in (sys.stdout, sys.stderr):  # a terminal without Unicode must not stop a run
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        return _dispatch(list(sys.argv[1:] if arguments is None else arguments))
    except CustkitError as error:
        return _say(error)
    except ModuleNotFoundError as error:
        print(f"error: the package {error.name!r} is not installed; run custkit doctor", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return INTERRUPTED


def _dispatch(arguments: list[str]) -> int:
    command, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if command in ("-h", "--help", "help"):
        _print_fitted(HELP)
        return 0
    if command == "--version":
        print(f"custkit {__version__}")
        return 0
    if command == "report":
        return _report(rest)
    if command == "simulate":
        return _simulate(rest)
    if command == "doctor":
        return _doctor(rest)
    raise ParameterError(
        f"unknown command {command!r}; there is: report, simulate, doctor (custkit --help explains)"
    )


def _doctor(arguments: list[str]) -> int:
    from . import doctor

    if arguments and arguments[0] in ("-h", "--help"):
        _print_fitted(DOCTOR_HELP)
        return 0
    if arguments:
        raise ParameterError(f"doctor takes no arguments, got {' '.join(arguments)}")
    return doctor.main()


def _simulate(arguments: list[str]) -> int:
    from .simulate import command

    if {"-h", "--help"} & set(arguments):
        _print_fitted(command.HELP)
        return 0
    parser = _Parser(prog="custkit simulate", add_help=False, allow_abbrev=False)
    return command.run(arguments, parser)


def _report(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        known = "\n".join(map(_describe, reports.catalogue().values()))
        _print_fitted(f"usage: custkit report NAME [options]\n\n{known}\n{RUN_HELP}")
        return 0
    report = reports.find(arguments[0])
    if {"-h", "--help"} & set(arguments[1:]):
        _print_fitted(f"usage: custkit report {report.name} [options]\n\n{_describe(report)}\n{RUN_HELP}")
        return 0
    options, given = _parse(report, arguments[1:])
    return _run_many(report, options, given) if options.params else _run_one(report, options, given)


def _print_fitted(text: str) -> None:
    """Print a help text; too long a line goes on under its second column, an example stays one line."""
    width, lines = shutil.get_terminal_size((WIDE, 0)).columns, []
    for line in text.splitlines():
        if len(line) > width and not line.startswith("  custkit "):
            column = re.match(r"\s*(\S+( \S+)*\s{2,})?", line).end()
            line = textwrap.fill(line, width, subsequent_indent=" " * min(column, width // 2))
        lines.append(line)
    print("\n".join(lines))


def _describe(report: reports.Report) -> str:
    """Name, summary and parameters of a report, one line each."""
    lines = [f"{report.name}: {report.summary}"]
    for parameter in report.parameters.values():
        if parameter.name not in reports.MANAGED:
            default = "" if parameter.default == "" else f" [{parameter.default}]"
            lines.append(f"  {parameter.option:<24} {parameter.help}{default}")
    return "\n".join(lines) + "\n"


def _parse(report: reports.Report, arguments: list[str]) -> tuple[argparse.Namespace, dict[str, Any]]:
    """The running options, and the report's parameters that were given; all faults at once."""
    parser = _Parser(prog=f"custkit report {report.name}", add_help=False, allow_abbrev=False)
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--out", default=report.name)
    parser.add_argument("--params")
    parser.add_argument("--jobs", default="1")
    own = {"demo", "out", "params", "jobs"}
    for parameter in report.parameters.values():
        if parameter.name not in reports.MANAGED:
            parser.add_argument(parameter.option)
    options, unknown = parser.parse_known_args(arguments)
    given = {k: v for k, v in vars(options).items() if k not in own and v is not None}
    faults = []
    if options.demo and "orders" in given:
        faults.append("give --orders FILE or --demo, not both")
    elif options.demo:
        given["orders"] = "demo"
    elif "orders" in report.parameters and not given.get("orders") and not options.params:
        faults.append("say which orders to read: --orders FILE, or --demo for the example data")
    if not options.jobs.isdigit() or int(options.jobs) < 1:
        faults.append(f"--jobs {options.jobs!r} is not a whole number from 1")
    after_option = False
    for word in unknown:  # a value after an unknown option belongs to it
        if word.startswith("-"):
            given[word.lstrip("-").split("=")[0]] = ""
        elif not after_option:
            faults.append(f"unexpected argument {word!r}")
        after_option = word.startswith("-") and "=" not in word
    try:
        given = reports.check_parameters(report, given)
    except ParameterError as error:
        faults += error.faults
    if faults:
        raise ParameterError(faults)
    options.jobs = int(options.jobs)
    return options, given


def _run_one(report: reports.Report, options: argparse.Namespace, given: dict[str, Any]) -> int:
    from .report import run_report

    result = run_report(report, given, options.out, progress=sys.stderr)
    rows = result.rows
    print(f"rows in {rows['in']:,} = rows used {rows['used']:,} + rows set aside {rows['set_aside']:,}")
    print(f"report: {result.page}  ({result.seconds:.1f} s)")
    print(f"beside it: {', '.join(n for n in result.files if n != result.page.name)}")
    return 0


def _run_many(report: reports.Report, options: argparse.Namespace, given: dict[str, Any]) -> int:
    from .report import ReportFailure, run_table

    runs = reports.read_table(report, options.params, given)
    failed = run_table(report, runs, options.out, jobs=options.jobs, progress=sys.stderr)
    for name, error in failed.items():
        print(f"error: {name}: {'; '.join(error.faults)}", file=sys.stderr)
    print(f"{len(runs) - len(failed)} of {len(runs)} reports are in {Path(options.out)}")
    if any(isinstance(error, ReportFailure) for error in failed.values()):
        return FAILED
    return BAD_INPUT if failed else 0


def _say(error: CustkitError) -> int:
    """Print one line per fault; the exit code is 2 for bad input, 1 for a failure of ours."""
    for fault in error.faults:
        print("error: " + " ".join(fault.split()), file=sys.stderr)
    from .report import ReportFailure

    return FAILED if isinstance(error, ReportFailure) else BAD_INPUT
