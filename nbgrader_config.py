"""How nbgrader hands out and marks the exercises.

The instructor's commands, in the folder of this file, with the students' notebooks laid down as
``submitted/<student>/ch2_frequency/….ipynb``::

    nbgrader generate_assignment ch2_frequency --force    (fills nbgrader's own database)
    nbgrader autograde ch2_frequency
    nbgrader formgrader (in JupyterLab) for the open questions
    nbgrader generate_feedback ch2_frequency
    nbgrader export                                       (grades.csv and points.csv)

`python -m custkit.checks build` reads the same settings, so that both make the same exercises.
"""

import csv
import os
import re
import sys
from pathlib import Path

from nbconvert.preprocessors import TagRemovePreprocessor
from nbgrader.plugins import CsvExportPlugin
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearHiddenTests,
    ClearMarkScheme,
    ClearOutput,
    ClearSolutions,
    ComputeChecksums,
    DeduplicateIds,
    LockCells,
    NbGraderPreprocessor,
    OverwriteCells,
    OverwriteKernelspec,
    SaveCells,
)
from nbgrader.utils import is_grade


class RunAllGoesOn(NbGraderPreprocessor):
    """Tag the check cells, so that "Run All" in JupyterLab does not stop at the first open question."""

    def preprocess_cell(self, cell, resources, cell_index):
        if cell.cell_type == "code" and is_grade(cell):
            cell.metadata["tags"] = ["raises-exception"]
        return cell, resources


class ForgiveCopies(DeduplicateIds):
    """Let a student copy a cell: nbgrader leaves an empty mark on the copy and then refuses the notebook."""

    def preprocess_cell(self, cell, resources, cell_index):
        cell, resources = super().preprocess_cell(cell, resources, cell_index)
        if cell.metadata.get("nbgrader") == {}:
            del cell.metadata["nbgrader"]
        return cell, resources


class TableByPoint(CsvExportPlugin):
    """Write ``grades.csv`` as nbgrader does, and ``points.csv``: who got which point of the courseware."""

    def export(self, gradebook):
        super().export(gradebook)
        with open("points.csv", "w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(
                ["student_id", "assignment", "notebook", "question", "score", "max_score", "state"]
            )
            for assignment in gradebook.assignments:
                for submission in assignment.submissions:
                    for notebook in submission.notebooks:
                        table.writerows(self.rows(assignment.name, submission.student_id, notebook))

    def rows(self, assignment, student, notebook):
        """Return one row for each marked cell; a check is named by its point, an open question by its id."""
        source = {cell.name: cell.source for cell in notebook.notebook.source_cells}
        for grade in notebook.grades:
            point = re.match(r'check\("([^"]+)"', source[grade.name])
            state = "to be marked" if grade.needs_manual_grade else "marked"
            question = point[1] if point else grade.name
            yield student, assignment, notebook.name, question, grade.score, grade.max_score, state


# nbgrader calls `alembic` by its bare name, which fails where the environment is not activated.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

c = get_config()  # noqa: F821  (nbgrader provides it)

c.CourseDirectory.course_id = "custkit"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "exercises"

c.GenerateAssignment.preprocessors = [
    TagRemovePreprocessor,
    RunAllGoesOn,
    LockCells,
    ClearSolutions,
    ClearOutput,
    CheckCellMetadata,
    ComputeChecksums,
    SaveCells,
    ClearHiddenTests,
    ClearMarkScheme,
    ComputeChecksums,
    CheckCellMetadata,
]

c.Autograde.sanitize_preprocessors = [
    ClearOutput,
    ForgiveCopies,
    OverwriteKernelspec,
    OverwriteCells,
    CheckCellMetadata,
]
c.OverwriteCells.add_missing_cells = True  # a check that a student has deleted is put back

# Cells that only the solution has: the reading of a result, and the recording of its answer.
c.TagRemovePreprocessor.enabled = True
c.TagRemovePreprocessor.remove_cell_tags = {"solution"}

# The stub does not raise: the answer above it is still `...`, and the check says "not answered yet".
c.ClearSolutions.code_stub = {"python": "# Write your code here."}
c.ClearSolutions.text_stub = "*Write your answer here.*"

c.ExportApp.plugin_class = TableByPoint

# Fitting a model may take longer than nbgrader's 30 seconds on a slow machine.
c.Execute.timeout = 300
