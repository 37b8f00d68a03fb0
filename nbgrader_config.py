"""How nbgrader hands out and marks the exercises: `nbgrader generate_assignment`, `autograde` …

`python -m custkit.checks build` reads the same settings, so that both make the same exercises.
"""

from nbconvert.preprocessors import TagRemovePreprocessor
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearHiddenTests,
    ClearMarkScheme,
    ClearOutput,
    ClearSolutions,
    ComputeChecksums,
    LockCells,
    NbGraderPreprocessor,
    SaveCells,
)
from nbgrader.utils import is_grade


class RunAllGoesOn(NbGraderPreprocessor):
    """Tag the check cells, so that "Run All" in JupyterLab does not stop at the first open question."""

    def preprocess_cell(self, cell, resources, cell_index):
        if cell.cell_type == "code" and is_grade(cell):
            cell.metadata["tags"] = ["raises-exception"]
        return cell, resources


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

# Cells that only the solution has: the reading of a result, and the recording of its answer.
c.TagRemovePreprocessor.enabled = True
c.TagRemovePreprocessor.remove_cell_tags = {"solution"}

# The stub does not raise: the answer above it is still `...`, and the check says "not answered yet".
c.ClearSolutions.code_stub = {"python": "# Write your code here."}
c.ClearSolutions.text_stub = "*Write your answer here.*"

# Fitting a model may take longer than nbgrader's 30 seconds on a slow machine.
c.Execute.timeout = 300
