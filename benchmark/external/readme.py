"""The README.txt of a list of edits, for readers who have nothing else of the benchmark."""

from __future__ import annotations

from benchmark.external.listing import LISTING, PICTURES, TRAINING_TABLE, Listing
from benchmark.protocol import ACTION_UNITS, EXPRESSIONS

HEAD = """\
{count:,} edits of facial expressions: pictures to be made by any program, and measured by fesbench.
"""
STEPS = """\
 1. {training}
 2. Every line of {sheets} asks for one picture.
 3. Edit the picture named in the column `source` until its face shows the expression in `target`; keep all else.
 4. A method guided by label takes `target_label`, and `seed` if it draws a latent code. A method guided by reference
    takes the picture named in `reference`, or that picture's action units. Use one way for all lines.
 5. Save the edit under the name in `file` (the first column) in a folder of your own:
    PNG, 8-bit RGB, {size} x {size} pixels, not cropped, nothing drawn into it.
 6. Do this for every line of a file. Each file is one row of the table by itself; a part of a file is not scored.
 7. Have the folder scored, with a name for your row, where fesbench is installed (add --store DIR if its results lie
    elsewhere than in runs/):
    python -m benchmark.score --edits THIS_FOLDER --results YOUR_FOLDER --name NAME
"""
COLUMNS = """\
The columns (CSV, UTF-8, separated by commas, one header line, paths from this folder)
  file                              name of the picture that you make
  source, reference                 pictures in {pictures}/; the reference is another person with the target expression
  source_expression, target         their expressions, and as numbers:
  source_label, target_label        {expressions}
  seed                              whole number below 2^63, one for every edit: read it as text or 64-bit integer
  source_AU01_r ... source_AU45_r, reference_AU01_r ... reference_AU45_r
                                    {units} action units from 0 to 5, in OpenFace's order; empty where unknown
  source_x0, source_y0 ... source_x67, source_y67
                                    the source's 68 landmarks (dlib's) in pixels, centres of pixels at whole numbers;
                                    empty where unknown
"""
TRAINING = """\
{table} has file, identity, expression, label, camera (90 is frontal), gaze, action units and landmarks of each
training picture. For a row of frontal faces (F), train on camera 90 only.
"""
NOT_ALIGNED = """\
The pictures to edit are not aligned: faces are off the middle, tilted, far away, or not cropped. Those to train on are
aligned, and that is what is tested. Edit the whole picture; whatever finds the face in it is part of your program.
"""
REST = """\
Do not train, tune or choose on the pictures in {pictures}/: they show the people to be tested on. No line says which
picture is the true one of its edit, though it may be the {role} of another line.

This list is of suite {suite}, profile {profile} ({listing} says so for programs). The data set is
{data}.
Pass the pictures on only if the licence of their data set lets you (RaFD's does not).
"""


def readme(listing: Listing) -> str:
    """Return the text: the steps, then the columns."""
    sheets = " and of ".join(f"{sheet.file} ({sheet.edits:,}, {name})" for name, sheet in listing.sheets.items())
    part = listing.training
    training = (
        f"Train on the {part.pictures:,} pictures of {part.file}, and on no others of these people."
        if part
        else "Train on the train identities of the data set (this list was written without their pictures)."
    )
    expressions = ", ".join(f"{label} {name}" for label, name in enumerate(EXPRESSIONS))
    parts = [
        HEAD.format(count=sum(sheet.edits for sheet in listing.sheets.values())),
        STEPS.format(training=training, sheets=sheets, size=listing.size),
        COLUMNS.format(pictures=PICTURES, expressions=expressions, units=len(ACTION_UNITS)),
        TRAINING.format(table=TRAINING_TABLE) if part else "",
        NOT_ALIGNED if listing.edited else "",
        REST.format(
            pictures=PICTURES,
            role="reference" if len(listing.targets) == 1 else "source",
            suite=listing.suite,
            profile=listing.profile,
            data=listing.data_description,
            listing=LISTING,
        ),
    ]
    return "\n".join(text for text in parts if text)
