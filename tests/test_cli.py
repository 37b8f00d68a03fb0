"""The command line: help, refusals, and what it passes on."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from custkit import cli, doctor, report
from custkit.errors import DataError


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Stand-in for the runner: remembers what it was asked for. The runner itself is in test_report.py."""
    asked = []

    def run_report(which, given, out, *, progress):
        asked.append((which.name, given, str(out)))
        page = tmp_path / f"{which.name}.html"
        rows = {"in": 1200, "used": 1190, "set_aside": 10}
        return report.Result(page, ("customers.csv", page.name), rows, 1.25)

    monkeypatch.setattr(report, "run_report", run_report)
    return asked


def said(capsys, *arguments):
    """Exit code, stdout and stderr of a command."""
    code = cli.main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_help_tells_purpose_commands_and_three_examples(capsys):
    code, out, err = said(capsys, "--help")
    assert code == 0 and not err
    assert "who will buy again" in out and out.count("\n  custkit ") == 3
    assert all(f"\n  {command} " in out for command in ("report", "doctor"))
    assert said(capsys) == (code, out, err)


def test_help_is_quick_and_imports_nothing_heavy():
    code = "import sys; from custkit.cli import main; main(['--help']); main(['report'])\n"
    code += "print(sorted({'pandas', 'numpy', 'duckdb', 'papermill', 'matplotlib'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_report_lists_each_report_with_its_parameters(capsys):
    code, out, _ = said(capsys, "report")
    assert code == 0
    for option in ("rfm-forecast:", "--orders ", "--columns ", "--observation-end ", "--demo ", "--jobs "):
        assert option in out
    assert "output-dir" not in out
    assert "--orders " in said(capsys, "report", "rfm-forecast", "--help")[1]


@pytest.mark.parametrize(
    "arguments", [(), ("report",), ("report", "rfm-forecast", "--help"), ("doctor", "-h")]
)
def test_help_fits_a_narrow_terminal(capsys, monkeypatch, arguments):
    wide = said(capsys, *arguments)[1]
    monkeypatch.setenv("COLUMNS", "60")
    narrow = said(capsys, *arguments)[1]
    assert all(len(line) <= 60 or line.startswith("  custkit report") for line in narrow.splitlines())
    assert narrow.split() == wide.split() and max(map(len, wide.splitlines())) > 60


def test_a_missing_package_is_a_line_that_names_the_doctor(capsys, monkeypatch):
    def gone(*given, **options):
        raise ModuleNotFoundError("No module named 'papermill'", name="papermill")

    monkeypatch.setattr(report, "run_report", gone)
    code, _, err = said(capsys, "report", "rfm-forecast", "--demo")
    assert (code, err) == (1, "error: the package 'papermill' is not installed; run custkit doctor\n")


def test_version(capsys):
    assert said(capsys, "--version")[1] == "custkit 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["repot"], ["unknown command 'repot'"]),
        (["doctor", "x"], ["doctor takes no arguments"]),
        (["report", "rfm-forcast", "--demo"], ["did you mean rfm-forecast?"]),
        (["report", "rfm-forecast"], ["say which orders to read"]),
        (["report", "rfm-forecast", "--orders", "gone.csv"], ["gone.csv: no such file"]),
        (["report", "rfm-forecast", "--demo", "--orders", "x"], ["not both", "x: no such file"]),
        (["report", "rfm-forecast", "--demo", "--colums", "a=b"], ["'colums'; did you mean --columns?"]),
        (
            ["report", "rfm-forecast", "--demo", "--colums=a=b", "word"],
            ["unexpected argument 'word'", "'colums'"],
        ),
        (["report", "rfm-forecast", "--demo", "--bins"], ["argument --bins: expected one argument"]),
        (["report", "rfm-forecast", "--demo", "--bins", "x", "--jobs", "0"], ["--jobs '0'", "--bins 'x'"]),
        (["report", "rfm-forecast", "--demo", "--output-dir", "x"], ["unknown parameter 'output-dir'"]),
        (["report", "rfm-forecast", "--params", "gone.csv"], ["gone.csv: cannot be read"]),
    ],
)
def test_refusals_are_one_line_per_fault_and_exit_2(capsys, calls, arguments, expected):
    code, out, err = said(capsys, *arguments)
    assert code == 2 and not out and not calls
    lines = err.splitlines()
    assert len(lines) == len(expected)
    assert all(
        line.startswith("error: ") and part in line for line, part in zip(lines, expected, strict=True)
    )


def test_values_reach_the_runner_and_the_row_account_is_printed(capsys, calls, tmp_path):
    orders = tmp_path / "o.csv"
    orders.write_text("x")
    code, out, _ = said(
        capsys,
        *("report", "rfm-forecast", "--orders", str(orders), "--columns", "customer_id=Cust,amount=Sales"),
        *("--margin-rate", "0.4", "--bins=4", "--out", "there"),
    )
    given = {"orders": str(orders), "columns": "customer_id=Cust,amount=Sales", "margin_rate": 0.4, "bins": 4}
    assert code == 0 and calls == [("rfm-forecast", given, "there")]
    assert out.splitlines()[0] == "rows in 1,200 = rows used 1,190 + rows set aside 10"
    assert "beside it: customers.csv" in out


