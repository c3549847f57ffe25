"""A terminal's screen, as far as rich's live display uses it: what a person sees in the end."""

import re

_CONTROL = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+")


def lines_on_screen(output: str) -> list[str]:
    """Play the output, and return the lines that stand there afterwards, scrolled out or not."""
    lines, row, column = [""], 0, 0
    for match in _CONTROL.finditer(output):
        token, count, command = match[0], match[1], match[2]
        if token == "\n":
            row, column = row + 1, 0  # as a terminal in its usual mode does
            lines += [""] * (row + 1 - len(lines))
        elif token == "\r":
            column = 0
        elif command == "A":
            row -= int(count or 1)
            assert row >= 0, "the cursor left the screen"
        elif command == "K":
            assert count == "2"
            lines[row] = ""
        elif command is None:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + token + line[column + len(token) :]
            column += len(token)
        else:
            assert command in "mhl", f"a control code that this screen does not know: {token!r}"
    return [line.rstrip() for line in lines]