def test_demo_and_default_folder(capsys, calls):
    assert said(capsys, "report", "rfm-forecast", "--demo")[0] == 0
    assert calls == [("rfm-forecast", {"orders": "demo"}, "rfm-forecast")]


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError(["o.csv: first\nfault", "second"]), 2, "error: o.csv: first fault\nerror: second\n"),
        (report.ReportFailure("cell 3: broke"), 1, "error: cell 3: broke\n"),
        (KeyboardInterrupt(), 130, "stopped; nothing was written\n"),
    ],
)
def test_errors_of_a_run_become_lines_and_exit_codes(capsys, monkeypatch, error, code, line):
    def run_report(*arguments, **options):
        raise error

    monkeypatch.setattr(report, "run_report", run_report)
    assert said(capsys, "report", "rfm-forecast", "--demo") == (code, "", line)


@pytest.mark.parametrize(
    ("failed", "code"),
    [
        ({}, 0),
        ({"b": DataError("bad")}, 2),
        ({"b": DataError("bad"), "a": report.ReportFailure("broke")}, 1),
    ],
)
def test_many_runs_give_a_line_per_failure(capsys, monkeypatch, tmp_path, failed, code):
    table = tmp_path / "runs.csv"
    table.write_text("name,orders\na,demo\nb,demo\n")
    asked = {}

    def run_table(which, runs, out, *, jobs, progress):
        asked.update(runs=runs, jobs=jobs)
        return failed

    monkeypatch.setattr(report, "run_table", run_table)
    result = said(capsys, "report", "rfm-forecast", "--params", str(table), "--jobs", "2", "--bins", "3")
    assert result[0] == code
    assert result[2].splitlines() == [f"error: {name}: {error}" for name, error in failed.items()]
    assert result[1].startswith(f"{2 - len(failed)} of 2 reports are in")
    assert asked == {"runs": {n: {"bins": 3, "orders": "demo"} for n in "ab"}, "jobs": 2}


# --- doctor


def test_doctor_finds_this_environment_complete(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, _ = said(capsys, "doctor")
    assert code == 0 and out.endswith("everything needed is here\n")
    for part in (
        "Python 3",
        "pandas ",
        "notebook kernel",
        "DejaVu Sans",
        "2,357 customers, 6,919 rows",
        "written",
    ):
        assert part in out


def test_doctor_names_the_remedy_and_exits_1(capsys, monkeypatch):
    def broken():
        yield doctor.Finding("missing", "thing: not installed", "pip install thing")
        yield doctor.Finding("optional", "nicety", "get it")

    checks = ("python", "packages", "extras", "java", "kernel", "fonts", "cdnow", "write_access")
    for name in checks:
        monkeypatch.setattr(doctor, name, lambda: iter(()))
    monkeypatch.setattr(doctor, "fonts", broken)
    code, out, _ = said(capsys, "doctor")
    assert code == 1 and "-> pip install thing" in out and "1 needed thing(s) missing" in out


def test_doctor_goes_on_where_a_check_breaks(capsys, monkeypatch):
    def broken():
        raise ValueError("'nonsense' is not a valid value for backend\nmore")
        yield

    monkeypatch.setattr(doctor, "fonts", broken)
    monkeypatch.setattr(doctor, "kernel", lambda: iter(()))
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)  # as if not installed
    code, out, _ = said(capsys, "doctor")
    assert code == 1 and "package 'packaging' is not installed" in out
    assert "the check of broken stopped: ''nonsense' is not a valid value for backend'\n" in out
    assert "2,357 customers" in out and "2 needed thing(s) missing" in out


def test_doctor_sees_absent_and_old_packages():
    findings = list(doctor.packages(["no-such-package>=1", "pandas>=99", 'numpy; extra == "x"']))
    assert [f.status for f in findings] == ["missing", "missing"]
    assert findings[0].remedy == 'pip install "no-such-package>=1"'
    assert "needs >=99" in findings[1].what


def test_doctor_sees_an_old_python_and_a_closed_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "sys", SimpleNamespace(version_info=(3, 10, 4)))
    assert next(doctor.python()).status == "missing"
    assert next(doctor.write_access(tmp_path / "gone")).status == "missing"


def test_doctor_calls_a_missing_java_optional(monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert next(doctor.java(lambda name: None)).status == "optional"


def test_doctor_reports_a_kernel_of_another_python(monkeypatch):
    from jupyter_client.kernelspec import KernelSpecManager

    other = SimpleNamespace(argv=["/bin/sh"])
    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", lambda self, name: other)
    [finding] = doctor.kernel()
    assert finding.status == "missing" and "another Python" in finding.what


def test_doctor_reports_unreadable_demonstration_data(monkeypatch):
    from custkit import tables

    def unreadable(sample):
        raise FileNotFoundError

    monkeypatch.setattr(tables, "cdnow", unreadable)
    assert next(doctor.cdnow()).status == "missing"
